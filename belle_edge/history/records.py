"""What the history hands out: immutable records. Ids are 32 hexadecimal digits, times float seconds UTC."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["user", "assistant"]
# finished; writing; stopped by the person; length: max_tokens or the context; cut: the process died; failed: an error
State = Literal["finished", "writing", "stopped", "length", "cut", "failed"]
ROLES: tuple[str, ...] = ("user", "assistant")
STATES: tuple[str, ...] = ("finished", "writing", "stopped", "length", "cut", "failed")


def new_id() -> str:
    """A new random id."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Chat:
    """One chat. `leaf` is the message at whose path the person looks; `deleted` the time of its deletion, or None."""

    id: str
    title: str
    pinned: bool
    created: float
    updated: float  # its last new message
    model: str | None
    system: str
    settings: Mapping[str, Any]
    leaf: str | None
    draft: str
    deleted: float | None


@dataclass(frozen=True)
class Attachment:
    """A text file that belongs to a message; its text is asked for by itself."""

    id: str
    name: str
    bytes: int  # of its text in UTF-8
    tokens: int | None
    created: float


@dataclass(frozen=True)
class Message:
    """One turn of a chat, a node of its tree."""

    id: str
    chat: str
    parent: str | None
    role: Role
    text: str
    state: State
    created: float
    token_ids: tuple[int, ...]  # what the model saw of this turn, its template included
    answer_begin: int | None  # index in token_ids
    decoded_end: int | None  # index in token_ids up to which `text` has been decoded
    model: str | None
    settings: Mapping[str, Any]
    timings: Mapping[str, Any]
    layout: Mapping[str, Any]  # of the server; nothing here reads it
    error: Mapping[str, Any] | None
    dropped: Sequence[str]  # ids of older messages that the model did not see
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True)
class Hit:
    """A title (`message` is None) or a message that has all words of a search."""

    chat: str
    title: str
    message: str | None
    parts: Sequence[tuple[str, bool]]  # an excerpt in pieces: (text, is it a hit?)
