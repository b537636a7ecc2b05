"""The engine of this package as a measured process: `python -m belle_edge.benchmark.children.measured_native`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import _core
from ...backends.native import NativeBackend
from ...model import Belle
from .loop import serve


class NativeEngine:
    """Loads as a user does, tokenizer included; then passes of the C++ model itself."""

    def __init__(self) -> None:
        self._belle: Belle | None = None
        self._sequences: list[_core.Sequence] = []
        self._samplers: list[_core.Sampler] = []

    def load(self, settings: dict[str, Any]) -> dict[str, Any]:
        self._belle = Belle.load(
            Path(settings["model"]),
            threads=settings["threads"],
            isa=settings["isa"],
            memory_check=False,  # the parent has checked
        )
        details = self._belle.details
        return {name: details[name] for name in ("isa", "threads", "kv_bytes_per_token", "weight_bytes")}

    def prompt(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        self._sequences = []  # their pages go back first
        self._sequences = [self._model.new_sequence() for _ in prompts]
        self._samplers = [_core.Sampler(temperature=0) for _ in prompts]
        return self._model.forward_sample(list(zip(self._sequences, prompts, self._samplers, strict=True)))

    def step(self, tokens: Sequence[int]) -> list[int]:
        entries = [[token] for token in tokens]
        triples = list(zip(self._sequences, entries, self._samplers, strict=True))
        return self._model.forward_sample(triples, decode=True)

    def profile(self, request: dict[str, Any]) -> dict[str, Any]:
        """Times by operation: of one prompt, and of the tokens after it."""
        model = self._model
        start = time.perf_counter()
        model.start_profile()
        tokens = self.prompt([request["prompt"]])
        prefill = {"wall_s": time.perf_counter() - start, "operations": model.stop_profile()}
        start = time.perf_counter()
        model.start_profile()
        for _ in range(request["generate"]):
            tokens = self.step(tokens)
        return {
            "prefill": prefill,
            "decode": {"wall_s": time.perf_counter() - start, "operations": model.stop_profile()},
        }

    @property
    def _model(self) -> _core.Model:
        if self._belle is None or not isinstance(self._belle.backend, NativeBackend):
            raise ValueError("no model is loaded")
        return self._belle.backend.model


if __name__ == "__main__":
    serve(NativeEngine())
