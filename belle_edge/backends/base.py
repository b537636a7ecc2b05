"""The protocol that every engine fulfils: sequences, forward passes over several of them, samplers."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..sampling import SamplingParams
from ..text.tokenizer import Tokenizer
from ..text.vocabulary import Metadata

TokenIds = Sequence[int] | NDArray[np.int32]
LogitsMode = Literal["last", "all", "none"]
Decode = bool | Sequence[bool]  # for all entries of a batch, or for each
Bytes = bytes | bytearray | memoryview | mmap.mmap


class ScoredToken(NamedTuple):
    """A chosen token with natural log-probabilities under the model's own distribution: the softmax of the raw
    logits, before penalties, bias and temperature."""

    token_id: int
    logprob: float
    top: Sequence[tuple[int, float]]  # the most probable tokens, best first: (id, log-probability)


class ScoredRows(NamedTuple):
    """Given tokens under the model's own distribution, see `Backend.forward_scores`."""

    logprobs: NDArray[np.float64]  # [n_targets], natural
    greedy: NDArray[
        np.bool_
    ]  # [n_targets]: whether it is the most probable token, the lowest id of equal ones


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

    def discard(self, begin: int, end: int) -> None:
        """Drop positions [begin, end); later ones move down, their keys turned to the new positions.

        ValueError unless 0 <= begin <= end <= length.
        """

    def save(self) -> bytes:
        """The whole state, for `Backend.restore` of the same model."""


class SamplerState(Protocol):
    """Chooses tokens under fixed settings; holds the penalties' history and the random state."""

    def accept(self, ids: TokenIds) -> None:
        """Add tokens to the history that penalties look at."""

    def resume(self, ids: TokenIds) -> None:
        """These were chosen before, with the same settings: penalties count them, their random numbers are used up."""

    def allow(self, words: NDArray[np.uint32]) -> None:
        """The next choice is one of these: bit i % 32 of word i / 32 stands for token i. Words [ceil(n_vocab / 32)];
        they are copied."""

    def sample(self, logits: NDArray[np.float32]) -> int:
        """Choose from `logits` [n_vocab], accept the choice and forget what was allowed."""


# A sequence, the tokens that it gets, places among these (ascending, one perhaps several times), and for each of these
# places the token whose score is wanted there, as the next one.
ScoreEntry = tuple[SequenceState, TokenIds, TokenIds, TokenIds]


class Backend(Protocol):
    """A loaded model. Every method may be called from any thread; a sequence is in one call at a time."""

    @property
    def name(self) -> str: ...

    def new_rest(self) -> Any:
        """For a pass that may rest between layers, see `forward`; None: an engine whose passes cannot."""

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

    def tokenizer(self) -> Tokenizer:
        """The file's. Raises ModelFormatError or UnsupportedModelError."""

    def new_sequence(self) -> SequenceState: ...

    def restore(self, data: Bytes) -> SequenceState:
        """Inverse of `SequenceState.save`. ValueError for damaged bytes or another model's."""

    def new_sampler(self, params: SamplingParams) -> SamplerState: ...

    def forward(
        self,
        batch: Sequence[tuple[SequenceState, TokenIds]],
        *,
        logits: LogitsMode = "last",
        decode: Decode = False,
        stop: Callable[[], bool] | None = None,
        resting: Any = None,
    ) -> list[NDArray[np.float32]]:
        """Append tokens to each sequence in one pass; logits per entry: [1, n_vocab], [n_tokens, n_vocab] or
        empty.

        decode: whether the model itself chose these tokens; an engine may compute them in another way than a
        prompt's. In the native engine nothing but this and the tokens before it decides what a row becomes.
        ValueError for ids out of range or empty entries. On an error every sequence keeps the length it had.
        resting: of `new_rest`. Where `stop`, asked between layers, says True the pass rests, and the result is empty.
        No sequence is longer then. The same batch goes on with the same `resting`, whatever else ran meanwhile; where
        one of its sequences was changed it begins anew. All entries are of one phase then, up to 512 tokens.
        """

    def forward_sample(
        self,
        batch: Sequence[tuple[SequenceState, TokenIds, SamplerState]],
        *,
        decode: Decode = False,
        outcomes: list[Any] | None = None,
        stop: Callable[[], bool] | None = None,
        resting: Any = None,
    ) -> list[int]:
        """As `forward`, then each sampler chooses and accepts the next token of its sequence.

        Without `outcomes` the first sampler's error is raised, and every sequence keeps the length it had. With it, an
        empty list, every sequence moves on, and the list gets each token, or the error in its place: all at once, so
        that an interruption finds it empty, with everything as it was, or complete. It is the result, too.
        """

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
        """As `forward_sample`, with log-probabilities: of the choice, and of the `top_logprobs` best tokens.

        The choices are the same as without. What `outcomes` gets is `ScoredToken`s or plain tuples of the same.
        """

    def forward_scores(self, batch: Sequence[ScoreEntry]) -> list[ScoredRows]:
        """Append tokens to each sequence, as a prompt's, and score given tokens in some of their rows.

        The scores of an entry are in the order of its places. However many rows are scored, and whatever the size of
        the vocabulary, few rows of logits are in memory at a time. ValueError for ids out of range and empty entries.
        After an error the sequences are of no use.
        """

    def close(self) -> None:
        """Release the weights. Calling it twice is fine."""
