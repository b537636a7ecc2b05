"""A server that belongs to a window: another start brings the window to the front, and the page may end it all."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from .server_errors import ApiError
from .service import Service
from .window import Window


def window_router(service: Service) -> APIRouter:
    """POST /page/v1/window and /page/v1/quit; 404 where a server has no window, as that of `belle-edge serve`."""
    router = APIRouter(prefix="/page/v1", tags=["page"])

    def the_window() -> Window:
        if service.window is None:
            raise ApiError(404, "this server has no window of its own", code="not_offered")
        return service.window

    @router.post("/window", status_code=204)
    async def show() -> Response:
        """Bring the window to the front."""
        await asyncio.to_thread(the_window().show)
        return Response(status_code=204)

    @router.post("/quit", status_code=204)
    async def end() -> Response:
        """End the server as closing its window does."""
        await asyncio.to_thread(the_window().quit)
        return Response(status_code=204)

    return router
