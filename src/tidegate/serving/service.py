"""What answers the API's requests: one method an operation.

Takes requests that the gate has let in, gives responses; what is wrong is raised as a `Problem` or
as an error of the library. Knows nothing of paths or of how the document shows an operation.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tidegate.pages import MAX_PAGE_VALUES
from tidegate.serving import schemas
from tidegate.serving.batching import Answer, Batcher
from tidegate.serving.feedback import Feedback
from tidegate.serving.gate import State, note
from tidegate.serving.meters import Meters
from tidegate.serving.models import Models, Served
from tidegate.serving.problems import Problem, first_fault
from tidegate.serving.settings import Settings
from tidegate.serving.upload import SENT_AS, Job, Upload, format_asked
from tidegate.walking.walk import walk

WALK_CHARACTERS = 4_000  # of a text that is walked: its work grows with the square of the tokens
JSON = "application/json"
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:"
)


class Service:
    """What answers the requests of one process."""

    def __init__(self, models: Models, settings: Settings, meters: Meters, state: State) -> None:
        self.models, self.settings, self.meters, self.state = models, settings, meters, state
        self.batcher = Batcher(meters.batch)
        self.feedback = None if settings.feedback is None else Feedback(settings.feedback)
        self.walks = ThreadPoolExecutor(1, thread_name_prefix="tidegate-walk")
        self.uploads = ThreadPoolExecutor(
            settings.limits.uploads, thread_name_prefix="tidegate-upload"
        )
        # Set by `server` where several processes answer: makes the others reload, too.
        self.tell_others: Callable[[], None] = lambda: None

    async def predict(self, request: Request) -> Response:
        """Answer one or many texts."""
        asked = await _read(schemas.PredictRequest, request)
        texts = asked.messages
        self._check_texts(texts, name="text" if asked.text is not None else "texts")
        model = self.models.get(asked.model)
        answers = await self.batcher.answer(model, texts)
        return as_json(
            {
                "model": model.name,
                "fingerprint": model.fingerprint,
                "predictions": _predictions(model, answers),
            }
        )

    async def walked(self, request: Request) -> Response:
        """Walk one text."""
        asked = await _read(schemas.OneText, request)
        model, found = await self._walk(asked)
        whole = found.to_dict(pre_activations=False, max_values=MAX_PAGE_VALUES)
        return as_json({"model": model.name, "fingerprint": model.fingerprint, "walk": whole})

    async def explain(self, request: Request) -> Response:
        """Tell what each token of a text brought to the answer."""
        asked = await _read(schemas.OneText, request)
        model, found = await self._walk(asked)
        share = dict(zip(found.read.tolist(), found.contributions.tolist(), strict=True))
        return as_json(
            {
                "model": model.name, "fingerprint": model.fingerprint, "text": found.text,
                "label": found.labels[found.label], "decided": found.decided,
                "probability": float(found.probabilities[found.label]),
                "baseline": found.baseline, "completeness_error": found.completeness_error,
                "tokens": [
                    {
                        "token": t.token, "start": t.start, "end": t.end, "known": t.known,
                        "read": k in share, "contribution": share.get(k),
                    }
                    for k, t in enumerate(found.tokens)
                ],
            }
        )  # fmt: skip

    async def _walk(self, asked: schemas.OneText) -> tuple[Served, Any]:
        self._check_texts([asked.text], name="text")
        if len(asked.text) > WALK_CHARACTERS:
            raise Problem(
                422, f"text: found {len(asked.text):,} characters; {WALK_CHARACTERS:,} are walked"
            )
        model = self.models.get(asked.model)
        job = partial(walk, model.predictor, asked.text, label=asked.label)
        return model, await asyncio.get_running_loop().run_in_executor(self.walks, job)

    async def score(
        self,
        request: Request,
        *,
        model: str | None,
        format: str | None,
        output: str | None,
        **choices: Any,
    ) -> Response:
        """Score an uploaded file; `choices` are the further fields of a `Job`."""
        served = self.models.get(model)
        form = format_asked(format, request.headers.get("content-type", ""))
        if self.state.uploads >= self.settings.limits.uploads:
            n = self.settings.limits.uploads
            raise Problem(429, f"{n} uploads are in work; send it again later", retry_after=10)
        job = Job(model=served, form=form, output=output or form, **choices)
        upload = Upload(job, self.uploads)
        self.state.uploads += 1
        started = False
        try:
            await upload.take_in(request)
            parts = await upload.answer()
            started = True
        finally:
            if not started:
                self.state.uploads -= 1
                upload.close()

        async def sent() -> Any:
            try:
                async for part in parts:
                    yield part
            finally:
                self.state.uploads -= 1
                upload.close()

        kind = SENT_AS[job.output]
        ending = f'attachment; filename="scored.{job.output}"'
        headers = {"content-disposition": ending, "x-model-fingerprint": served.fingerprint}
        return StreamingResponse(sent(), media_type=kind, headers=headers)

    async def keep(self, request: Request) -> Response:
        """Keep a correction."""
        asked = await _read(schemas.FeedbackRequest, request)
        self._check_texts([asked.text], name="text")
        if self.feedback is None:
            raise Problem(403, "corrections are not kept here; start the server with --feedback")
        model = self.models.get(asked.model)
        _check_labels(model, asked.label)
        answer = (await self.batcher.answer(model, [asked.text]))[0]
        job = partial(self.feedback.keep, model, asked.text, asked.label, answer=answer)
        try:
            await asyncio.get_running_loop().run_in_executor(self.walks, job)
        except OSError as fault:
            detail = f"the correction was not kept: {fault.strerror}"
            raise Problem(503, detail, retry_after=60) from fault
        return as_json({"kept": True}, status=201)

    async def reload(self, name: str) -> Response:
        """Read a model again from its place, and let it answer if it can."""
        self.models.get(name)
        fresh = await asyncio.get_running_loop().run_in_executor(
            self.walks, self.models.fresh, name
        )
        changed = self.put(fresh)
        self.tell_others()
        return as_json({**fresh.summary(), "changed": changed})

    async def reload_all(self) -> None:
        """Read all models again, as SIGHUP asks; one that cannot answer is not taken."""
        loop = asyncio.get_running_loop()
        for name in self.models.names:
            try:
                self.put(await loop.run_in_executor(self.walks, self.models.fresh, name))
            except Problem as problem:
                note("reload refused", model=name, detail=problem.detail)

    def put(self, fresh: Served) -> bool:
        """Let a model answer from now on."""
        changed = self.models.put(fresh)
        if changed:
            self.meters.forget_drift(fresh.name)
        note("model loaded", model=fresh.name, fingerprint=fresh.fingerprint, changed=changed)
        return changed

    def page(self, name: str, file: str) -> Response:
        """Return a page of a model's bundle, which may do nothing but draw itself."""
        found = self.models.get(name).predictor.bundle.extra_files.get(file)
        if found is None:
            raise Problem(404, f"{name}: the bundle has no {file}")
        headers = {"content-security-policy": _REPORT_POLICY}
        return Response(found, media_type="text/html; charset=utf-8", headers=headers)

    def _check_texts(self, texts: list[str], *, name: str) -> None:
        limits = self.settings.limits
        if len(texts) > limits.texts:
            raise Problem(
                422, f"texts: found {len(texts):,}; {limits.texts:,} at most, or send a file"
            )
        for k, text in enumerate(texts):
            if len(text) > limits.characters:
                place = f"texts: number {k}" if name == "texts" else "text:"
                most = f"{limits.characters:,} at most"
                raise Problem(422, f"{place} has {len(text):,} characters; {most}")


