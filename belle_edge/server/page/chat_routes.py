"""Chats: their list, their settings, their messages; search."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ...history import Chat, Message
from ..request_fields import StrictRoute
from .chat_settings_check import checked_settings
from .desk import Desk
from .localizing import told
from .page_errors import conflict, not_found
from .page_requests import ChatBody, ChatChanges
from .page_views import chat_json, hit_json

Limit = Annotated[int, Query(ge=1, le=500)]


def chat_router(desk: Desk) -> APIRouter:
    """/chats, /chats/{id}, its messages, /search."""
    router = APIRouter(route_class=StrictRoute)
    history, answers = desk.history, desk.answers

    def shown(chat: Chat) -> dict[str, Any]:
        return chat_json(chat, writing=answers.is_writing(chat.id))

    @router.get("/chats")
    def chats(limit: Limit = 50, before: str | None = None) -> dict[str, Any]:
        found = history.chats(limit + 1, before)
        return {"chats": [shown(chat) for chat in found[:limit]], "more": len(found) > limit}

    @router.post("/chats")
    def new(body: ChatBody) -> dict[str, Any]:
        if body.model is not None:
            desk.models.find(body.model)
        chat = history.new_chat(
            model=body.model, system=body.system or "", settings=checked_settings(body.settings or {})
        )
        answers.publish_chat(chat.id)
        return shown(chat)

    @router.get("/chats/{id}")
    def one(id: str) -> dict[str, Any]:
        chat = history.chat(id)
        answers.opened(chat)
        return shown(chat)

    @router.patch("/chats/{id}")
    def change(id: str, body: ChatChanges) -> dict[str, Any]:
        given = {name: getattr(body, name) for name in body.model_fields_set}
        if given.get("settings") is not None:
            given["settings"] = checked_settings({**history.chat(id).settings, **given["settings"]})
        if given.get("leaf") is not None:
            given["leaf"] = history.leaf_below(given["leaf"])
        if given.get("model") is not None:
            desk.models.find(given["model"])
        for name in ("title", "system", "draft"):
            if name in given and given[name] is None:
                given[name] = ""
        given = {name: value for name, value in given.items() if value is not None or name == "model"}
        chat = history.change_chat(id, **given)
        answers.publish_chat(id)
        return shown(chat)

    @router.delete("/chats/{id}", status_code=204)
    def delete(id: str) -> Response:
        if answers.is_writing(id):
            raise conflict("an answer of this chat is being written: stop it first", code="answer_running")
        history.delete_chat(id)
        desk.hub.publish({"type": "chat-deleted", "chat": id})
        return Response(status_code=204)

    @router.post("/chats/{id}/restore")
    def restore(id: str) -> dict[str, Any]:
        chat = history.restore_chat(id)
        answers.publish_chat(id)
        return shown(chat)

    @router.get("/chats/{id}/messages")
    def messages(
        id: str,
        request: Request,
        limit: Limit = 50,
        before: str | None = None,
        after: str | None = None,
        around: str | None = None,
    ) -> dict[str, Any]:
        leaf = history.chat(id).leaf
        ids = [] if leaf is None else history.path_ids(leaf)
        place = around or after or before
        if place is not None and place not in ids:  # on another branch
            if history.message(place).chat != id:
                raise not_found("this message belongs to another chat")
            leaf = history.leaf_below(place)
            ids = history.path_ids(leaf)
        first, end = _window(ids, limit, before=before, after=after, around=around)
        found = {
            "messages": _shown(desk, history.messages_by_id(ids[first:end])),
            "more": first > 0,
            "more_after": end < len(ids),
            "leaf": leaf,
        }
        return told(request, found)

    @router.get("/search")
    def search(q: Annotated[str, Query(max_length=500)] = "") -> dict[str, Any]:
        return {"hits": [hit_json(hit) for hit in history.search(q)] if q.strip() else []}

    return router


def _window(
    ids: list[str], limit: int, *, before: str | None, after: str | None, around: str | None
) -> tuple[int, int]:
    """Which of the ids are wanted: [first, end)."""
    if around is not None:
        first = max(0, ids.index(around) - limit // 2)
        return first, min(len(ids), first + limit)
    if after is not None:
        first = ids.index(after) + 1
        return first, min(len(ids), first + limit)
    end = len(ids) if before is None else ids.index(before)
    return max(0, end - limit), end


def _shown(desk: Desk, messages: list[Message]) -> list[dict[str, Any]]:
    siblings = desk.history.siblings_of([message.id for message in messages])
    return [desk.answers.shown(message, siblings.get(message.id, [message.id])) for message in messages]
