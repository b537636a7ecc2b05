"""Answers: begun, continued, stopped; counted before they are begun; a chat summed up for a new one."""

from __future__ import annotations

from time import time
from typing import Any

from fastapi import APIRouter, Request

from ...history import Chat
from ..request_fields import StrictRoute
from .chat_answers import Wanted
from .chat_settings_check import checked_settings
from .desk import Desk
from .localizing import told
from .page_requests import AnswerBody, MeasuredTurn
from .page_views import chat_json
from .summaries import begin_summary


def answer_router(desk: Desk) -> APIRouter:
    """/chats/{id}/answers, /measure, /summary; /messages/{id}/stop."""
    router = APIRouter(route_class=StrictRoute)
    answers = desk.answers

    @router.post("/chats/{id}/answers")
    def begin(id: str, body: AnswerBody, request: Request) -> dict[str, Any]:
        wanted = Wanted(
            parent=body.parent,
            text=body.text,
            attachments=body.attachments,
            overflow=body.overflow,
            again=body.regenerate,
            more=getattr(body, "continue"),
        )
        user, assistant = answers.begin(id, wanted)
        shown = {"user": None if user is None else answers.shown(user), "assistant": answers.shown(assistant)}
        return told(request, shown)

    @router.post("/messages/{id}/stop")
    def stop(id: str, request: Request) -> dict[str, Any]:
        return told(request, answers.shown(answers.stop(id)))

    @router.post("/chats/{id}/measure")
    def measure(id: str, body: MeasuredTurn) -> dict[str, Any]:
        wanted = Wanted(body.parent, body.text, body.attachments, body.overflow)
        chat = _not_yet(body) if id == "new" else desk.history.chat(id)
        measured: dict[str, Any] = answers.measure(chat, wanted).to_dict()
        return measured

    @router.post("/chats/{id}/summary")
    def summary(id: str) -> dict[str, Any]:
        chat = begin_summary(desk, desk.history.chat(id))
        return chat_json(chat, writing=True)

    return router


def _not_yet(body: MeasuredTurn) -> Chat:
    """A chat that the page has not made yet."""
    return Chat(
        id="",
        title="",
        pinned=False,
        created=time(),
        updated=time(),
        model=body.model,
        system=body.system or "",
        settings=checked_settings(body.settings or {}),
        leaf=None,
        draft="",
        deleted=None,
    )
