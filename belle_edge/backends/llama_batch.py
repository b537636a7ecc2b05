"""The input of llama_decode: NumPy memory under llama.cpp's `llama_batch`, and passes cut to its limits."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import LogitsMode

MAX_TOKENS = 512  # of one llama_decode
MAX_OUTPUTS = 64  # rows of logits of one llama_decode: llama.cpp reserves n_vocab floats for each


@dataclass(frozen=True)
class Chunk:
    """One pass: the batch is filled with its tokens."""

    n_tokens: int
    outputs: NDArray[np.int64]  # indices in the batch whose logits are wanted


class Batch:
    """A reusable llama_batch; `struct` is what llama_decode takes."""

    def __init__(self, api: Any) -> None:
        self._ids = np.zeros(MAX_TOKENS, dtype=np.int32)
        self._positions = np.zeros(MAX_TOKENS, dtype=np.int32)
        self._slots = np.zeros(MAX_TOKENS, dtype=np.int32)
        self._n_slots = np.ones(MAX_TOKENS, dtype=np.int32)
        self._wanted = np.zeros(MAX_TOKENS, dtype=np.int8)
        offsets = np.arange(MAX_TOKENS, dtype=np.uintp) * np.uintp(self._slots.itemsize)
        self._slot_pointers = np.uintp(self._slots.ctypes.data) + offsets  # one slot per token
        columns = {
            "token": self._ids,
            "pos": self._positions,
            "n_seq_id": self._n_slots,
            "seq_id": self._slot_pointers,
            "logits": self._wanted,
        }
        types = dict(api.llama_batch._fields_)
        self.struct = api.llama_batch()
        for name, array in columns.items():
            setattr(self.struct, name, ctypes.cast(array.ctypes.data, types[name]))

    def plan(
        self,
        *,
        slots: NDArray[np.integer[Any]],
        ids: NDArray[np.int32],
        positions: NDArray[np.integer[Any]],
        ends: NDArray[np.integer[Any]],
        logits: LogitsMode,
        most: int = MAX_TOKENS,
    ) -> Iterator[Chunk]:
        """Fill the batch with one pass after the other; arrays are [n_tokens], `ends` the entries' ends in them.

        most: tokens of a pass; llama.cpp takes no more than a small cache holds.
        """
        wanted = np.full(len(ids), logits == "all", dtype=np.int8)
        if logits == "last":
            wanted[ends - 1] = 1
        counted = np.cumsum(wanted)
        start = 0
        while start < len(ids):
            limit = (counted[start - 1] if start else 0) + MAX_OUTPUTS
            stop = min(start + min(most, MAX_TOKENS), int(np.searchsorted(counted, limit, side="right")))
            n_tokens = stop - start
            self._ids[:n_tokens] = ids[start:stop]
            self._positions[:n_tokens] = positions[start:stop]
            self._slots[:n_tokens] = slots[start:stop]
            self._wanted[:n_tokens] = wanted[start:stop]
            self.struct.n_tokens = n_tokens
            yield Chunk(n_tokens, np.flatnonzero(wanted[start:stop]))
            start = stop
