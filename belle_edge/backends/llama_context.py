"""Token sequences in one key/value cache of llama.cpp, which grows when they need more room.

Slots are llama.cpp's sequence ids. All slots share one unified cache of cells; a fork shares the cells of its
source. Nothing here locks: the backend does.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, UnsupportedModelError
from .base import LogitsMode
from .llama_batch import MAX_OUTPUTS, MAX_TOKENS, Batch
from .llama_config import CACHE_TYPES
from .llama_interrupt import Interruptible
from .llama_library import Library

_CELL_STEP = 256  # llama.cpp rounds caches up to this
_FIRST_SLOTS = 16
_NO_ROOM, _ABORTED = 1, 2  # what llama_decode returns


class LlamaContext:
    """The cache and its slots. After an error every slot keeps the tokens it had."""

    def __init__(
        self,
        library: Library,
        model: Any,
        *,
        n_cells: int,
        threads: int,
        kv_type: str,
        may_grow: bool = True,
        offloaded: bool = False,
    ) -> None:
        """n_cells: the room to begin with, in tokens of all sequences together. offloaded: where the layers are, on
        other devices. Raises BackendError."""
        self._offloaded = offloaded
        self._library, self._api, self._model = library, library.api, model
        self._threads, self._kv_type, self._may_grow = threads, kv_type, may_grow
        self.n_vocab = int(self._api.llama_vocab_n_tokens(self._api.llama_model_get_vocab(model)))
        self.slots: dict[int, list[int]] = {}  # slot -> the ids in the cache
        self._sharing: set[int] = set()  # slots that may share cells with others
        self.abandoned: deque[int] = deque()  # slots whose owners are gone; any thread may append
        self._batch = Batch(self._api)
        self._interruptible = Interruptible(self._api)
        self._shift_pending = False  # positions were moved; llama.cpp turns the keys in its next pass
        self._n_slots = _FIRST_SLOTS
        self._context = self._open(n_cells, _FIRST_SLOTS)

    @property
    def n_cells(self) -> int:
        """Tokens of all sequences together that fit before the cache grows."""
        return int(self._api.llama_n_ctx(self._context))

    def new_slot(self) -> int:
        """An empty sequence."""
        self._reap()
        if len(self.slots) == self._n_slots:
            limit = int(self._api.llama_max_parallel_sequences())
            if self._n_slots >= limit:
                raise BackendError(f"[llama.cpp] it holds {limit} sequences at once: release some first")
            self._rebuild(self.n_cells, min(2 * self._n_slots, limit))
        slot = next(index for index in range(self._n_slots) if index not in self.slots)
        self.slots[slot] = []
        return slot

    def fork(self, slot: int) -> int:
        """A second sequence that shares the cells of `slot`."""
        child = self.new_slot()
        self._api.llama_memory_seq_cp(self._memory, slot, child, -1, -1)
        self.slots[child] = list(self.slots[slot])
        self._sharing |= {slot, child}
        return child

    def cut(self, slot: int, length: int) -> None:
        """Drop what follows `length` tokens. A state that cannot be cut (recurrent models) is computed anew."""
        ids = self.slots[slot][:length]
        if not self._api.llama_memory_seq_rm(self._memory, slot, length, -1):
            self._recompute(slot, ids)
        self.slots[slot] = ids

    def discard(self, slot: int, begin: int, end: int) -> None:
        """Drop positions [begin, end) and move the later ones down."""
        ids = self.slots[slot]
        kept = ids[:begin] + ids[end:]
        if end == len(ids):
            self.cut(slot, begin)
        elif begin < end:
            if self._api.llama_memory_can_shift(self._memory):
                self._own_cells(slot)  # a cell has one position, and forks keep the old one
                self._api.llama_memory_seq_rm(self._memory, slot, begin, end)
                self._api.llama_memory_seq_add(self._memory, slot, end, -1, begin - end)
                self._shift_pending = True
            else:
                self._recompute(slot, kept)
            self.slots[slot] = kept

    def state(self, slot: int) -> bytes:
        """llama.cpp's own bytes of a sequence; empty for an empty one."""
        self._finish_shift()
        return self._state_of(self._context, slot)

    def restore(self, ids: Sequence[int], state: bytes) -> int:
        """A new sequence from `state`. Raises ValueError where llama.cpp refuses it."""
        slot = self.new_slot()
        if state and not self._set_state(self._context, slot, state):
            self._grow(len(ids))
            if not self._set_state(self._context, slot, state):
                self.release(slot)
                raise ValueError(f"llama.cpp cannot read the saved state{self._library.take_errors()}")
        self.slots[slot] = list(ids)
        return slot

    def release(self, slot: int) -> None:
        self._api.llama_memory_seq_rm(self._memory, slot, -1, -1)
        self._sharing.discard(slot)
        del self.slots[slot]

    def decode(
        self, entries: Sequence[tuple[int, Sequence[int]]], logits: LogitsMode
    ) -> list[NDArray[np.float32]]:
        """Append ids to slots; logits per entry [n, n_vocab] as `Backend.forward` says."""
        self._reap()
        before = [(slot, len(self.slots[slot])) for slot, _ in entries]
        try:
            rows = self._decode_all(entries, before, logits)
            self.slots.update({slot: [*self.slots[slot], *ids] for slot, ids in entries})
        except BaseException:
            for slot, length in before:
                self.cut(slot, length)
            raise
        return rows

    def close(self) -> None:
        self._interruptible.close()
        self._api.llama_free(self._context)
        self._context = None

    @property
    def _memory(self) -> Any:
        return self._api.llama_get_memory(self._context)

    def _open(self, n_cells: int, n_slots: int) -> Any:
        api = self._api
        params = api.llama_context_default_params()
        kv = getattr(api, f"GGML_TYPE_{CACHE_TYPES[self._kv_type].upper()}")
        settings = {
            "n_ctx": -(-n_cells // _CELL_STEP) * _CELL_STEP,
            "n_batch": MAX_TOKENS,
            "n_ubatch": MAX_TOKENS,
            "n_seq_max": n_slots,
            "n_outputs_max": MAX_OUTPUTS,
            "n_threads": self._threads,
            "n_threads_batch": self._threads,
            "type_k": kv,
            "type_v": kv,
            "kv_unified": True,
            "swa_full": True,  # keeps what truncate and discard may go back to
            "offload_kqv": self._offloaded,
            "op_offload": self._offloaded,
            "no_perf": True,
        }
        if self._kv_type == "f32":
            settings["flash_attn_type"] = 0  # LLAMA_FLASH_ATTN_TYPE_DISABLED: it would add up values in f16
        known = {name for name, *_ in params._fields_}
        for name, value in settings.items():
            if name in known:  # versions differ in the newest fields
                setattr(params, name, value)
        context = api.llama_init_from_model(self._model, params)
        if not context:
            raise BackendError(
                f"[llama.cpp] cannot create a cache of {n_cells} tokens, probably for lack of memory: "
                f"use fewer sequences at once or a smaller context{self._library.take_errors()}"
            )
        if not api.llama_get_memory(context):
            api.llama_free(context)
            raise UnsupportedModelError("[llama.cpp] this model has no cache: it does not continue a text")
        return context

    def _decode_all(
        self,
        entries: Sequence[tuple[int, Sequence[int]]],
        before: Sequence[tuple[int, int]],
        logits: LogitsMode,
    ) -> list[NDArray[np.float32]]:
        counts = [len(ids) for _, ids in entries]
        plan = self._batch.plan(
            slots=np.repeat([slot for slot, _ in entries], counts),
            ids=np.concatenate([np.asarray(ids, dtype=np.int32) for _, ids in entries]),
            positions=np.concatenate(
                [np.arange(start, start + count) for (_, start), count in zip(before, counts, strict=True)]
            ),
            ends=np.cumsum(counts),
            logits=logits,
            most=int(self._api.llama_n_batch(self._context)),
        )
        n_rows = [{"last": 1, "all": count, "none": 0}[logits] for count in counts]
        rows = np.empty((sum(n_rows), self.n_vocab), dtype=np.float32)
        done = 0
        for chunk in plan:
            self._decode_chunk(chunk.n_tokens)
            for index in chunk.outputs:
                address = self._api.llama_get_logits_ith(self._context, int(index))
                rows[done] = np.ctypeslib.as_array(address, shape=(self.n_vocab,))
                done += 1
        return np.split(rows, np.cumsum(n_rows)[:-1])

    def _decode_chunk(self, n_tokens: int) -> None:
        """One llama_decode of the filled batch, with a larger cache if this one is full."""
        while True:
            code = self._interruptible.decode(self._context, self._batch.struct)
            self._shift_pending = False
            if code == 0:
                return
            if code != _NO_ROOM:
                reason = "was interrupted" if code == _ABORTED else f"failed with code {code}"
                raise BackendError(f"[llama.cpp] llama_decode {reason}{self._library.take_errors()}")
            self._grow(n_tokens)

    def _recompute(self, slot: int, ids: list[int]) -> None:
        """Fill a slot from its tokens alone."""
        self._api.llama_memory_seq_rm(self._memory, slot, -1, -1)
        if ids:
            self._decode_all([(slot, ids)], [(slot, 0)], "none")

    def _reap(self) -> None:
        while self.abandoned:
            self.release(self.abandoned.popleft())

    def _finish_shift(self) -> None:
        """Have moved keys turned now, by computing one token a second time: states do not record open turns."""
        slot = next((slot for slot, ids in self.slots.items() if ids), None)
        if self._shift_pending and slot is not None:
            last = len(self.slots[slot]) - 1
            self._api.llama_memory_seq_rm(self._memory, slot, last, -1)
            self._decode_all([(slot, self.slots[slot][last:])], [(slot, last)], "none")
        self._shift_pending = False

    def _own_cells(self, slot: int) -> None:
        """Give a slot that may share cells with forks some of its own."""
        if slot not in self._sharing:
            return
        copy = self.restore(self.slots[slot], self.state(slot))
        self._api.llama_memory_seq_rm(self._memory, slot, -1, -1)
        self._api.llama_memory_seq_cp(self._memory, copy, slot, -1, -1)
        self.release(copy)
        self._sharing.discard(slot)

    def _grow(self, n_new: int) -> None:
        """Twice the room, or what all sequences need without sharing. Raises BackendError."""
        if not self._may_grow:
            raise BackendError(
                f"[llama.cpp] the cache of {self.n_cells} tokens is full, and this model's rotary factors depend "
                "on its size: load the file with a larger context"
            )
        last = [self._api.llama_memory_seq_pos_max(self._memory, slot) for slot in self.slots]
        self._rebuild(max(2 * self.n_cells, sum(last) + len(last) + n_new), self._n_slots)

    def _rebuild(self, n_cells: int, n_slots: int) -> None:
        """Move every sequence into a new cache."""
        self._finish_shift()
        fresh = self._open(n_cells, n_slots)
        for slot in self.slots:
            state = self._state_of(self._context, slot)
            if state and not self._set_state(fresh, slot, state):
                self._api.llama_free(fresh)
                raise BackendError(f"[llama.cpp] cannot enlarge the cache{self._library.take_errors()}")
        self._api.llama_free(self._context)
        self._context, self._n_slots = fresh, n_slots

    def _state_of(self, context: Any, slot: int) -> bytes:
        memory = self._api.llama_get_memory(context)
        if self._api.llama_memory_seq_pos_max(memory, slot) < 0:
            return b""
        n_bytes = self._api.llama_state_seq_get_size(context, slot)
        buffer = np.empty(n_bytes, dtype=np.uint8)
        written = self._api.llama_state_seq_get_data(context, _bytes_of(buffer), n_bytes, slot)
        return buffer[:written].tobytes()

    def _set_state(self, context: Any, slot: int, state: bytes) -> bool:
        buffer = np.frombuffer(state, dtype=np.uint8)
        return bool(self._api.llama_state_seq_set_data(context, _bytes_of(buffer), len(state), slot))


def _bytes_of(buffer: NDArray[np.uint8]) -> Any:
    """A pointer to the memory of `buffer`, which must outlive it."""
    return ctypes.cast(buffer.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
