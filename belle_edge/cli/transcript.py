"""`/export` in a chat: the dialogue as Markdown for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..languages import msg, t

_HEADINGS = {"system": msg("Instruction"), "user": msg("Question"), "assistant": msg("Answer")}


def export(path: Path, messages: Sequence[Mapping[str, str]], *, model_name: str) -> None:
    """Write the dialogue to `path`, which must not exist. Raises FileExistsError and other OSErrors."""
    text = "\n".join(_blocks(messages, model_name))
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _blocks(messages: Sequence[Mapping[str, str]], model_name: str) -> Iterator[str]:
    yield f"# {t('Conversation with {model}', model=model_name)}\n"
    for message in messages:
        yield f"## {t(_HEADINGS[message['role']])}\n"
        yield f"{message['content'].strip()}\n"
