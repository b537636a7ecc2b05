"""Typed access to a checkpoint's config.json, whose keys have had several spellings over the years."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from belle_edge._core import MAX_SIZE, NORM_EPS_BOUNDS
from belle_edge.errors import ConversionError, excerpt

EPSILON = dict(zip(("above", "below"), NORM_EPS_BOUNDS, strict=True))  # what the engine accepts


@dataclass(frozen=True)
class ConfigReader:
    """Reads values under any of their spellings; a missing or mistyped one is a ConversionError."""

    values: Mapping[str, Any]

    def integer(self, *spellings: str, default: int | None = None) -> int:
        value = self._first(spellings)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise ConversionError(
                f"[config.json] expected a positive integer under {' or '.join(spellings)}, got {excerpt(value)}"
            )
        if value > MAX_SIZE:
            raise ConversionError(
                f"[config.json] {' or '.join(spellings)}: {excerpt(value)} is beyond {MAX_SIZE}"
            )
        return value

    def number(
        self, *spellings: str, default: float | None = None, above: float = 0.0, below: float = float("inf")
    ) -> float:
        """above, below: what the engine accepts, ends excluded."""
        value = self._first(spellings)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise ConversionError(
                f"[config.json] expected a positive number under {' or '.join(spellings)}, got {excerpt(value)}"
            )
        if not above < value < below:
            raise ConversionError(
                f"[config.json] expected a number above {above:g} and below {below:g} under {' or '.join(spellings)},"
                f" got {excerpt(value)}"
            )
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise ConversionError(f"[config.json] expected true or false under {name}, got {excerpt(value)}")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """The object under `name`; empty where it is absent or null."""
        value = self.values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise ConversionError(f"[config.json] expected an object under {name}, got {excerpt(value)}")
        return value

    def _first(self, spellings: tuple[str, ...]) -> Any:
        return next((self.values[name] for name in spellings if self.values.get(name) is not None), None)
