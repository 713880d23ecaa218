"""A bundle as an ONNX graph, node by node: ids and lengths in, probabilities out.

Takes a bundle, gives an `onnx.ModelProto`. Knows nothing of files or sessions. Built by hand,
because both of torch's exporters fail on recurrent layers over sequences of unlike length.

Inputs, for B messages of at most T tokens:

    token_ids  (B, T) int64      padded with 0; a word out of vocabulary is <unk>, 1
    lengths    (B,) int32        real tokens of each message, at least 1
    piece_ids  (B, T, P) int64   only of models with pretrained vectors: the pieces of the words
                                 out of vocabulary, everything else −1
    new_rows   (B, T, k+1) float32   only of models with an n-gram branch: what words out of
                                 vocabulary bring to it, everything else 0

Output: `probabilities` (B, n_labels), float32.

PyTorch's gate blocks i, f, g, o become ONNX's i, o, f, c; GRU's r, z, n become z, r, h.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tidegate.engine.bundle import Bundle
from tidegate.engine.network import weight_names
from tidegate.engine.ngrams import NgramBranch
from tidegate.version import VERSION

OPSET, IR_VERSION = 17, 8
_GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
_LOWEST = np.float32(-3e38)


class _Graph:
    """Nodes and constants as they are made."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}

    def constant(self, name: str, value: Any) -> str:
        """Keep an array under a name, and return the name."""
        self.constants[name] = np.asarray(value)
        return name

    def integers(self, *values: int) -> str:
        """Return the name of a list of integers, as shapes and axes are."""
        return self.constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


def build(bundle: Bundle) -> ModelProto:
    """Return a bundle's graph."""
    graph = _Graph()
    words = _words(graph, bundle)  # (B, T, E)
    states = _layers(graph, bundle, words)  # (T, B, D·H)
    logits = _head(graph, bundle, _pool(graph, bundle, states))
    _probabilities(graph, bundle, _with_ngrams(graph, bundle, logits))
    batch, tokens, pieces = "messages", "tokens", "pieces"
    inputs = [
        helper.make_tensor_value_info("token_ids", TensorProto.INT64, [batch, tokens]),
        helper.make_tensor_value_info("lengths", TensorProto.INT32, [batch]),
    ]
    if bundle.pieces:
        shape = [batch, tokens, pieces]
        inputs.append(helper.make_tensor_value_info("piece_ids", TensorProto.INT64, shape))
    if bundle.config.network.ngrams != "none":
        columns: list[str | int] = [batch, tokens, len(bundle.weights["ngrams.bias"]) + 1]
        inputs.append(helper.make_tensor_value_info("new_rows", TensorProto.FLOAT, columns))
    output = helper.make_tensor_value_info(
        "probabilities", TensorProto.FLOAT, [batch, len(bundle.labels)]
    )
    constants = [numpy_helper.from_array(a, name) for name, a in graph.constants.items()]
    made = helper.make_graph(graph.nodes, "tidegate", inputs, [output], constants)
    model = helper.make_model(
        made, producer_name="tidegate", producer_version=VERSION, ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 2)],
    )  # fmt: skip
    helper.set_model_props(model, _properties(bundle))
    return model


def _properties(bundle: Bundle) -> dict[str, str]:
    return {
        "kind": bundle.kind,
        "labels": json.dumps(bundle.labels),
        "thresholds": json.dumps(bundle.thresholds),
        "vocabulary": json.dumps(bundle.tokens),
        "pieces": bundle.pieces,
        "tokenizer": bundle.config.text.tokenizer,
        "tokens_read": str(bundle.sequence_length),
    }


