"""A row of a table as an item of `Belle.batch`: plain values, settings under vLLM's names, a seed of its own."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..argument_names import unknown_argument
from ..errors import excerpt
from ..generation.item_settings import SETTINGS
from ..strict_json import JsonError, parse

QUESTIONS = ("prompt", "messages")
PARAMS = "sampling_params"
_WHOLE = ("max_tokens", "top_k", "seed")  # a table may hold them as floats
_NEUTRAL: Mapping[str, Any] = {  # settings of vLLM that this engine has no other value of
    "n": 1,
    "best_of": 1,
    "min_tokens": 0,
    "ignore_eos": False,
    "detokenize": True,
    "skip_special_tokens": True,
}


def row_item(row: Mapping[str, Any], *, seed: int, seed_by: str | None) -> dict[str, Any]:
    """prompt or messages, and settings. ValueError for a row that asks nothing, or a setting that is not known.

    seed_by: the column whose value gives the row's seed, together with `seed`; None: what is asked does.
    """
    asked = {name: row[name] for name in QUESTIONS if row.get(name) is not None}
    if not asked:
        raise ValueError("expected a prompt or messages, got neither")
    if "messages" in asked:
        asked["messages"] = _parsed("messages", asked["messages"])
    item = {**asked, **_settings(_parsed(PARAMS, row.get(PARAMS)))}
    if "seed" not in item:
        key = asked if seed_by is None else row.get(seed_by)
        if key is None:
            raise ValueError(f'"{seed_by}": expected what the seed follows from, got nothing')
        item["seed"] = row_seed(seed, key)
    return item


def row_seed(seed: int, key: Any) -> int:
    """64 bits that follow from both alone: the first of the SHA-256 of their JSON."""
    text = json.dumps([seed, key], ensure_ascii=False, sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "little")


def plain(value: Any) -> Any:
    """A cell as texts, numbers, lists and dicts, whatever holds it: NumPy, pandas, Arrow, Spark's rows.

    What is missing is None, and no entry of a dict.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if hasattr(value, "as_py"):  # a scalar of Arrow
        value = value.as_py()
    if hasattr(value, "asDict"):  # a row of Spark
        value = value.asDict()
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, Mapping):
        found = {str(name): plain(entry) for name, entry in value.items()}
        return {name: entry for name, entry in found.items() if entry is not None}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(entry) for entry in value]
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def _parsed(name: str, value: Any) -> Any:
    """A nested cell, which may be JSON text: not every table holds lists and dicts."""
    if not isinstance(value, str):
        return value
    try:
        return parse(value)
    except JsonError as error:
        raise ValueError(f"{name}: expected a list or a dict, or one as JSON text: {error}") from None


def _settings(params: Any) -> dict[str, Any]:
    if params is None:
        return {}
    if isinstance(params, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in params):
        params = dict(params)  # a map of Arrow is a list of pairs
    if not isinstance(params, Mapping):
        raise ValueError(f"{PARAMS}: expected names with values, got {excerpt(params)}")
    settings = {}
    for name, value in params.items():
        if name in _NEUTRAL and value == _NEUTRAL[name]:
            continue
        if name not in SETTINGS:
            raise unknown_argument(PARAMS, name, SETTINGS, noun="setting")
        settings[name] = int(value) if name in _WHOLE and _is_whole(value) else value
    if settings.get("top_k") == -1:  # all tokens, as vLLM writes it
        settings["top_k"] = 0
    return settings


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()
