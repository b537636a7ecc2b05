"""The application of a server: its routes, and the layers around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from .._version import __version__
from .guard import BodyLimit, Guard, KeyGuard
from .ollama.ollama_routes import ollama_router
from .openai.openai_routes import openai_router
from .plain_routes import plain_router
from .request_fields import validation_error
from .server_errors import ApiError, as_api_error
from .service import Service
from .streaming import json_bytes
from .window_routes import window_router

_THREADS = 16  # for tokenizing, loading, scoring; a model has a thread of its own that writes
_NOT_OFFERED = {
    "/v1/embeddings": "embeddings are not offered: these models were not trained for them",
    "/v1/responses": "this interface is not offered: use /v1/chat/completions",
    **dict.fromkeys(("/api/embed", "/api/embeddings"), "embeddings are not offered"),
    **dict.fromkeys(
        ("/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete"),
        "models are files that the server was started with",
    ),
}
# FastAPI can send what it sees to a collector that the environment names: nothing here may.
_NO_TELEMETRY: Any = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


def create_app(service: Service) -> ASGIApp:
    """Everything that answers a request."""
    app = FastAPI(
        title="BELLE Edge",
        version=__version__,
        description="Chat models on this computer, through OpenAI's and Ollama's interfaces.",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        lifespan=_lifespan(service),
        telemetry=_NO_TELEMETRY,  # older versions take it as one of their extra arguments
        exception_handlers={
            RequestValidationError: _tell_validation,
            HTTPException: _tell_http,
            ValueError: _tell_error,
            OSError: _tell_error,
            MemoryError: _tell_error,
        },
    )
    for router in (
        openai_router(service),
        ollama_router(service),
        plain_router(service),
        window_router(service),
    ):
        app.include_router(router)
    if service.desk is not None:
        from .page.page_routes import page_router

        app.include_router(page_router(service.desk))
    return _layers(app, service)


def _layers(app: ASGIApp, service: Service) -> ASGIApp:
    settings = service.settings
    app = KeyGuard(BodyLimit(app, settings), settings)
    if settings.allow_origins:
        app = CORSMiddleware(
            app, allow_origins=settings.allow_origins, allow_methods=["GET", "POST"], allow_headers=["*"]
        )
    return Guard(app, settings)


def _lifespan(service: Service) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "belle-server"))
        service.models.start_clocks()
        desk = service.desk
        if desk is not None:
            await desk.start()
        yield
        if desk is not None:
            await desk.close()
        await service.models.close()
        if desk is not None:
            desk.end()

    return lifespan


async def _tell_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _response(request, validation_error(error))


async def _tell_http(request: Request, error: Exception) -> Response:
    """Errors of our own, and of the framework: no such path, a method that a path does not have."""
    assert isinstance(error, HTTPException)
    if isinstance(error, ApiError):
        return _response(request, error)
    path = request.url.path
    if path in _NOT_OFFERED:
        return _response(request, ApiError(404, _NOT_OFFERED[path], code="not_offered"))
    codes = {404: "unknown_url", 405: "method_not_allowed"}
    message = f"{request.method} {path[:80]}: {error.detail}"
    code = codes.get(error.status_code, "invalid_request")
    return _response(request, ApiError(error.status_code, message, code=code, headers=error.headers))


async def _tell_error(request: Request, error: Exception) -> Response:
    """What the package raises. A fault goes on to the outermost layer, which logs where it is."""
    told = _page_error(error) if _is_page(request) else as_api_error(error)
    if told is None:
        raise error
    return _response(request, told)


def _is_page(request: Request) -> bool:
    return request.url.path.startswith("/page/v1/")


def _page_error(error: Exception) -> ApiError | None:
    from .page.page_errors import page_error_of

    return page_error_of(error)


def _response(request: Request, error: ApiError) -> Response:
    body = error.body(request.url.path)
    if _is_page(request):
        from .page.page_errors import error_body

        body = error_body(error, request.headers.get("accept-language"))
    content = json_bytes(body)
    return Response(content, error.status_code, error.headers, media_type="application/json")
