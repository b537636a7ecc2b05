"""llama.cpp as a measured process, through the low-level interface of llama-cpp-python.

Its settings are its best or its own: the whole prompt in one batch, T threads for everything, flash attention and
the mapping of the file as it chooses itself.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .loop import serve

_UBATCH = 512  # llama.cpp's own


class LlamaEngine:
    """A model and a context with one cache for all sequences."""

    def __init__(self) -> None:
        import llama_cpp

        self._api: Any = llama_cpp
        self._errors: list[str] = []
        self._callback = llama_cpp.llama_log_callback(self._log)  # kept: it may be called at any time
        llama_cpp.llama_log_set(self._callback, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._positions: list[int] = []

    def load(self, settings: dict[str, Any]) -> dict[str, Any]:
        api = self._api
        params = api.llama_model_default_params()
        params.n_gpu_layers = 0
        self._model = api.llama_model_load_from_file(os.fsencode(settings["model"]), params)
        if not self._model:
            raise RuntimeError(f"the model does not load: {self._last_errors()}")
        context = api.llama_context_default_params()
        context.n_ctx = settings["n_ctx"]
        context.n_batch = settings["n_batch"]
        context.n_ubatch = min(settings["n_batch"], _UBATCH)
        context.n_seq_max = settings["n_seq_max"]
        context.n_threads = context.n_threads_batch = settings["threads"]
        context.kv_unified = True  # one cache, no larger than what all sequences together need
        self._context = api.llama_init_from_model(self._model, context)
        if not self._context:
            raise RuntimeError(f"no context can be made: {self._last_errors()}")
        self._n_vocab = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self._model))
        self._batch = api.llama_batch_init(settings["n_batch"], 0, 1)
        return {
            "threads": api.llama_n_threads(self._context),
            "version": str(api.__version__),
            "cpu_flags": api.llama_print_system_info().decode("ascii", "replace").strip(" |"),
        }

    def prompt(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        api = self._api
        api.llama_memory_clear(api.llama_get_memory(self._context), True)
        self._positions = [0] * len(prompts)
        return self._decode(prompts)

    def step(self, tokens: Sequence[int]) -> list[int]:
        return self._decode([[token] for token in tokens])

    def _decode(self, entries: Sequence[Sequence[int]]) -> list[int]:
        batch, at, last = self._batch, 0, []
        for sequence, ids in enumerate(entries):
            for token_id in ids:
                batch.token[at] = token_id
                batch.pos[at] = self._positions[sequence]
                batch.n_seq_id[at] = 1
                batch.seq_id[at][0] = sequence
                batch.logits[at] = 0
                self._positions[sequence] += 1
                at += 1
            batch.logits[at - 1] = 1
            last.append(at - 1)
        batch.n_tokens = at
        code = self._api.llama_decode(self._context, batch)
        if code != 0:
            raise RuntimeError(f"llama_decode returned {code}: {self._last_errors()}")
        return [self._best(index) for index in last]

    def _best(self, index: int) -> int:
        logits = self._api.llama_get_logits_ith(self._context, index)
        return int(np.ctypeslib.as_array(logits, shape=(self._n_vocab,)).argmax())

    def _log(self, level: int, text: bytes | None, _data: object) -> None:
        if level == 4 and text:  # GGML_LOG_LEVEL_ERROR
            self._errors.append(text.decode("utf-8", "replace").strip())

    def _last_errors(self) -> str:
        return " / ".join(self._errors[-3:]) or "no reason given"


def main() -> None:
    """Serve."""
    serve(LlamaEngine())