def _words(graph: _Graph, bundle: Bundle) -> str:
    """Add what the first layer reads: pretrained values, then trained."""
    table = graph.constant("embedding", np.asarray(bundle.weights["embedding.weight"], np.float32))
    trained = graph.add("Gather", [table, "token_ids"], "trained")
    if not bundle.pieces:
        return trained
    # The engine gives neither padding nor a word without pieces a pretrained vector.
    rows = np.array(bundle.weights["words.weight"])
    rows[:2] = 0.0
    in_half = graph.add(
        "Gather", [graph.constant("word_vectors", rows), "token_ids"], "known_in_half"
    )
    known = graph.add("Cast", [in_half], "known", to=TensorProto.FLOAT)
    zero = graph.constant("no_piece", np.array(0, np.int64))
    found = graph.add("GreaterOrEqual", ["piece_ids", zero], "is_piece")
    index = graph.add("Max", ["piece_ids", zero], "piece_rows")
    pieces = graph.constant("piece_vectors", np.array(bundle.weights["vectors.weight"]))
    values = graph.add("Gather", [pieces, index], "pieces_in_half")
    values = graph.add("Cast", [values], "piece_values", to=TensorProto.FLOAT)  # (B, T, P, D)
    weights = graph.add("Cast", [found], "piece_weights", to=TensorProto.FLOAT)
    columns = graph.add("Unsqueeze", [weights, graph.integers(3)], "piece_columns")
    kept = graph.add("Mul", [values, columns], "kept_pieces")
    total = graph.add("ReduceSum", [kept, graph.integers(2)], "pieces_sum", keepdims=0)
    count = graph.add("ReduceSum", [weights, graph.integers(2)], "pieces_count", keepdims=1)
    one = graph.constant("one", np.array(1, np.float32))
    mean = graph.add("Div", [total, graph.add("Max", [count, one], "divisor")], "new_words")
    new = graph.add("Cast", [count], "is_new", to=TensorProto.BOOL)  # (B, T, 1)
    vectors = graph.add("Where", [new, mean, known], "vectors")
    return graph.add("Concat", [vectors, trained], "words", axis=2)


def _layers(graph: _Graph, bundle: Bundle, words: str) -> str:
    """Add the recurrent layers; every step's states come out as (T, B, D·H)."""
    config = bundle.config.network
    x = graph.add("Transpose", [words], "steps", perm=[1, 0, 2])
    directions = [False, True] if config.bidirectional else [False]
    for layer in range(config.num_layers):
        arrays = [_direction(bundle, layer, reverse=reverse) for reverse in directions]
        w, r, b = (np.stack(parts) for parts in zip(*arrays, strict=True))
        names = [graph.constant(f"{name}_{layer}", a) for name, a in (("W", w), ("R", r), ("B", b))]
        extra = {"linear_before_reset": 1} if config.cell == "gru" else {}
        y = graph.add(
            config.cell.upper(), [x, *names, "lengths"], f"states_{layer}",
            hidden_size=config.hidden_size,
            direction="bidirectional" if config.bidirectional else "forward", **extra,
        )  # fmt: skip
        y = graph.add("Transpose", [y], f"beside_{layer}", perm=[0, 2, 1, 3])  # (T, B, D, H)
        x = graph.add("Reshape", [y, graph.integers(0, 0, -1)], f"layer_{layer}")
    return x