def _check_labels(model: Served, label: str | list[str]) -> None:
    """Raise a `Problem` if a message of a model cannot have that label, or those labels."""
    known, several = model.predictor.labels, model.predictor.kind == "multilabel"
    if isinstance(label, list) and not several:
        raise Problem(422, "label: found a list; a message has one label here")
    for one in label if isinstance(label, list) else [label]:
        if one not in known:
            raise Problem(422, f"label: no {one[:200]!r}; the model has {', '.join(known)}")


async def _read(schema: type[Any], request: Request) -> Any:
    """Return a request's body, checked, or raise a `Problem`."""
    # A page of another site can send other types, or none, without being asked about it first.
    kind = request.headers.get("content-type", "")
    if kind != JSON and kind.partition(";")[0].strip().lower() != JSON:
        raise Problem(415, f"found Content-Type {kind[:100]!r}; send {JSON}")
    try:
        return schema.model_validate_json(await request.body())
    except ValidationError as fault:
        raise Problem(422, first_fault(fault)) from None


def as_json(value: Any, *, status: int = 200) -> Response:
    """Return a response of JSON."""
    data = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Response(data, status_code=status, media_type=JSON)


def _predictions(model: Served, answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return answers as the API gives them."""
    labels = model.predictor.labels
    return [
        {
            "label": one.label,
            "probabilities": dict(zip(labels, one.probabilities, strict=True)),
            "unknown": one.unknown,
        }
        for one in answers
    ]
