"""What one prompt of many may say of itself: its text or dialogue, and settings under the names that Python has."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ..errors import excerpt
from ..sampling import SAMPLING_NUMBERS

SETTINGS = (  # of one prompt
    "max_tokens",
    *SAMPLING_NUMBERS,
    "penalty_scope",
    "seed",
    "stop",
    "raw",
    "schema",
    "choice",
)
_CONSTRAINTS = ("schema", "choice")  # one takes the place of the other


def own_settings(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among the fields of an item; None stands for none. ValueError for one of the wrong kind."""
    settings = {name: fields[name] for name in SETTINGS if fields.get(name) is not None}
    if not isinstance(settings.get("raw", False), bool):
        raise ValueError(f"raw: expected true or false, got {excerpt(settings['raw'])}")
    if any(name in settings for name in _CONSTRAINTS):
        settings |= {name: settings.get(name) for name in _CONSTRAINTS}
    return settings


def meant_setting(name: str) -> str | None:
    """The setting that a field's name looks like without being it; None for a field that is plain data."""
    if name in SETTINGS or len(name) < 4:
        return None
    return next(iter(get_close_matches(name.lower().replace("-", "_"), SETTINGS, n=1, cutoff=0.85)), None)
