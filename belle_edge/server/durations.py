"""How long: what a user or a client writes as `10m`, `1h30m`, a number of seconds, or -1 for ever."""

from __future__ import annotations

import math
import re

from ..errors import excerpt

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d)")
_NUMBER = re.compile(r"-?\d+(\.\d*)?")
_MOST = 100 * 365 * 86400.0


def seconds_of(name: str, value: object) -> float:
    """Seconds; infinity for any negative value, as Ollama has it. ValueError, with `name`, for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return math.inf if value < 0 else min(float(value), _MOST)
    if isinstance(value, str) and len(value) < 50:
        text = value.strip().lower()
        if _NUMBER.fullmatch(text):
            return seconds_of(name, float(text))
        parts = _PART.findall(text.removeprefix("-"))
        if parts and "".join(number + unit for number, unit in parts) == text.removeprefix("-"):
            total = sum(float(number) * _UNITS[unit] for number, unit in parts)
            return math.inf if text.startswith("-") else min(total, _MOST)
    raise ValueError(f"{name}: expected a time as 30s, 10m, 1h30m, or -1 for ever, got {excerpt(value)}")
