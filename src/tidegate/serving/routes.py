"""The operations of the API: their paths, and what the OpenAPI document says of them."""

from __future__ import annotations

from http import HTTPStatus
from importlib.resources import files
from typing import Annotated, Any, Literal, cast

from fastapi import FastAPI, Query, Request, Response

from tidegate.serving import meters as metering
from tidegate.serving import schemas
from tidegate.serving.problems import MEDIA_TYPE, Problem
from tidegate.serving.service import JSON, Service, as_json
from tidegate.serving.upload import SENT_AS

_KINDS = {
    "html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8", "svg": "image/svg+xml",
}  # fmt: skip
_TEXT = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
_SCORE_NAMES = {
    "model", "format", "output", "text", "on_error", "prefix", "safe_for_spreadsheets",
}  # fmt: skip
_Form = Literal["csv", "tsv", "jsonl", "parquet"]


def add_answers(app: FastAPI, service: Service) -> None:
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


def add_files(app: FastAPI, service: Service) -> None:
    """Add the operation that scores a file."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    taken = {
        "text/csv": {**binary, "example": "text\nhouse on fire\n"},
        "text/tab-separated-values": binary,
        "application/x-ndjson": binary,
    }
    sent = dict.fromkeys(SENT_AS.values(), binary)

    @app.post(
        "/v1/score",
        tags=["answers"],
        summary="Score a file of rows",
        responses={
            200: {"description": "The rows, with label and probabilities beside.", "content": sent},
            **_problems(404, 415, 422),
        },
        openapi_extra={
            "requestBody": {"required": True, "content": taken},
        },
    )
    async def score(
        request: Request,
        model: Annotated[str | None, Query(max_length=200)] = None,
        format: Annotated[
            _Form | None,
            Query(description="Of the upload; by default by its Content-Type."),
        ] = None,
        output: Annotated[
            _Form | None,
            Query(description="Of the answer; by default that of the upload."),
        ] = None,
        text: Annotated[
            str | None, Query(max_length=500, description="The column of the message.")
        ] = None,
        on_error: Annotated[
            Literal["fail", "skip", "null"],
            Query(description="At a row that cannot be scored: stop, leave it out, or no answer."),
        ] = "fail",
        prefix: Annotated[
            str, Query(max_length=100, pattern=_PRINTABLE, description="Of the new columns.")
        ] = "",
        safe_for_spreadsheets: bool = False,
    ) -> Response:
        _check_names(request)
        return await service.score(
            request, model=model, format=format, output=output, text=text, on_error=on_error,
            prefix=prefix, safe_for_spreadsheets=safe_for_spreadsheets,
        )  # fmt: skip


def _check_names(request: Request) -> None:
    """Raise a `Problem` if the query has a name that means nothing, or one twice."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in _SCORE_NAMES or names.count(name) > 1:
            what = "stands twice" if name in _SCORE_NAMES else "means nothing here"
            raise Problem(422, f"query: {name[:100]!r} {what}; see /docs for the names there are")


def add_feedback(app: FastAPI, service: Service) -> None:
    """Add the operation that keeps corrections."""
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


def add_models(app: FastAPI, service: Service) -> None:
    """Add the operations on models."""

    @app.get(
        "/v1/models",
        tags=["models"],
        summary="The models served",
        responses={200: {"model": schemas.ModelList}, **_problems()},
    )
    async def list_models() -> Response:
        return as_json({"models": [model.summary() for model in service.models]})

    @app.get(
        "/v1/models/{name}",
        tags=["models"],
        summary="A model: labels, scores, card",
        responses={200: {"model": schemas.ModelDetail}, **_problems(404)},
    )
    async def show_model(name: str) -> Response:
        kept = service.feedback is not None
        return as_json({**service.models.get(name).detail(), "takes_feedback": kept})

    @app.post(
        "/v1/models/{name}/reload",
        tags=["models"],
        summary="Read a model again (admin)",
        responses={200: {"model": schemas.Reloaded}, **_problems(403, 404, 409)},
    )
    async def reload(name: str) -> Response:
        return await service.reload(name)


def add_pages(app: FastAPI, service: Service) -> None:
    """Add the pages that lie in a model's bundle."""

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
        return service.page(name, "report.html")

    @app.get(
        "/v1/models/{name}/mistakes.html",
        tags=["models"],
        summary="The walks of the mistakes in a model's report, a page",
        responses={
            200: {"description": "The walks.", "content": {"text/html": {}}},
            **_problems(404),
        },
    )
    async def show_mistakes(name: str) -> Response:
        return service.page(name, "mistakes.html")


def add_health(app: FastAPI, service: Service) -> None:
    """Add what monitors ask."""

    @app.get(
        "/healthz",
        tags=["health"],
        summary="The process is alive",
        response_class=Response,
        responses=cast(Any, _TEXT),
    )
    async def healthz() -> Response:
        return Response("alive\n", media_type="text/plain")

    @app.get(
        "/readyz",
        tags=["health"],
        summary="It takes requests",
        response_class=Response,
        responses={**cast(Any, _TEXT), **_problems(503)},
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


def add_page(app: FastAPI) -> None:
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


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the statuses of an operation's problems, as the OpenAPI document has them."""
    always = {400, 401, 403, 408, 413, 429, 500, 503}
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
                JSON: {
                    "schema": {"$ref": f"#/components/schemas/{model.__name__}"},
                    "example": example,
                }
            },
        }
    }
