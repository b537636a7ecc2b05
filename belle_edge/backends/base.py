"""The protocol that every engine fulfils: sequences, forward passes over several of them, samplers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..sampling import SamplingParams
from ..vocabulary import Metadata

TokenIds = Sequence[int] | NDArray[np.int32]
LogitsMode = Literal["last", "all", "none"]


class SequenceState(Protocol):
    """One token sequence with its key/value cache."""

    @property
    def length(self) -> int:
        """Tokens in the cache."""

    def tokens(self) -> NDArray[np.int32]:
        """The ids in the cache, in order."""

    def fork(self) -> SequenceState:
        """A second sequence with the same content."""

    def truncate(self, length: int) -> None:
        """Drop everything from position `length` on. ValueError if it exceeds the current length."""

    def save(self) -> bytes:
        """The whole state, for `Backend.restore` of the same model."""


class SamplerState(Protocol):
    """Chooses tokens under fixed settings; holds the penalties' history and the random state."""

    def accept(self, ids: TokenIds) -> None:
        """Add tokens to the history that penalties look at."""

    def sample(self, logits: NDArray[np.float32]) -> int:
        """Choose from `logits` [n_vocab] and accept the choice."""


class Backend(Protocol):
    """A loaded model. Every method may be called from any thread; a sequence is in one call at a time."""

    @property
    def name(self) -> str: ...

    @property
    def metadata(self) -> Metadata:
        """The file's GGUF metadata."""

    @property
    def config(self) -> Mapping[str, Any]:
        """architecture, n_layers, n_heads, n_kv_heads, head_dim, hidden_size, feed_forward_size, vocab_size,
        context_length."""

    @property
    def details(self) -> Mapping[str, Any]:
        """How it runs, for reports: threads, instruction-set tier, KV type, sizes in bytes."""

    def new_sequence(self) -> SequenceState: ...

    def restore(self, data: bytes) -> SequenceState:
        """Inverse of `SequenceState.save`. ValueError for damaged bytes or another model's."""

    def new_sampler(self, params: SamplingParams) -> SamplerState: ...

    def forward(
        self, batch: Sequence[tuple[SequenceState, TokenIds]], *, logits: LogitsMode = "last"
    ) -> list[NDArray[np.float32]]:
        """Append tokens to each sequence in one pass; logits per entry: [1, n_vocab], [n_tokens, n_vocab] or
        empty.

        ValueError for ids out of range or empty entries. On an error every sequence keeps the length it had.
        """

    def forward_sample(self, batch: Sequence[tuple[SequenceState, TokenIds, SamplerState]]) -> list[int]:
        """As `forward`, then each sampler chooses and accepts the next token of its sequence."""

    def close(self) -> None:
        """Release the weights. Calling it twice is fine."""
