"""A streamer that prints, and seeding as in transformers, for programs without transformers."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np

from ..text.terminal_text import printable
from .array_tensors import to_lists


class TextStreamer:
    """Prints an answer while it is written; only whole characters. For `generate(streamer=…)`, one row."""

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, **decode_options: Any) -> None:
        """decode_options: for the tokenizer's decode, as skip_special_tokens=True."""
        self._tokenizer = tokenizer
        self._skip_next = skip_prompt
        self._options = decode_options
        self._ids: list[int] = []
        self._n_printed = 0  # characters

    def put(self, value: Any) -> None:
        """Token ids [n] or [1, n]: first the prompt's, then each new one. ValueError for several rows."""
        listed = to_lists(value)
        if listed and isinstance(listed[0], list):
            if len(listed) > 1:
                raise ValueError("[streamer] prints one row only")
            listed = listed[0]
        elif len(listed) > 1:
            raise ValueError("[streamer] prints one row only")
        if self._skip_next:
            self._skip_next = False
            return
        self._ids += listed
        text = self._tokenizer.decode(self._ids, **self._options)
        self._print(text[self._n_printed :].rstrip("\ufffd"))

    def end(self) -> None:
        """No more tokens: print the rest and a line break."""
        text = self._tokenizer.decode(self._ids, **self._options)
        self.on_finalized_text(text[self._n_printed :], stream_end=True)
        self._ids, self._n_printed = [], 0

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Prints; subclasses may do something else."""
        shown = printable(text) if sys.stdout.isatty() else text
        print(shown, end="\n" if stream_end else "", flush=True)

    def _print(self, text: str) -> None:
        self._n_printed += len(text)
        if text:
            self.on_finalized_text(text)


def set_seed(seed: int) -> None:
    """Seed Python's, NumPy's and (where it is in use) torch's random state, and so what `generate` samples."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
