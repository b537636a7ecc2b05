"""The calls of /page/v1, put together."""

from __future__ import annotations

from fastapi import APIRouter

from .answer_routes import answer_router
from .chat_routes import chat_router
from .desk import Desk
from .file_routes import file_router
from .model_routes import model_router
from .state_routes import state_router
from .static_files import static_router


def page_router(desk: Desk) -> APIRouter:
    """All of the page."""
    router = APIRouter()
    for part in (state_router, model_router, chat_router, answer_router, file_router):
        router.include_router(part(desk), prefix="/page/v1", tags=["page"])
    router.include_router(static_router(desk.files))
    return router
