"""The API and the page as one ASGI application.

Takes `Models`, `Settings` and `Meters`; gives the application that `server` runs, and that any
other ASGI server can run.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tidegate.errors import ConfigError, DataError, MissingExtraError, TidegateError
from tidegate.serving import routes, schemas
from tidegate.serving.gate import App, Gate, Receive, Scope, Send, State
from tidegate.serving.meters import Meters
from tidegate.serving.models import Models
from tidegate.serving.problems import Problem, first_fault
from tidegate.serving.service import WALK_CHARACTERS, Service
from tidegate.serving.settings import Settings
from tidegate.version import VERSION


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
        title="Tidegate", version=VERSION, docs_url=None, redoc_url=None, redirect_slashes=False,
        description=_description(settings),
        openapi_tags=[{"name": "answers"}, {"name": "models"}, {"name": "health"}],
    )  # fmt: skip
    routes.add_answers(app, service)
    routes.add_files(app, service)
    routes.add_feedback(app, service)
    routes.add_models(app, service)
    routes.add_pages(app, service)
    routes.add_health(app, service)
    routes.add_page(app)
    _faults(app)
    _document(app, settings)
    quick = _quick(app, service)
    return Gate(quick, settings=settings, meters=meters, state=state), service


def _quick(app: FastAPI, service: Service) -> App:
    """Return an application that answers /v1/predict without FastAPI's routing.

    That takes three times as long as everything else in such a request together. The operation is
    declared in `routes`, too, which is where the OpenAPI document has it from.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != "/v1/predict" or scope.get("method") != "POST":
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


def _faults(app: FastAPI) -> None:
    """Have all faults told as problem details."""

    async def told(request: Request, fault: Exception) -> Response:
        problem = _as_problem(fault)
        response = Response(problem.body(request.state.request_id), status_code=problem.status)
        for name, value in problem.headers:
            response.headers[name.decode()] = value.decode()
        return response

    async def gone(request: Request, fault: Exception) -> Response:
        return Response(status_code=499)  # for the count: nobody is there to hear it

    app.add_exception_handler(ClientDisconnect, gone)
    for kind in (HTTPException, RequestValidationError, TidegateError, Problem):
        app.add_exception_handler(kind, told)


def _as_problem(fault: Exception) -> Problem:
    if isinstance(fault, Problem):
        return fault
    if isinstance(fault, HTTPException):
        allow = (fault.headers or {}).get("Allow", "")
        detail = f"{fault.detail}; see /docs for what there is"
        return Problem(fault.status_code, detail, allow=allow)
    if isinstance(fault, (RequestValidationError, ValidationError)):
        return Problem(422, first_fault(fault))
    if isinstance(fault, MissingExtraError):
        return Problem(415, "this server cannot read or write that format; take CSV or JSON lines")
    known = isinstance(fault, (DataError, ConfigError))
    return Problem(422 if known else 500, str(fault))


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
