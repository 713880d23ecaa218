"""Many small requests answered together.

Requests that come in at the same moment are computed as one batch; whoever comes alone waits for
nobody. There is no timer: what has come in while the event loop was busy is what a batch is made
of. A batch is small enough to be done in a few milliseconds (`BATCH_TEXTS`, `BATCH_CHARACTERS`), so
nobody waits long for the one before, and larger requests are computed in a thread, slice by slice.

The engine gives a message the same answer to the last bit in any company, so it does not matter
which requests meet.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tidegate.engine.predictor import Answers
from tidegate.serving.models import Served

BATCH_TEXTS = 128
BATCH_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one message: plain values, ready to be written.

    Attributes
    ----------
    probabilities : in the order of the model's labels
    unknown : the share of its words that the model does not know
    """

    label: str | tuple[str, ...]
    probabilities: list[float]
    unknown: float


@dataclass(slots=True)
class _Waiting:
    model: Served
    texts: Sequence[str]
    found: asyncio.Future[list[Answer]]


class Batcher:
    """Answers requests in micro-batches; all in one event loop.

    Parameters
    ----------
    on_batch : called after each batch with the model and its answers
    """

    def __init__(self, on_batch: Callable[[Served, Answers], None]) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._on_batch = on_batch
        self._is_scheduled = False
        # One thread: two would only take the interpreter from each other and from the event loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tidegate-large")

    async def answer(self, model: Served, texts: Sequence[str]) -> list[Answer]:
        """Return the model's answers to some texts."""
        if len(texts) > BATCH_TEXTS or sum(map(len, texts)) > BATCH_CHARACTERS:
            return await self._in_slices(model, texts)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(model, texts, loop.create_future())
        self._waiting.append(waiting)
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._answer_batch)
        return await waiting.found

    def _answer_batch(self) -> None:
        """Answer those who wait, as many as a batch holds; the rest after other events."""
        self._is_scheduled = False
        batch: list[_Waiting] = []
        texts: list[str] = []
        n_characters = 0
        while self._waiting:
            first = self._waiting[0]
            n_characters += sum(map(len, first.texts))
            full = len(texts) + len(first.texts) > BATCH_TEXTS or n_characters > BATCH_CHARACTERS
            if batch and (full or first.model is not batch[0].model):
                self._is_scheduled = True
                asyncio.get_running_loop().call_soon(self._answer_batch)
                break
            self._waiting.popleft()
            if not first.found.done():  # else who asked has gone
                batch.append(first)
                texts += first.texts
        if batch:
            self._tell(batch, texts)

    def _tell(self, batch: Sequence[_Waiting], texts: Sequence[str]) -> None:
        model = batch[0].model
        try:
            answers = model.predictor.answer(texts)
            found = _plain(model, answers)
        except Exception as fault:  # noqa: BLE001 - whatever it is, those who asked are told
            for waiting in batch:
                waiting.found.set_exception(fault)
            return
        start = 0
        for waiting in batch:
            end = start + len(waiting.texts)
            waiting.found.set_result(found[start:end])
            start = end
        self._on_batch(model, answers)

    async def _in_slices(self, model: Served, texts: Sequence[str]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        found: list[Answer] = []
        start = 0
        while start < len(texts):
            end, n_characters = start, 0
            while end < len(texts) and end - start < BATCH_TEXTS:
                n_characters += len(texts[end])
                if end > start and n_characters > BATCH_CHARACTERS:
                    break
                end += 1
            slice_ = texts[start:end]
            answers = await loop.run_in_executor(self._thread, model.predictor.answer, slice_)
            self._on_batch(model, answers)
            found += _plain(model, answers)
            start = end
        return found

    def close(self) -> None:
        """Give the thread back."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _plain(model: Served, answers: Answers) -> list[Answer]:
    """Return answers one by one: for a whole batch this is several times as fast as for each."""
    decided: Sequence[str | tuple[str, ...]] = model.predictor.decide(answers.probabilities)
    rows, unknown = answers.probabilities.tolist(), answers.unknown.tolist()
    return [
        Answer(label, row, share) for label, row, share in zip(decided, rows, unknown, strict=True)
    ]
