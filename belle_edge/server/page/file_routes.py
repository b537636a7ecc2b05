"""Files in and out: attachments, exports, imports."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from .attached_files import file_name, text_of
from .desk import Desk
from .page_views import attachment_json


def file_router(desk: Desk) -> APIRouter:
    """/attachments, /export, /import."""
    router = APIRouter()
    history = desk.history

    @router.post("/attachments")
    async def attach(request: Request, name: Annotated[str, Query(max_length=1000)] = "") -> dict[str, Any]:
        from starlette.concurrency import run_in_threadpool

        content = await request.body()
        return await run_in_threadpool(_attach, desk, content, file_name(name))

    @router.get("/attachments/{id}")
    def attachment(id: str) -> dict[str, Any]:
        file, text = history.attachment(id)
        return {**attachment_json(file), "text": text}

    @router.get("/chats/{id}/export")
    def export(id: str, format: Literal["json", "markdown"] = "json") -> Response:
        chat = history.chat(id)
        content = history.export_chat(id, format)
        ending, kind = (
            ("json", "application/json") if format == "json" else ("md", "text/markdown; charset=utf-8")
        )
        return _file(content, f"{chat.title or 'chat'}.{ending}", kind)

    @router.get("/export")
    def export_all() -> Response:
        return _file(history.export_all(), "belle-edge-chats.json", "application/json")

    @router.post("/import")
    async def take_in(request: Request, name: Annotated[str, Query(max_length=1000)] = "") -> dict[str, Any]:
        from starlette.concurrency import run_in_threadpool

        content = await request.body()
        chats = await run_in_threadpool(history.import_bytes, content, file_name(name))
        for chat in chats:
            await run_in_threadpool(desk.answers.publish_chat, chat)
        return {"chats": list(chats)}

    return router


def _attach(desk: Desk, content: bytes, name: str) -> dict[str, Any]:
    text = text_of(content, name)
    return attachment_json(desk.history.attach(name, text, tokens=_tokens(desk, text)))


def _tokens(desk: Desk, text: str) -> int | None:
    """Of the model that is loaded, or of the first; None where there is none."""
    from ...errors import BelleError

    known = [*desk.models.loaded, *desk.models.all()]
    if not known:
        return None
    try:
        return len(desk.headers.get(known[0]).tokenizer.encode(text, add_bos=False, add_eos=False))
    except (BelleError, ValueError):
        return None


def _file(content: str | bytes, name: str, media_type: str) -> Response:
    shown = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in name)
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(shown)}"}
    return Response(content, headers=headers, media_type=media_type)
