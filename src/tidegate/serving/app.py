"""The API and the page as one ASGI application.

Takes `Models`, `Settings` and `Meters`; gives the application that `server` runs, and that any
other ASGI server can run.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from typing import Annotated, Any, Literal, cast

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from tidegate.errors import ConfigError, DataError, TidegateError
from tidegate.serving import meters as metering
from tidegate.serving import schemas
from tidegate.serving.batching import Answer, Batcher
from tidegate.serving.feedback import Feedback
from tidegate.serving.gate import App, Gate, Receive, Scope, Send, State, note
from tidegate.serving.meters import Meters
from tidegate.serving.models import Models, Served
from tidegate.serving.problems import MEDIA_TYPE, Problem
from tidegate.serving.settings import Settings
from tidegate.serving.upload import SENT_AS, Job, Upload, format_asked
from tidegate.version import VERSION
from tidegate.walking.walk import walk

MAX_WALK_VALUES = 90_000  # of gates and states in an answer: about 600 kB
WALK_CHARACTERS = 4_000  # of a text that is walked: its work grows with the square of the tokens
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:"
)
_KINDS = {
    "html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8", "svg": "image/svg+xml",
}  # fmt: skip
_JSON = "application/json"


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the statuses of an operation's problems, as the OpenAPI document has them."""
    always = {401, 408, 413, 429, 500, 503}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({*statuses, *always})
    }


def _body(model: type[Any], example: dict[str, Any]) -> dict[str, Any]:
    """Return how the OpenAPI document shows a body that is read by hand, which is faster."""
    return {
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {
                    "schema": {"$ref": f"#/components/schemas/{model.__name__}"},
                    "example": example,
                }
            },
        }
    }


