"""The engine of this package: a thin wrapper around the C++ extension."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..sampling import SamplingParams
from ..text.tokenizer import Tokenizer
from ..text.vocabulary import Metadata
from .base import (
    Bytes,
    Decode,
    LogitsMode,
    SamplerState,
    ScoredRows,
    ScoredToken,
    ScoreEntry,
    SequenceState,
    TokenIds,
)
from .model_file import ModelFile, opened
from .samplers import core_sampler


class NativeBackend:
    """A GGUF of architecture bloom or llama, with its weights packed for this CPU."""

    name = "native"

    def __init__(
        self,
        file: ModelFile,
        *,
        threads: int | None = None,
        kv: str = "auto",
        isa: str | None = None,
        progress: _core.LoadProgress | None = None,
    ) -> None:
        """OSError, ModelFormatError, UnsupportedModelError, or ValueError for an unknown ISA or KV type."""
        self._metadata = opened(file)
        self._model: _core.Model | None = _core.Model(
            self._metadata, threads=threads or 0, isa=isa or "", kv_type=kv, progress=progress
        )

    @property
    def model(self) -> _core.Model:
        """The C++ model. Raises ValueError once closed."""
        if self._model is None:
            raise ValueError("[model] it is closed; load it again")
        return self._model

    @property
    def metadata(self) -> Metadata:
        return self._metadata

    @property
    def config(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self.model.config)

    @property
    def details(self) -> Mapping[str, Any]:
        model = self.model
        return {
            "isa": model.isa,
            "threads": model.threads,
            "kv_type": model.kv_type,
            "weight_bytes": model.weight_bytes,
            "kv_bytes_per_token": model.kv_bytes_per_token,
            "kv_bytes": model.kv_bytes,
        }

    def tokenizer(self) -> Tokenizer:
        return Tokenizer.from_metadata(self._metadata)

    def new_sequence(self) -> SequenceState:
        return self.model.new_sequence()

    def restore(self, data: Bytes) -> SequenceState:
        return self.model.restore(data)

    def new_rest(self) -> _core.RestingBatch:
        return _core.RestingBatch()

    def new_sampler(self, params: SamplingParams) -> SamplerState:
        return core_sampler(params)

    def forward(
        self,
        batch: Sequence[tuple[SequenceState, TokenIds]],
        *,
        logits: LogitsMode = "last",
        decode: Decode = False,
        stop: Callable[[], bool] | None = None,
        resting: Any = None,
    ) -> list[NDArray[np.float32]]:
        pairs = cast("list[tuple[_core.Sequence, TokenIds]]", batch)
        return self.model.forward(pairs, logits=logits, decode=decode, stop=stop, resting=resting)

    def forward_sample(
        self,
        batch: Sequence[tuple[SequenceState, TokenIds, SamplerState]],
        *,
        decode: Decode = False,
        outcomes: list[Any] | None = None,
        stop: Callable[[], bool] | None = None,
        resting: Any = None,
    ) -> list[int]:
        triples = cast("list[tuple[_core.Sequence, TokenIds, _core.Sampler]]", batch)
        return self.model.forward_sample(
            triples, decode=decode, outcomes=outcomes, stop=stop, resting=resting
        )  # type: ignore[return-value]

    def forward_sample_scored(
        self,
        batch: Sequence[tuple[SequenceState, TokenIds, SamplerState]],
        *,
        top_logprobs: int,
        decode: Decode = False,
        outcomes: list[Any] | None = None,
        stop: Callable[[], bool] | None = None,
        resting: Any = None,
    ) -> list[ScoredToken]:
        triples = cast("list[tuple[_core.Sequence, TokenIds, _core.Sampler]]", batch)
        if outcomes is not None:
            return self.model.forward_sample(  # type: ignore[return-value]
                triples,
                top_logprobs=top_logprobs,
                decode=decode,
                outcomes=outcomes,
                stop=stop,
                resting=resting,
            )
        scored = self.model.forward_sample(
            triples, top_logprobs=top_logprobs, decode=decode, stop=stop, resting=resting
        )
        return [ScoredToken(*chosen) for chosen in scored]

    def forward_scores(self, batch: Sequence[ScoreEntry]) -> list[ScoredRows]:
        entries = cast("list[tuple[_core.Sequence, TokenIds, TokenIds, TokenIds]]", batch)
        return [ScoredRows(*scores) for scores in self.model.forward_scores(entries)]

    def close(self) -> None:
        self._model = None
