"""Checks that every public setting passes: whole numbers, numbers, token ids; and the settings of an engine."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from itertools import islice
from numbers import Real
from typing import Any

from ._core import MAX_THREADS
from .errors import excerpt

FLOAT_MAX = 3.4028234663852886e38  # the engine computes with float32: larger numbers are infinite there
FLOAT_MIN = 1.1754943508222875e-38  # and smaller ones lose their digits or become zero
_NO_LIST = (str, bytes, bytearray, memoryview, Mapping, Set)


@dataclass(frozen=True)
class EngineSettings:
    """How a model is loaded. ValueError, naming the setting, for a value of another kind or out of range."""

    threads: int | None = None  # None: every processor this process may use
    context: int | None = None  # tokens of prompt and answer together; None: as trained
    kv: str = "auto"
    isa: str | None = None

    def __post_init__(self) -> None:
        if self.threads is not None:
            checked = integer("[model] threads", self.threads, low=1, high=MAX_THREADS)
            object.__setattr__(self, "threads", checked)
        if self.context is not None:
            object.__setattr__(self, "context", integer("[model] context", self.context, low=1))
        for name, value in (("kv", self.kv), ("isa", self.isa)):
            if not isinstance(value, str) and not (name == "isa" and value is None):
                raise ValueError(f"[model] {name}: expected a name, got {excerpt(value)}")

    def context_of(self, trained: int) -> int:
        """The context of a model that was trained with `trained` positions. ValueError for more than that."""
        if self.context is None:
            return trained
        if self.context > trained:
            raise ValueError(
                f"[model] context: expected 1 to {trained} tokens (the model's own), got {excerpt(self.context)}"
            )
        return self.context


def integer(name: str, value: Any, *, low: int, high: int | None = None) -> int:
    """`value` as an int: an integer of Python or NumPy, no bool. ValueError unless it is in [low, high]."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        bounds = f"from {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name}: expected an integer {bounds}, got {excerpt(value)}")
    return number


def byte_count(name: str, value: Any) -> int:
    """A size in bytes: an integer, or a text as "512MB" or "1.5 GiB". ValueError for another, or a negative one."""
    if not isinstance(value, str):
        return integer(name, value, low=0)
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kMGT]?)(i?)B?\s*", value[:64], re.IGNORECASE)
    if found is None:
        raise ValueError(f"{name}: expected bytes, as 1000000, '512MB' or '2GiB', got {excerpt(value)}")
    power = "kmgt".index(found[2].lower()) + 1 if found[2] else 0
    return int(float(found[1]) * (1024 if found[3] else 1000) ** power)


def threads_or_all(name: str, value: Any) -> int:
    """A count of threads in which 0 stands for every usable processor."""
    return integer(name, value, low=0, high=MAX_THREADS)


def number(name: str, value: Any, *, low: float = -FLOAT_MAX, high: float = FLOAT_MAX) -> float:
    """`value` as an int or float that float32 can hold. ValueError unless it is a number in [low, high]."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if is_number and low <= value <= high:  # false for NaN
        return value if type(value) in (int, float) else float(value)
    raise ValueError(f"{name}: expected a number from {low:.9g} to {high:.9g}, got {excerpt(value)}")


def token_ids(name: str, ids: Any, *, most: int | None = None) -> list[int]:
    """A list, array or tensor of whole numbers as plain ids; the vocabulary's bounds are not checked here.

    most: no more than one id beyond this many is read. ValueError for texts, bytes, nested lists, floats.
    """
    is_list = isinstance(ids, Iterable) and not isinstance(ids, _NO_LIST)
    if not is_list:
        raise ValueError(f"{name}: expected a list of integers, got {excerpt(ids)}")
    if hasattr(ids, "tolist"):  # an array or tensor
        listed = ids.tolist() if most is None or not getattr(ids, "shape", ()) else ids[: most + 1].tolist()
    else:
        listed = list(ids if most is None else islice(ids, most + 1))
    if not isinstance(listed, list):  # an array without dimensions
        raise ValueError(f"{name}: expected a list of integers, got {excerpt(ids)}")
    if all(type(token_id) is int for token_id in listed):
        return listed
    return [_token_id(name, index, value) for index, value in enumerate(listed)]


def _token_id(name: str, index: int, value: Any) -> int:
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    raise ValueError(f"{name}: expected integers, got {excerpt(value)} at index {index}")
