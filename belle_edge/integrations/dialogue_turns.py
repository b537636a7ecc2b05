"""A dialogue as other libraries have it, as one that a BELLE model can be asked in."""

from __future__ import annotations

from collections.abc import Iterable

from ..text.prompts import Message


def joined_turns(messages: Iterable[tuple[str, str]]) -> list[Message]:
    """(role, text) as messages of `Belle.chat`; those of one role in a row become one, a line each.

    What is still no dialogue, as a system text in its middle, is for `Belle.chat` to refuse.
    """
    turns: list[Message] = []
    for role, text in messages:
        if turns and turns[-1]["role"] == role:
            turns[-1] = {"role": role, "content": f"{turns[-1]['content']}\n{text}"}
        else:
            turns.append({"role": role, "content": text})
    return turns
