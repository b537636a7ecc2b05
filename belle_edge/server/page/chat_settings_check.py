"""Settings of a chat, and of one answer: the names that the page may set, and their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ...errors import excerpt
from ...sampling import SAMPLING_NUMBERS, SamplingParams
from ...settings import integer

_OTHERS = ("seed", "max_tokens", "overflow")
_MOST_TOKENS = 1 << 20
_MOST_SEED = 2**53 - 1  # what JavaScript's numbers hold


def checked_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not null. ValueError, naming the setting, for an unknown one and a value out of range."""
    settings = {name: value for name, value in given.items() if value is not None}
    for name in settings:
        if name not in (*SAMPLING_NUMBERS, *_OTHERS):
            raise ValueError(f"[chat] unknown setting {excerpt(name)}")
    SamplingParams().merged(**{name: settings[name] for name in SAMPLING_NUMBERS if name in settings})
    if "seed" in settings:
        integer("[chat] seed", settings["seed"], low=0, high=_MOST_SEED)
    if "max_tokens" in settings:
        integer("[chat] max_tokens", settings["max_tokens"], low=1, high=_MOST_TOKENS)
    if settings.get("overflow", "error") not in ("error", "slide"):
        raise ValueError(f"[chat] overflow: expected 'error' or 'slide', got {excerpt(settings['overflow'])}")
    return settings


def max_tokens_of(settings: Mapping[str, Any], context: int, most: int | None) -> int:
    """Of an answer: what the chat says, else half of the context; within what the server allows."""
    wanted = int(settings.get("max_tokens") or max(1, context // 2))
    return wanted if most is None else min(wanted, most)


def overflow_of(settings: Mapping[str, Any], asked: str | None) -> Literal["error", "slide"]:
    """What this answer does in a full context: as asked for it, else as the chat says."""
    return "slide" if (asked or settings.get("overflow")) == "slide" else "error"
