"""The forms in which data sets have their texts: instructions with answers, dialogues, prompts, plain text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from belle_edge.errors import excerpt
from belle_edge.text.prompts import Message

_ROLES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("user", "human"), "user"),
        **dict.fromkeys(("assistant", "gpt", "bot", "belle"), "assistant"),
        "system": "system",
    }
)
_FORMS = '"instruction" with "output", "messages", "conversations", "prompt" with "completion", or "text"'
_SHOWN_FIELDS = 6


@dataclass(frozen=True)
class DataText:
    """What one record is: a dialogue, or a text without any."""

    messages: tuple[Message, ...] = ()
    text: str = ""
    language: str | None = None  # as the record names it

    @property
    def is_empty(self) -> bool:
        return not self.text.strip() and not any(message["content"].strip() for message in self.messages)


def record_text(value: Any) -> DataText:
    """The text of a record. ValueError says which fields were expected, and which were found."""
    if isinstance(value, str):
        return DataText(text=value)
    if not isinstance(value, Mapping):
        raise ValueError(f"expected an object with {_FORMS}; found {excerpt(value)}")
    return replace(_fields_text(value), language=_language(value))


def _fields_text(value: Mapping[str, Any]) -> DataText:
    if "instruction" in value and "output" in value:
        parts = [_text(value, "instruction"), _text(value, "input", missing="")]
        return _turn("\n".join(part for part in parts if part.strip()), _text(value, "output"))
    for name in ("messages", "conversations"):
        if name in value:
            return DataText(messages=_dialogue(name, value[name]))
    if "prompt" in value and "completion" in value:
        return _turn(_text(value, "prompt"), _text(value, "completion"))
    if "text" in value:
        return DataText(text=_text(value, "text"))
    raise ValueError(f"expected {_FORMS}; found {_names(value)}")


def _turn(question: str, answer: str) -> DataText:
    return DataText(
        messages=({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    )


def _language(record: Mapping[str, Any]) -> str | None:
    """What it says under "language" or "lang"; other uses of these fields than a name are passed over."""
    found = (record.get(name) for name in ("language", "lang"))
    return next((name.strip() for name in found if isinstance(name, str) and name.strip()), None)


def _text(record: Mapping[str, Any], name: str, *, missing: str | None = None) -> str:
    found = record.get(name, missing)
    if found is None and missing is not None:  # "input": null
        return missing
    if not isinstance(found, str):
        raise ValueError(f'expected a text under "{name}", found {excerpt(found)}')
    return found


def _dialogue(name: str, turns: Any) -> tuple[Message, ...]:
    """Messages as {"role", "content"}, or {"from", "value"}."""
    if not isinstance(turns, list) or not turns:
        raise ValueError(f'expected a list of messages under "{name}", found {excerpt(turns)}')
    return tuple(_message(place, turn) for place, turn in enumerate(turns, start=1))


def _message(place: int, turn: Any) -> Message:
    if not isinstance(turn, Mapping):
        raise ValueError(f"message {place}: expected an object, found {excerpt(turn)}")
    role_field, text_field = ("from", "value") if "from" in turn else ("role", "content")
    role, text = turn.get(role_field), turn.get(text_field)
    if not isinstance(role, str) or not isinstance(text, str):
        raise ValueError(
            f'message {place}: expected "role" and "content", or "from" and "value"; found {_names(turn)}'
        )
    if role.lower() not in _ROLES:
        raise ValueError(f"message {place}: expected a role of {', '.join(_ROLES)}; found {excerpt(role)}")
    return {"role": _ROLES[role.lower()], "content": text}


def _names(record: Mapping[str, Any]) -> str:
    """The fields that are there, for messages."""
    names = [excerpt(name) for name in list(record)[:_SHOWN_FIELDS]]
    more = f" and {len(record) - _SHOWN_FIELDS} more" if len(record) > _SHOWN_FIELDS else ""
    return ", ".join(names) + more if names else "no field at all"
