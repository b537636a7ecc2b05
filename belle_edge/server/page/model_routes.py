"""Models: loaded and unloaded, added from folders; conversions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request

from ...folders import models_in, user_path
from ..request_fields import StrictRoute
from ..served_models import ServedModel
from .desk import Desk
from .folder_view import check_allowed, folder_json, folders_allowed
from .localizing import told
from .page_errors import PageError
from .page_requests import JobBody, ModelPath


def model_router(desk: Desk) -> APIRouter:
    """/models, /folders, /jobs."""
    router = APIRouter(route_class=StrictRoute)

    def shown(served: ServedModel, request: Request) -> dict[str, Any]:
        return told(request, desk.shown(served, with_path=folders_allowed(desk.settings, request)))

    @router.get("/models")
    def models(request: Request) -> list[dict[str, Any]]:
        return [shown(served, request) for served in desk.models.all()]

    @router.post("/models/{name}/load")
    async def load(name: str, request: Request) -> dict[str, Any]:
        """Begins; events say how far it is."""
        served = desk.models.find(name)
        if served.belle is None:
            desk.load(served)
            await asyncio.sleep(0)
        return await asyncio.to_thread(shown, served, request)

    @router.post("/models/{name}/unload")
    async def unload(name: str, request: Request) -> dict[str, Any]:
        await desk.models.unload(name)
        return await asyncio.to_thread(shown, desk.models.find(name), request)

    @router.post("/models")
    def add(body: ModelPath, request: Request) -> list[dict[str, Any]]:
        check_allowed(desk.settings, request)
        path = user_path("[models] path", body.path).absolute()
        files = models_in(path) if path.is_dir() else [path]
        names = [desk.add_model(file) for file in _existing(files)]
        return [shown(desk.models.find(name), request) for name in names]

    @router.get("/folders")
    def folders(request: Request, path: str | None = None) -> dict[str, Any]:
        check_allowed(desk.settings, request)
        return folder_json(path)

    @router.post("/jobs")
    def begin(body: JobBody, request: Request) -> dict[str, Any]:
        check_allowed(desk.settings, request)
        if body.kind == "pull":
            from ...hub.repository import is_repo_id

            if not is_repo_id(body.source):
                raise PageError(
                    400,
                    f"expected a name of the form owner/name, got {body.source[:80]!r}",
                    code="invalid_request",
                )
        elif not Path(body.source).expanduser().exists():
            raise PageError(404, f"{body.source[:200]}: no such file or folder", code="not_found")
        return told(request, desk.jobs.start(body.kind, body.source, body.type).to_dict())

    @router.delete("/jobs/{id}")
    def cancel(id: str, request: Request) -> dict[str, Any]:
        check_allowed(desk.settings, request)
        return told(request, desk.jobs.cancel(id).to_dict())

    return router


def _existing(files: list[Path]) -> list[Path]:
    for file in files:
        if not file.is_file():
            raise PageError(404, f"{file}: no such file", code="not_found")
    return files
