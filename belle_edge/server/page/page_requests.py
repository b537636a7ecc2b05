"""Bodies of the page's requests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, create_model

from ..request_fields import RequestFields

_Id = Field(default=None, max_length=64)
_MOST_TEXT = 2_000_000  # characters
_MOST_FILES = 50


class ChatBody(RequestFields):
    """A new chat."""

    model: str | None = None
    system: str | None = Field(default=None, max_length=_MOST_TEXT)
    settings: dict[str, Any] | None = None


class ChatChanges(ChatBody):
    """Of a chat: what is not named stays."""

    title: str | None = Field(default=None, max_length=1000)
    pinned: bool | None = None
    leaf: str | None = _Id
    draft: str | None = Field(default=None, max_length=_MOST_TEXT)


class Turn(RequestFields):
    """A message that is to be sent, or measured."""

    parent: str | None = _Id
    text: str | None = Field(default=None, max_length=_MOST_TEXT)
    attachments: list[str] = Field(default=[], max_length=_MOST_FILES)
    overflow: Literal["error", "slide"] | None = None


class MeasuredTurn(Turn):
    """For a chat that does not exist yet: with what it would be made of."""

    model: str | None = None
    system: str | None = Field(default=None, max_length=_MOST_TEXT)
    settings: dict[str, Any] | None = None


class _AnswerBody(Turn):
    regenerate: str | None = _Id


# One of its fields is called as a word of Python.
AnswerBody = create_model("AnswerBody", __base__=_AnswerBody, **{"continue": (str | None, _Id)})  # type: ignore[call-overload]


class ModelPath(RequestFields):
    """A file to add, or a folder of files."""

    path: str = Field(max_length=4096)


class JobBody(RequestFields):
    """A conversion."""

    kind: Literal["convert", "pull"]
    source: str = Field(min_length=1, max_length=4096)
    type: str | None = Field(default=None, max_length=40)
