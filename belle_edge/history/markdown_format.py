"""The path of a chat that is shown, as Markdown for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .records import Chat, Message

NAMES = {"user": "User", "assistant": "Assistant", "system": "System", "unfinished": "not finished"}
_BACKTICKS = re.compile(r"`+")
_LANGUAGE = re.compile(r"[\w+#.\-]{1,32}")
_FINISHED = frozenset({"finished", "stopped"})


def write_markdown(
    chat: Chat, path: Iterable[tuple[Message, list[tuple[str, str]]]], names: Mapping[str, str] = NAMES
) -> str:
    """A heading with the settings, then a section for each message.

    path: messages with the names and texts of their attachments. names: the headings, in the language of the reader.
    """
    parts = [f"# {_line(chat.title) or '…'}"]
    if facts := _facts({"model": chat.model, **chat.settings}):
        parts.append(f"*{facts}*")
    if chat.system:
        parts += [f"## {names['system']}", chat.system]
    for message, files in path:
        unfinished = "" if message.state in _FINISHED else f" ({names['unfinished']})"
        parts.append(f"## {names[message.role]}{unfinished}")
        parts += [f"{_line(name)}\n\n{fenced(text)}" for name, text in files]
        parts.append(message.text.strip("\n"))
    return "\n\n".join(part for part in parts if part) + "\n"


def fenced(text: str, language: str = "") -> str:
    """A block of code in Markdown, whatever is in it."""
    fence = "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(text)), default=0))
    known = _LANGUAGE.match(language)
    return f"{fence}{known[0] if known else ''}\n{text}\n{fence}"


def _facts(values: Mapping[str, Any]) -> str:
    return _line(", ".join(f"{name}: {value}" for name, value in values.items() if value is not None))


def _line(text: str) -> str:
    """A text as one line in which nothing is markup. No \\], which would end a formula that \\[ begins."""
    return re.sub(r"([\\`*_\[<>#|~$&])", r"\\\1", " ".join(text.split()))