def _direction(bundle: Bundle, layer: int, *, reverse: bool) -> tuple[npt.NDArray[Any], ...]:
    """Return W (G·H, E), R (G·H, H) and both biases one after the other, in ONNX's gate order."""
    config = bundle.config.network
    names = weight_names(config, layer, reverse=reverse)
    order = _GATES[config.cell]

    def ordered(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        blocks = np.split(np.asarray(array, np.float32), len(order))
        return np.concatenate([blocks[k] for k in order])

    w, r, b_x, b_h = (ordered(bundle.weights[name]) for name in names.values())
    return w, r, np.concatenate([b_x, b_h])


def _pool(graph: _Graph, bundle: Bundle, states: str) -> str:
    """Add the pooling of (T, B, F) over real tokens: (B, F)."""
    how = bundle.config.network.pooling
    rows = graph.add("Transpose", [states], "messages_first", perm=[1, 0, 2])  # (B, T, F)
    lengths = graph.add("Cast", ["lengths"], "lengths_int64", to=TensorProto.INT64)
    if how in ("last", "padded_last"):
        one = graph.constant("one_step", np.array(1, np.int64))
        last = graph.add("Sub", [lengths, one], "last_step")
        index = graph.add("Unsqueeze", [last, graph.integers(1)], "last_index")
        return graph.add("GatherND", [rows, index], "pooled", batch_dims=1)
    shape = graph.add("Shape", [rows], "shape")
    width = graph.add("Gather", [shape, graph.constant("axis_1", np.array(1))], "width")
    start, step = graph.constant("zero", np.array(0)), graph.constant("step", np.array(1))
    numbers = graph.add("Range", [start, width, step], "numbers")  # (T,)
    column = graph.add("Unsqueeze", [lengths, graph.integers(1)], "lengths_column")
    real = graph.add("Less", [numbers, column], "is_real")  # (B, T)
    real = graph.add("Unsqueeze", [real, graph.integers(2)], "is_real_token")
    parts = []
    if how in ("mean", "mean_max"):
        nothing = graph.constant("nothing", np.array(0, np.float32))
        kept = graph.add("Where", [real, rows, nothing], "kept")
        total = graph.add("ReduceSum", [kept, graph.integers(1)], "total", keepdims=0)
        count = graph.add("Cast", [column], "count", to=TensorProto.FLOAT)
        parts.append(graph.add("Div", [total, count], "mean"))
    if how in ("max", "mean_max"):
        kept = graph.add("Where", [real, rows, graph.constant("lowest", _LOWEST)], "or_lowest")
        parts.append(graph.add("ReduceMax", [kept], "largest", axes=[1], keepdims=0))
    return graph.add("Concat", parts, "pooled", axis=1)


def _head(graph: _Graph, bundle: Bundle, pooled: str) -> str:
    """Add the dense layers: the LSTM's logits (B, C)."""
    x = pooled
    names = ["dense", "output"] if bundle.config.network.head_size else ["output"]
    for name in names:
        w, b = (
            graph.constant(f"{name}_{part}", np.asarray(bundle.weights[f"{name}.{part}"], "f4"))
            for part in ("weight", "bias")
        )
        x = graph.add("Gemm", [x, w, b], f"{name}_values", transB=1)
        if name == "dense":
            x = graph.add("Relu", [x], "dense_relu")
    return x


def _with_ngrams(graph: _Graph, bundle: Bundle, logits: str) -> str:
    """Add the n-gram branch, weigh it with the LSTM, and divide both by the temperature."""
    network = bundle.config.network
    if network.ngrams != "none":
        share = network.ngram_share
        lstm = graph.constant("lstm_share", np.array(1 - np.float32(share), "f4"))
        ngram = graph.constant("ngram_share", np.array(share, "f4"))
        parts = [
            graph.add("Mul", [logits, lstm], "weighed_lstm"),
            graph.add("Mul", [_ngrams(graph, bundle), ngram], "weighed_ngrams"),
        ]
        logits = graph.add("Add", parts, "weighed")
    temperature = graph.constant("temperature", np.array(bundle.temperature, "f4"))
    return graph.add("Div", [logits, temperature], "logits")


def _ngrams(graph: _Graph, bundle: Bundle) -> str:
    """Add the n-gram branch's logits (B, k); see `engine.ngrams` for its equation."""
    branch = NgramBranch(bundle.weights, n_words=len(bundle.tokens), pieces=bundle.pieces)
    tables, k = branch.tables, branch.n_outputs
    words = graph.constant("ngram_words", tables["words"])
    known = graph.add("Gather", [words, "token_ids"], "ngram_known")  # (B, T, k + 1)
    rows = graph.add("Add", [known, "new_rows"], "ngram_rows")
    none = graph.constant("ngram_none", np.zeros(1, "f4"))
    rows = graph.add("Where", [_is_read(graph), rows, none], "ngram_rows_read")
    axis = graph.integers(1)
    total = graph.add("ReduceSum", [rows, axis], "ngram_word_sums", keepdims=0)
    if len(tables["pair_keys"]):
        index = graph.add(
            "LabelEncoder", [_pair_keys(graph, len(bundle.tokens))], "pair_rows",
            domain="ai.onnx.ml", keys_int64s=tables["pair_keys"].tolist(),
            values_int64s=list(range(len(tables["pair_keys"]))),
            default_int64=len(tables["pair_keys"]),
        )  # fmt: skip
        nothing = np.zeros((1, k + 1), np.float32)  # what an unknown pair brings
        pairs = graph.constant("ngram_pairs", np.concatenate([tables["pairs"], nothing]))
        found = graph.add("Gather", [pairs, index], "ngram_pair_values")
        of_pairs = graph.add("ReduceSum", [found, axis], "ngram_pair_sums", keepdims=0)
        total = graph.add("Add", [total, of_pairs], "ngram_sums")
    ends = [graph.integers(0), graph.integers(k), graph.integers(1)]
    values = graph.add("Slice", [total, ends[0], ends[1], ends[2]], "ngram_values")
    norms = graph.add("Slice", [total, ends[1], graph.integers(k + 1), ends[2]], "ngram_squares")
    floor = graph.constant("ngram_floor", np.array(branch.floor, np.float32))
    norms = graph.add("Sqrt", [graph.add("Max", [norms, floor], "ngram_kept")], "ngram_norms")
    scaled = graph.add("Div", [values, norms], "ngram_scaled")
    return graph.add("Add", [scaled, graph.constant("ngram_bias", branch.bias)], "ngram_logits")


def _is_read(graph: _Graph) -> str:
    """Add whether a place of the padded batch is part of its message, (B, T, 1)."""
    lengths = graph.add("Cast", ["lengths"], "read_lengths", to=TensorProto.INT64)
    column = graph.add("Unsqueeze", [lengths, graph.integers(1)], "read_ends")
    shape = graph.add("Shape", ["token_ids"], "read_shape")
    width = graph.add("Gather", [shape, graph.constant("read_axis", np.array(1))], "read_width")
    start, step = graph.constant("read_zero", np.array(0)), graph.constant("read_one", np.array(1))
    numbers = graph.add("Range", [start, width, step], "read_numbers")
    inside = graph.add("Less", [numbers, column], "read_inside")
    return graph.add("Unsqueeze", [inside, graph.integers(2)], "read_places")


def _pair_keys(graph: _Graph, n_words: int) -> str:
    """Add the key of each pair of neighbours, (B, T + 1); see `NgramBranch.pair_keys`."""
    lengths = graph.add("Cast", ["lengths"], "pair_lengths", to=TensorProto.INT64)
    column = graph.add("Unsqueeze", [lengths, graph.integers(1)], "pair_ends")
    zeros = graph.add("Mul", [column, graph.integers(0)], "pair_zeros")  # (B, 1)
    begin = graph.add("Add", [zeros, graph.integers(n_words)], "pair_begin")
    left = graph.add("Concat", [begin, "token_ids"], "pair_left", axis=1)
    shifted = graph.add("Concat", ["token_ids", zeros], "pair_shifted", axis=1)
    shape = graph.add("Shape", [shifted], "pair_shape")
    width = graph.add("Gather", [shape, graph.constant("pair_axis", np.array(1))], "pair_width")
    start, step = graph.constant("pair_zero", np.array(0)), graph.constant("pair_one", np.array(1))
    numbers = graph.add("Range", [start, width, step], "pair_numbers")
    is_end = graph.add("Equal", [numbers, column], "pair_is_end")
    right = graph.add("Where", [is_end, graph.integers(n_words + 1), shifted], "pair_right")
    # Padding is no word: a message of nothing has its two marks alone, side by side.
    is_padding = graph.add("Equal", [left, graph.integers(0)], "pair_is_padding")
    no_word = graph.add("And", [is_end, is_padding], "pair_no_word")
    left = graph.add("Where", [no_word, graph.integers(n_words), left], "pair_words")
    scaled = graph.add("Mul", [left, graph.integers(n_words + 2)], "pair_scaled")
    return graph.add("Add", [scaled, right], "pair_keys")


def _probabilities(graph: _Graph, bundle: Bundle, logits: str) -> None:
    """Add what logits mean: σ for binary and multi-label, softmax for multi-class."""
    if bundle.kind == "multiclass":
        graph.add("Softmax", [logits], "probabilities", axis=1)
    elif bundle.kind == "multilabel":
        graph.add("Sigmoid", [logits], "probabilities")
    else:
        positive = graph.add("Sigmoid", [logits], "positive")
        negative = graph.add("Sigmoid", [graph.add("Neg", [logits], "turned")], "negative")
        graph.add("Concat", [negative, positive], "probabilities", axis=1)
