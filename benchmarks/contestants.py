"""What answers the same question: Tidegate, the lesson in torch, ONNX Runtime, and the usual peers.

Each contestant is saved in a folder, is loaded from it, and answers texts with the probability of
the second label. `python -m benchmarks.contestants NAME FOLDER TEXT` is its one-shot command.
Imports stand inside, so that a command loads only what its contestant needs.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Answer = Callable[[Sequence[str]], Any]


def tidegate(folder: Path, threads: int = 1, engine: str = "numpy") -> Answer:
    from tidegate.engine.predictor import Predictor

    model = Predictor.load(folder / "default", threads=threads, engine=engine)
    return lambda texts: model.predict_proba(texts)[:, 1]


def tidegate_two_cores(folder: Path) -> Answer:
    return tidegate(folder, threads=2)


def tidegate_fast(folder: Path) -> Answer:
    return tidegate(folder, engine="fast")


def tidegate_fast_two_cores(folder: Path) -> Answer:
    return tidegate(folder, threads=2, engine="fast")


def lesson_in_tidegate(folder: Path) -> Answer:
    from tidegate.engine.predictor import Predictor

    model = Predictor.load(folder / "lesson", engine="numpy")
    return lambda texts: model.predict_proba(texts)[:, 1]


def lesson_without_padding(folder: Path) -> Answer:
    """The lesson's network, its state read after the last word in place of the last padding."""
    from dataclasses import replace

    from tidegate.engine.bundle import Bundle
    from tidegate.engine.predictor import Predictor

    bundle = Bundle.load(folder / "lesson")
    model = Predictor(replace(bundle, config=bundle.config.with_settings(pooling="last")),
                      engine="numpy")  # fmt: skip
    return lambda texts: model.predict_proba(texts)[:, 1]


def lesson_in_torch(folder: Path) -> Answer:
    """The lesson's own way: batches of 128, each padded to 25 tokens."""
    import numpy as np
    import torch

    from benchmarks.torch_answer import network_of
    from tidegate.engine.batches import pad
    from tidegate.engine.bundle import Bundle
    from tidegate.text.encoder import Encoder
    from tidegate.text.vocabulary import Vocabulary

    torch.set_num_threads(1)
    bundle = Bundle.load(folder / "lesson")
    width = bundle.sequence_length
    encoder = Encoder(bundle.config.text, Vocabulary(bundle.tokens), length=width)
    network = network_of(bundle)

    def answer(texts: Sequence[str]) -> Any:
        found = []
        with torch.no_grad():
            for start in range(0, len(texts), 128):
                ids = [encoder.encode(text) for text in texts[start : start + 128]]
                batch = pad(ids, width=width)
                lengths = torch.full((len(ids),), width)
                logits = network(torch.from_numpy(batch.token_ids), lengths)
                found.append(torch.sigmoid(logits[:, 0]).numpy())
        return np.concatenate(found)

    return answer


def onnx(folder: Path, name: str = "default.onnx") -> Answer:
    """Sorted by length, in batches of 512, as the engine does it."""
    import numpy as np

    from tidegate.engine.predictor import Predictor
    from tidegate.exporting.export import inputs, session

    predictor, runtime = Predictor.load(folder / "default"), session(folder / name)

    def answer(texts: Sequence[str]) -> Any:
        order = np.argsort([len(text) for text in texts], kind="stable")
        found = np.empty(len(texts), np.float32)
        for start in range(0, len(order), 512):
            rows = order[start : start + 512]
            fed = inputs(predictor, [texts[i] for i in rows])
            found[rows] = runtime.run(None, fed)[0][:, 1]
        return found

    return answer


def onnx_int8(folder: Path) -> Answer:
    return onnx(folder, "int8.onnx")


def tfidf(folder: Path) -> Answer:
    import joblib

    model = joblib.load(folder / "tfidf.joblib")
    return lambda texts: model.predict_proba(texts)[:, 1]


def fasttext(folder: Path) -> Answer:
    import numpy as np
    from fasttext import load_model

    model = load_model(str(folder / "fasttext.bin"))

    def answer(texts: Sequence[str]) -> Any:
        lines = [" ".join(text.lower().split()) + "\n" for text in texts]
        # What the binding's own predict() wraps: a list of lines at once, without copies.
        labels, values = model.f.multilinePredict(lines, 1, 0.0, "strict")
        positive = np.array([names[0] == "__label__1" for names in labels])
        sure = np.array([value[0] for value in values])
        return np.where(positive, sure, 1 - sure)

    return answer


CONTESTANTS: dict[str, tuple[Callable[[Path], Answer], str]] = {
    "tidegate": (tidegate, "default"),
    "tidegate, 2 cores": (tidegate_two_cores, "default"),
    "tidegate-fast": (tidegate_fast, "default"),
    "tidegate-fast, 2 cores": (tidegate_fast_two_cores, "default"),
    "ONNX Runtime, float32": (onnx, "default.onnx"),
    "ONNX Runtime, int8": (onnx_int8, "int8.onnx"),
    "TF-IDF(1,2) + LR": (tfidf, "tfidf.joblib"),
    "fastText": (fasttext, "fasttext.bin"),
    "lesson in torch, padded": (lesson_in_torch, "lesson"),
    "lesson in tidegate, padded": (lesson_in_tidegate, "lesson"),
    "lesson in tidegate, real tokens": (lesson_without_padding, "lesson"),
}


if importlib.util.find_spec("tidegate_fast") is None:
    CONTESTANTS = {n: one for n, one in CONTESTANTS.items() if not n.startswith("tidegate-fast")}


def cold_starts(folder: str, text: str, runs: int = 5) -> dict[str, tuple[float, float]]:
    """Return median seconds and megabytes of each contestant's one-shot command.

    To be called in a small process: a child's peak memory begins with its parent's.
    """
    import numpy as np

    from benchmarks.bench_cold_start import once

    found = {}
    for name in CONTESTANTS:
        command = [sys.executable, "-m", "benchmarks.contestants", name, folder, text]
        seconds, memory = np.median([once(command) for _ in range(runs + 1)][1:], axis=0)
        found[name] = (float(seconds), float(memory))
    return found


if __name__ == "__main__":
    contestant, place, message = sys.argv[1:]
    if contestant == "--cold":
        print(json.dumps(cold_starts(place, message)))
    else:
        print(CONTESTANTS[contestant][0](Path(place))([message])[0])
