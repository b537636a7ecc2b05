"""`/set` in a chat: the settings of an answer by name, shown and changed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..languages import msg, t

if TYPE_CHECKING:
    from ..generation.conversation import Conversation

DEFAULT = "default"  # as a value: the model's own
_KINDS: Mapping[str, Callable[[str], Any]] = {
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "repetition_penalty": float,
    "presence_penalty": float,
    "frequency_penalty": float,
    "penalty_scope": str,
    "seed": int,
    "stop": lambda text: [text],
    "max_tokens": int,
}
_EXPECTED = {int: msg("a whole number"), float: msg("a number")}
NAMES = tuple(_KINDS)


def all_settings(conversation: Conversation) -> list[str]:
    """A line for each setting, and how to change one."""
    lines = [f"  {name:<19}{shown(conversation, name)}" for name in NAMES]
    return [*lines, t("/set NAME VALUE changes one, /set NAME {default} takes that back.", default=DEFAULT)]


def named(argument: str) -> tuple[str, str]:
    """Name and text of the value in `temperature 0.8`, `temperature=0.8`, `top-k 40`. ValueError for another name."""
    words = argument.replace("=", " ", 1).split(maxsplit=1)
    name = words[0].lower().replace("-", "_") if words else ""
    if name not in _KINDS:
        nearest = difflib.get_close_matches(name, NAMES, n=1)
        advice = f"did you mean {nearest[0]}? " if nearest else ""
        raise ValueError(f"/set: unknown setting {name!r}: {advice}there are {', '.join(NAMES)}")
    return name, words[1].strip() if len(words) > 1 else ""


def value_of(name: str, value: str) -> Any:
    """The value as `Conversation.configure` takes it; None for the model's own. ValueError for another kind."""
    if value == DEFAULT:
        return None
    kind = _KINDS[name]
    try:
        return kind(value)
    except ValueError:
        expected = _EXPECTED[kind]  # type: ignore[index]
        raise ValueError(f"/set {name}: expected {expected}, or {DEFAULT}; got {value!r}") from None


def shown(conversation: Conversation, name: str) -> str:
    """The setting in force."""
    if name == "max_tokens":
        return f"{conversation.max_tokens}"
    value = getattr(conversation.settings, name)
    if name == "seed" and value is None:
        return t("random")
    if name == "stop":
        return ", ".join(repr(text) for text in value) or t("none")
    return f"{value:g}" if isinstance(value, float) else str(value)