class Service:
    """What answers the requests of one process."""

    def __init__(self, models: Models, settings: Settings, meters: Meters, state: State) -> None:
        self.models, self.settings, self.meters, self.state = models, settings, meters, state
        self.batcher = Batcher(lambda model, answers, _: meters.batch(model, answers))
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
        self._check_texts(texts)
        model = self.models.get(asked.model)
        answers = await self.batcher.answer(model, texts)
        return _json(
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
        whole = found.to_dict(pre_activations=False, max_values=MAX_WALK_VALUES)
        return _json({"model": model.name, "fingerprint": model.fingerprint, "walk": whole})

    async def explain(self, request: Request) -> Response:
        """Tell what each token of a text brought to the answer."""
        asked = await _read(schemas.OneText, request)
        model, found = await self._walk(asked)
        share = dict(zip(found.read.tolist(), found.contributions.tolist(), strict=True))
        return _json(
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
        self._check_texts([asked.text])
        if len(asked.text) > WALK_CHARACTERS:
            raise Problem(
                422, f"text: found {len(asked.text):,} characters; {WALK_CHARACTERS:,} are walked"
            )
        model = self.models.get(asked.model)
        job = partial(walk, model.predictor, asked.text, label=asked.label)
        return model, await asyncio.get_running_loop().run_in_executor(self.walks, job)

    async def score(self, request: Request, **asked: Any) -> Response:
        """Score an uploaded file."""
        model = self.models.get(asked.pop("model"))
        name, output = asked.pop("format"), asked.pop("output")
        form = format_asked(name, request.headers.get("content-type", ""))
        if self.state.uploads >= self.settings.limits.uploads:
            n = self.settings.limits.uploads
            raise Problem(429, f"{n} uploads are in work; send it again later", retry_after=10)
        self.state.uploads += 1
        job = Job(model=model, form=form, output=output or form, **asked)
        upload = Upload(job, self.uploads)
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
        headers = {"content-disposition": ending, "x-model-fingerprint": model.fingerprint}
        return StreamingResponse(sent(), media_type=kind, headers=headers)

    async def keep(self, request: Request) -> Response:
        """Keep a correction."""
        asked = await _read(schemas.FeedbackRequest, request)
        self._check_texts([asked.text])
        if self.feedback is None:
            raise Problem(403, "corrections are not kept here; start the server with --feedback")
        model = self.models.get(asked.model)
        labels = model.predictor.labels
        if asked.label not in labels:
            raise Problem(422, f"label: no {asked.label!r}; the model has {', '.join(labels)}")
        answer = (await self.batcher.answer(model, [asked.text]))[0]
        decided = answer.label
        job = partial(
            self.feedback.keep, model, asked.text, asked.label,
            decided=decided if isinstance(decided, str) else ";".join(decided),
            probability=answer.probabilities[labels.index(asked.label)],
        )  # fmt: skip
        try:
            await asyncio.get_running_loop().run_in_executor(self.walks, job)
        except OSError as fault:
            detail = f"the correction was not kept: {fault.strerror}"
            raise Problem(503, detail, retry_after=60) from fault
        return _json({"kept": True}, status=201)

    async def reload(self, name: str) -> Response:
        """Read a model again from its place, and let it answer if it can."""
        self.models.get(name)
        fresh = await asyncio.get_running_loop().run_in_executor(
            self.walks, self.models.fresh, name
        )
        changed = self.put(fresh)
        self.tell_others()
        return _json({**fresh.summary(), "changed": changed})

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

    def report(self, name: str) -> Response:
        """Return a model's report, which may do nothing but draw itself."""
        found = self.models.get(name).predictor.bundle.extra_files.get("report.html")
        if found is None:
            raise Problem(404, f"{name}: the bundle has no report")
        headers = {"content-security-policy": _REPORT_POLICY}
        return Response(found, media_type=_KINDS["html"], headers=headers)

    def _check_texts(self, texts: list[str]) -> None:
        limits = self.settings.limits
        if len(texts) > limits.texts:
            raise Problem(
                422, f"texts: found {len(texts):,}; {limits.texts:,} at most, or send a file"
            )
        for k, text in enumerate(texts):
            if len(text) > limits.characters:
                raise Problem(
                    422,
                    f"texts: number {k} has {len(text):,} characters; the most is "
                    f"{limits.characters:,}",
                )


def make_app(
    models: Models,
    *,
    settings: Settings | None = None,
    meters: Meters | None = None,
    state: State | None = None,
) -> tuple[Gate, Service]:
    """Return the application, behind its limits, and what answers in it.

    Examples
    --------
    >>> app, service = make_app(Models.load({"crisis": Path("model")}))  # doctest: +SKIP
    """
    settings = settings or Settings()
    meters = meters or Meters(models.names)
    state = state or State()
    service = Service(models, settings, meters, state)
    app = FastAPI(
        title="Tidegate", version=VERSION, docs_url=None, redoc_url=None,
        description=_description(settings),
        openapi_tags=[{"name": "answers"}, {"name": "models"}, {"name": "health"}],
    )  # fmt: skip
    _answers(app, service)
    _models(app, service)
    _health(app, service)
    _page(app)
    _faults(app)
    _document(app, settings)
    quick = _quick(app, service)
    return Gate(quick, settings=settings, meters=meters, state=state), service


def _quick(app: FastAPI, service: Service) -> App:
    """Return an application that answers /v1/predict without FastAPI's routing.

    That takes three times as long as everything else in such a request together. The operation is
    declared in `_answers`, too, which is where the OpenAPI document has it from.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/v1/predict" or scope.get("method") != "POST":
            await app(scope, receive, send)
            return
        try:
            response = await service.predict(Request(scope, receive))
        except (TidegateError, HTTPException) as fault:
            raise _as_problem(fault) from fault
        await response(scope, receive, send)

    return answer


def _description(settings: Settings) -> str:
    limits = settings.limits
    return (
        "Labels and probabilities of short messages by compact LSTM classifiers. "
        f"Limits: {limits.texts:,} texts a request, {limits.characters:,} characters a text "
        f"({WALK_CHARACTERS:,} of one that is walked), {limits.body_bytes:,} bytes a body, "
        f"{limits.upload_bytes:,} bytes an upload, {limits.requests} requests at once, "
        f"{limits.request_seconds:g} seconds a request. Faults are problem details (RFC 9457)."
    )


def _answers(app: FastAPI, service: Service) -> None:
    """Add the operations that answer messages."""
    example = {"texts": ["house on fire on 5th street", "what a lovely day"]}

    @app.post(
        "/v1/predict",
        tags=["answers"],
        summary="Label messages",
        responses={200: {"model": schemas.Predictions}, **_problems(404, 415, 422)},
        openapi_extra=_body(schemas.PredictRequest, example),
    )
    async def predict(request: Request) -> Response:
        return await service.predict(request)

    one = {"text": "house on fire on 5th street"}

    @app.post(
        "/v1/walk",
        tags=["answers"],
        summary="Every gate and state, token by token",
        responses={200: {"model": schemas.Walked}, **_problems(404, 415, 422)},
        openapi_extra=_body(schemas.OneText, one),
    )
    async def walked(request: Request) -> Response:
        return await service.walked(request)

    @app.post(
        "/v1/explain",
        tags=["answers"],
        summary="What each token brought to the answer",
        responses={200: {"model": schemas.Explanation}, **_problems(404, 415, 422)},
        openapi_extra=_body(schemas.OneText, one),
    )
    async def explain(request: Request) -> Response:
        return await service.explain(request)

    rows = {
        "schema": {"type": "string", "format": "binary"},
        "example": "text\nhouse on fire\n",
    }
    kinds = ("text/csv", "text/tab-separated-values", "application/x-ndjson")
    sent = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in SENT_AS.values()}

    @app.post(
        "/v1/score",
        tags=["answers"],
        summary="Score a file of rows",
        responses={
            200: {"description": "The rows, with label and probabilities beside.", "content": sent},
            **_problems(404, 415, 422),
        },
        openapi_extra={
            "requestBody": {"required": True, "content": dict.fromkeys(kinds, rows)},
        },
    )
    async def score(
        request: Request,
        model: Annotated[str | None, Query(max_length=200)] = None,
        format: Annotated[
            Literal["csv", "tsv", "jsonl", "parquet"] | None,
            Query(description="Of the upload; by default by its Content-Type."),
        ] = None,
        output: Annotated[
            Literal["csv", "tsv", "jsonl", "parquet"] | None,
            Query(description="Of the answer; by default that of the upload."),
        ] = None,
        text: Annotated[
            str | None, Query(max_length=500, description="The column of the message.")
        ] = None,
        on_error: Annotated[
            Literal["fail", "skip", "null"],
            Query(description="At a row that cannot be scored: stop, leave it out, or no answer."),
        ] = "fail",
        prefix: Annotated[str, Query(max_length=100, description="Of the new columns.")] = "",
        safe_for_spreadsheets: bool = False,
    ) -> Response:
        return await service.score(
            request, model=model, format=format, output=output, text=text, on_error=on_error,
            prefix=prefix, safe_for_spreadsheets=safe_for_spreadsheets,
        )  # fmt: skip

    right = {"text": "the game was fire", "label": "0"}

    @app.post(
        "/v1/feedback",
        tags=["answers"],
        summary="Keep the right label of a message",
        status_code=201,
        responses={201: {"model": schemas.Kept}, **_problems(403, 404, 415, 422)},
        openapi_extra=_body(schemas.FeedbackRequest, right),
    )
    async def feedback(request: Request) -> Response:
        return await service.keep(request)


def _models(app: FastAPI, service: Service) -> None:
    """Add the operations on models."""

    @app.get(
        "/v1/models",
        tags=["models"],
        summary="The models served",
        responses={200: {"model": schemas.ModelList}, **_problems()},
    )
    async def list_models() -> Response:
        return _json({"models": [model.summary() for model in service.models]})

    @app.get(
        "/v1/models/{name}",
        tags=["models"],
        summary="A model: labels, scores, card",
        responses={200: {"model": schemas.ModelDetail}, **_problems(404)},
    )
    async def show_model(name: str) -> Response:
        return _json(service.models.get(name).detail())

    @app.get(
        "/v1/models/{name}/report",
        tags=["models"],
        summary="A model's report, a page",
        responses={
            200: {"description": "The report.", "content": {"text/html": {}}},
            **_problems(404),
        },
    )
    async def show_report(name: str) -> Response:
        return service.report(name)

    @app.post(
        "/v1/models/{name}/reload",
        tags=["models"],
        summary="Read a model again (admin)",
        responses={200: {"model": schemas.Reloaded}, **_problems(403, 404, 409)},
    )
    async def reload(name: str) -> Response:
        return await service.reload(name)


def _health(app: FastAPI, service: Service) -> None:
    """Add what monitors ask."""
    text = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

    @app.get(
        "/healthz",
        tags=["health"],
        summary="The process is alive",
        response_class=Response,
        responses=cast(Any, text),
    )
    async def healthz() -> Response:
        return Response("alive\n", media_type="text/plain")

    @app.get(
        "/readyz",
        tags=["health"],
        summary="It takes requests",
        response_class=Response,
        responses={**cast(Any, text), **_problems(503)},
    )
    async def readyz() -> Response:
        if service.state.draining:
            raise Problem(503, "the server is about to end", retry_after=5)
        return Response("ready\n", media_type="text/plain")

    @app.get(
        "/metrics",
        tags=["health"],
        summary="Counts, for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **_problems()},
    )
    async def metrics() -> Response:
        return Response(service.meters.text(service.models), media_type=metering.CONTENT_TYPE)


def _page(app: FastAPI) -> None:
    """Add the page and its parts."""
    folder = files("tidegate.pages") / "assets"
    known = {
        part.name: (part.read_bytes(), _KINDS[part.name.rpartition(".")[2]])
        for part in folder.iterdir()
        if part.name.rpartition(".")[2] in _KINDS
    }

    def asset(name: str) -> Response:
        if name not in known:
            raise Problem(404, f"no page {name!r}")
        data, kind = known[name]
        return Response(data, media_type=kind, headers={"cache-control": "no-cache"})

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return asset("serve.html")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return asset("docs.html")

    @app.get("/assets/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        return asset(name)


def _faults(app: FastAPI) -> None:
    """Have all faults told as problem details."""

    async def told(request: Request, fault: Exception) -> Response:
        problem = _as_problem(fault)
        response = Response(problem.body(request.state.request_id), status_code=problem.status)
        for name, value in problem.headers:
            response.headers[name.decode()] = value.decode()
        return response

    for kind in (HTTPException, RequestValidationError, TidegateError, Problem):
        app.add_exception_handler(kind, told)


def _as_problem(fault: Exception) -> Problem:
    if isinstance(fault, Problem):
        return fault
    if isinstance(fault, HTTPException):
        return Problem(fault.status_code, f"{fault.detail}; see /docs for what there is")
    if isinstance(fault, (RequestValidationError, ValidationError)):
        return Problem(422, _first_fault(fault))
    known = isinstance(fault, (DataError, ConfigError))
    return Problem(422 if known else 500, str(fault))


def _first_fault(fault: RequestValidationError | ValidationError) -> str:
    """Return what is wrong with a request, in one sentence: where, and what."""
    first = fault.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "body"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}"[:500]


async def _read(schema: type[Any], request: Request) -> Any:
    """Return a request's body, checked, or raise a `Problem`."""
    kind = request.headers.get("content-type", _JSON)
    if kind != _JSON and kind.partition(";")[0].strip().lower() != _JSON:
        raise Problem(415, f"found Content-Type {kind[:100]!r}; send {_JSON}")
    try:
        return schema.model_validate_json(await request.body())
    except ValidationError as fault:
        raise Problem(422, _first_fault(fault)) from None


def _json(value: Any, *, status: int = 200) -> Response:
    data = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Response(data, status_code=status, media_type=_JSON)


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


def _document(app: FastAPI, settings: Settings) -> None:
    """Put into the OpenAPI document what is read by hand: schemas, limits, tokens."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = made()
        known = document.setdefault("components", {}).setdefault("schemas", {})
        for schema in (
            schemas.PredictRequest, schemas.OneText, schemas.FeedbackRequest,
            schemas.ProblemDetails,
        ):  # fmt: skip
            known[schema.__name__] = schema.model_json_schema(
                ref_template="#/components/schemas/{model}"
            )
        limits = settings.limits
        texts = known["PredictRequest"]["properties"]["texts"]
        texts["anyOf"][0] |= {"maxItems": limits.texts}
        texts["anyOf"][0]["items"]["maxLength"] = limits.characters
        known["PredictRequest"]["properties"]["text"]["anyOf"][0]["maxLength"] = limits.characters
        known["OneText"]["properties"]["text"]["maxLength"] = WALK_CHARACTERS
        known["FeedbackRequest"]["properties"]["text"]["maxLength"] = limits.characters
        if settings.tokens or settings.admin_tokens:
            document["components"]["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer"}
            }
            document["security"] = [{"token": []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def parent_told() -> None:
    """Have the process that started this one make all of them reload."""
    os.kill(os.getppid(), signal.SIGHUP)
