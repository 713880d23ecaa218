"""The weights of an LSTM that has learned to read before it learns labels."""

import numpy as np
import pytest
import torch
from safetensors import safe_open

from conftest import made_up
from tidegate.config import Config
from tidegate.errors import ConfigError
from tidegate.presets import PRETRAINED_SIZES, fitted, has_pretrained, preset
from tidegate.training.learner import Learner, train_on_all
from tidegate.training.model import MessageNet
from tidegate.training.pretrained import load_pretrained
from tidegate.training.pretrained_lstm import LSTM, lstm_name, take_pretrained


def network(hidden: int, size: int, words: list[str]) -> MessageNet:
    """Return a network that reads the words: the first has id 1."""
    vectors = load_pretrained("words")
    assert vectors is not None
    rows = np.vstack([np.zeros((1, vectors.table.shape[1]), np.float32), vectors.rows(words)])
    config = Config().with_settings(hidden_size=hidden, vector_size=size)
    torch.manual_seed(0)
    return MessageNet(config.network, n_words=1, n_outputs=1, vectors=torch.from_numpy(rows)).eval()


@pytest.mark.parametrize(("hidden", "size"), PRETRAINED_SIZES)
def test_a_network_takes_the_weights_of_its_size_and_keeps_the_rest(hidden: int, size: int) -> None:
    before, net = network(hidden, size, ["fire"]), network(hidden, size, ["fire"])
    take_pretrained(net)
    with safe_open(LSTM, framework="pt") as stream:
        for direction, cell in enumerate(net.cells):
            for name, weight in cell.named_parameters():
                kept = stream.get_tensor(lstm_name(hidden, size, f"{direction}.{name}")).float()
                taken = weight[:, :size] if name == "weight_ih_l0" else weight
                assert torch.equal(taken, kept)
            own = before.cells[direction].weight_ih_l0[:, size:]
            assert torch.equal(cell.weight_ih_l0[:, size:], own)
    assert torch.equal(net.output.weight, before.output.weight)


@pytest.mark.parametrize(("hidden", "size"), PRETRAINED_SIZES)
def test_it_can_read(hidden: int, size: int) -> None:
    """Two ways to say something are nearer than two things said in like words."""
    said = [
        ("the river is rising fast", "water levels keep going up", "the river is a fine place"),
        ("please help me with my order", "i need assistance buying this", "the order of the king"),
        ("the bus was very late today", "our train had a long delay", "today is a very nice day"),
    ]
    texts = [text.split() for three in said for text in three]
    words = sorted({word for text in texts for word in text})
    net = network(hidden, size, words)
    take_pretrained(net)
    vectors = []
    for text in texts:
        ids = torch.tensor([[words.index(word) + 1 for word in text]])
        states, real = net.states(ids, torch.tensor([len(text)]))
        vectors.append(net.pooled(states, real, torch.tensor([len(text)]))[0])
    near = [
        torch.cosine_similarity(vectors[i], vectors[i + 1], dim=0)
        - torch.cosine_similarity(vectors[i], vectors[i + 2], dim=0)
        for i in range(0, 9, 3)
    ]
    assert sum(near) > 0


def test_the_default_starts_from_them_wherever_they_fit() -> None:
    default = preset("default")
    for classes, widest in ((2, 128), (6, 128), (150, 64)):
        found = fitted(default, rows=3000, classes=classes, words=12.0)
        assert found.network.recurrent_init == "pretrained"
        assert has_pretrained(found.network)
        wide = fitted(preset("best"), rows=3000, classes=classes, words=12.0).network
        assert (wide.hidden_size, wide.recurrent_init) == (widest, "pretrained")
    taught = preset("best", teacher="some/encoder")
    assert fitted(taught, rows=500, classes=3, words=12.0).network.recurrent_init == "pretrained"
    others = ({"hidden_size": 48}, {"vectors": "wordllama"}, {"cell": "gru"}, {"num_layers": 2})
    for settings in others:
        found = fitted(default.with_settings(**settings), rows=3000, classes=6, words=12.0)
        assert found.network.recurrent_init == "orthogonal", settings
    chosen = default.with_settings(recurrent_init="orthogonal")
    plain = fitted(chosen, rows=3000, classes=6, words=12.0)
    assert plain.network.recurrent_init == "orthogonal"
    # Who cannot read yet needs more passes.
    read = fitted(default, rows=3000, classes=6, words=12.0)
    assert plain.training.epochs > read.training.epochs


def test_a_size_that_has_none_is_refused_before_anything_is_learned() -> None:
    config = preset("default").with_settings(recurrent_init="pretrained", hidden_size=48)
    with pytest.raises(ConfigError, match=r"recurrent_init.*hidden_size=32 with vector_size=64"):
        train_on_all(Learner(made_up(n=60), config.with_settings(calibrate=False)))


def test_where_training_started_is_still_seen_after_one_epoch() -> None:
    data = made_up(n=60)
    weights = []
    for start in ("pretrained", "orthogonal"):
        config = preset("default").with_settings(recurrent_init=start, epochs=1, calibrate=False)
        weights.append(train_on_all(Learner(data, config)).bundle.weights["lstm.weight_hh_l0"])
    assert not np.allclose(weights[0], weights[1], atol=0.1)
