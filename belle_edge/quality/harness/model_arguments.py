"""What follows `--model_args` and `--batch_size` of lm-eval's command, for our engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...model import Belle
from ...settings import integer

_LOADING = ("path", "backend", "threads", "context", "kv", "isa", "family", "chat_template", "memory_check")
_OWN = ("max_length", "max_gen_toks", "add_bos_token", "prefix_token_id", "batch_size")
_MAX_BATCH = 16


def belle_of(given: Mapping[str, Any]) -> Belle:
    """The model that the arguments name. ValueError for an unknown one and without `path`; else as `Belle.load`."""
    unknown = sorted(given.keys() - {*_LOADING, *_OWN})
    if unknown:
        advice = ": write path=FILE.gguf" if unknown[0] == "pretrained" else ""
        raise ValueError(
            f"[harness] model argument '{unknown[0]}' is unknown{advice} (known: {', '.join([*_LOADING, *_OWN])})"
        )
    if "path" not in given:
        raise ValueError("[harness] model arguments: expected path=FILE.gguf")
    loading = {name: given[name] for name in _LOADING if name in given}
    return Belle.load(str(loading.pop("path")), **loading)


def own_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `BelleLM` itself."""
    return {name: given[name] for name in _OWN if name in given}


def max_batch_of(batch_size: Any) -> int:
    """Answers at a time: "auto" or nothing leaves it to us. ValueError for what is no number from 1."""
    if batch_size is None or str(batch_size).startswith("auto"):
        return _MAX_BATCH
    number = int(batch_size) if isinstance(batch_size, str) and batch_size.isdecimal() else batch_size
    return integer("[harness] batch_size", number, low=1)
