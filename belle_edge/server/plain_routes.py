"""Small routes: is it there, what is going on, texts as tokens and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ..model import Belle
from .metrics import MEDIA_TYPE
from .request_fields import RequestFields, StrictRoute
from .service import Service

T = TypeVar("T")


class TokenizeRequest(RequestFields):
    """The body of /tokenize."""

    content: str
    add_special: bool = False
    parse_special: bool = False
    with_pieces: bool = False
    model: str | None = None


class DetokenizeRequest(RequestFields):
    """The body of /detokenize."""

    tokens: list[int] = Field(max_length=1_000_000)
    model: str | None = None


def plain_router(service: Service) -> APIRouter:
    """/health, /metrics, /tokenize, /detokenize and /."""
    router = APIRouter(tags=["server"], route_class=StrictRoute)

    @router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def root(request: Request) -> Response:
        """The page for browsers; clients of others' interfaces look whether it is there."""
        desk = service.desk
        if desk is not None and desk.files.has_page and "text/html" in request.headers.get("accept", ""):
            return desk.files.response("index.html", request)
        return PlainTextResponse("BELLE Edge is running\n", headers={"vary": "accept"})

    @router.get("/health", response_model=None)
    async def health() -> Response:
        """200 while requests are taken; 503 when the server is ending."""
        if service.shutdown.begun:
            return JSONResponse({"status": "shutting down"}, 503)
        return JSONResponse({"status": "ok"})

    @router.get("/metrics", response_model=None)
    async def metrics() -> Response:
        """Counts and times, for Prometheus."""
        return Response(service.metrics.text(), media_type=MEDIA_TYPE)

    @router.post("/tokenize")
    async def tokenize(body: TokenizeRequest) -> dict[str, Any]:
        """The ids of a text."""

        def tokens(belle: Belle) -> list[Any]:
            ids = belle.tokenizer.encode(
                body.content,
                add_bos=None if body.add_special else False,
                add_eos=None if body.add_special else False,
                parse_special=body.parse_special,
            )
            return [_piece(belle, token_id) for token_id in ids] if body.with_pieces else ids

        return {"tokens": await _with_model(service, body.model, tokens)}

    @router.post("/detokenize")
    async def detokenize(body: DetokenizeRequest) -> dict[str, Any]:
        """The text of ids."""
        return {
            "content": await _with_model(service, body.model, lambda belle: belle.detokenize(body.tokens))
        }

    return router


def _piece(belle: Belle, token_id: int) -> dict[str, Any]:
    """An id with its text; with its bytes where these are part of a character."""
    data = belle.tokenizer.token_bytes(token_id, skip_special=False)
    try:
        return {"id": token_id, "piece": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"id": token_id, "piece": list(data)}


async def _with_model(service: Service, name: str | None, work: Callable[[Belle], T]) -> T:
    """What `work` gives for a loaded model, computed in a thread."""
    with service.admission.enter():
        lease = await service.models.acquire(name)
        try:
            return await asyncio.to_thread(work, lease.belle)
        finally:
            service.models.release(lease)
