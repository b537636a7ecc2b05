"""The llama.cpp engine, through llama-cpp-python's low-level interface: every architecture that it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..errors import BelleError, UnsupportedModelError
from ..process_lock import ProcessLock
from ..sampling import SamplingParams
from ..settings import token_ids
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
from .llama_config import (
    check_cache_type,
    config_of,
    cpu_features,
    default_kv_type,
    kv_bytes_per_token,
    may_resize_cache,
)
from .llama_context import LlamaContext
from .llama_library import import_library
from .llama_probe import extra_buffers_work
from .llama_rpc import checked_servers, rpc_devices
from .llama_state import fingerprint, pack, unpack
from .llama_tokenizer import LlamaTokenizer
from .model_file import ModelFile, opened
from .row_scores import scores_from_logits
from .samplers import core_sampler

_FIRST_CELLS = 4096  # tokens


class LlamaCppBackend:
    """A GGUF of any architecture that the installed llama.cpp runs, on the CPU.

    The key/value cache is allocated at load for min(context, 4096) tokens, all sequences together, and doubles
    when they need more. Passes run one at a time; several threads may call.
    """

    name = "llama.cpp"

    def __init__(
        self,
        file: ModelFile,
        *,
        threads: int | None = None,
        context: int | None = None,
        kv: str = "auto",
        rpc_servers: Sequence[str] = (),
    ) -> None:
        """context None: as trained. rpc_servers: they hold the layers, in place of this machine. OSError,
        ModelFormatError, UnsupportedModelError, BackendMissingError, BackendError, or ValueError for an unknown KV
        type."""
        if kv not in ("auto", *_core.KV_TYPES):
            raise ValueError(f"[model] KV type '{kv}' is unknown: expected auto, f32, f16 or q8")
        self._metadata = opened(file)  # its header is checked, where that can be done
        self.path, self.lock = Path(self._metadata.path), ProcessLock()
        self._extra_buffers = extra_buffers_work()
        self._library = import_library()
        self._rpc_servers = checked_servers(rpc_servers)
        devices = rpc_devices(self._library, self._rpc_servers) if self._rpc_servers else None
        self._threads = threads or _core.cpu_info()["usable_threads"]
        self._kv_type = default_kv_type(self._metadata) if kv == "auto" else kv
        self._fingerprint = fingerprint(self.path, self._library.version)
        self._context: LlamaContext | None = None
        self._metadata.verify_data(threads=self._threads)  # llama.cpp knows nothing of our checksums
        self._model = self._library.load_model(self.path, extra_buffers=self._extra_buffers, devices=devices)
        try:
            self._metadata.check_in_place()  # what llama.cpp opened by its path is what was checked
            self._check_decoder()
            self._config = config_of(self._library, self._model, self._metadata)
            check_cache_type(self._kv_type, self._config)
            self._context = LlamaContext(
                self._library,
                self._model,
                n_cells=min(context or self._config["context_length"], _FIRST_CELLS),
                threads=self._threads,
                kv_type=self._kv_type,
                may_grow=may_resize_cache(self._metadata),
                offloaded=devices is not None,
            )
        except BaseException:
            self.close()
            raise

    @property
    def context(self) -> LlamaContext:
        """The cache of all sequences. Raises ValueError once closed."""
        if self._context is None:
            raise ValueError("[model] it is closed; load it again")
        return self._context

    @property
    def metadata(self) -> Metadata:
        return self._metadata

    @property
    def config(self) -> Mapping[str, Any]:
        return self._config

    @property
    def details(self) -> Mapping[str, Any]:
        with self.lock:
            n_cells = self.context.n_cells
            weight_bytes = int(self._library.api.llama_model_size(self._model))
        per_token = kv_bytes_per_token(self._config, self._metadata, self._kv_type)
        return {
            "isa": cpu_features(self._library),
            "threads": self._threads,
            "kv_type": self._kv_type,
            "weight_bytes": weight_bytes,
            "kv_bytes_per_token": per_token,
            "kv_bytes": per_token * n_cells,
            "kv_tokens": n_cells,
            "repacked_weights": self._extra_buffers,
            "llama_cpp_python": self._library.version,
            **({"rpc_servers": list(self._rpc_servers)} if self._rpc_servers else {}),
        }

    def tokenizer(self) -> Tokenizer:
        """Ours where it knows the vocabulary, so that both engines see the same ids; else llama.cpp's."""
        try:
            return Tokenizer.from_metadata(self._metadata)
        except BelleError as error:
            try:
                tokenizer = LlamaTokenizer(self._library, self.path, self._metadata)
            except BelleError:
                raise error from None
            self._metadata.check_in_place()  # it opened the path once more
            return tokenizer

    def new_sequence(self) -> SequenceState:
        with self.lock:
            return LlamaSequence(self, self.context.new_slot())

    def restore(self, data: Bytes) -> SequenceState:
        ids, state = unpack(self._fingerprint, self._kv_type, bytes(data))
        with self.lock:
            return LlamaSequence(self, self.context.restore(ids, state))

    def pack(self, ids: Sequence[int], state: bytes) -> bytes:
        """What `restore` reads."""
        return pack(self._fingerprint, self._kv_type, ids, state)

    def new_rest(self) -> None:
        """Its passes cannot rest."""

    def new_sampler(self, params: SamplingParams) -> SamplerState:
        return core_sampler(params)

    def forward(
        self,
        batch: Sequence[tuple[SequenceState, TokenIds]],
        *,
        logits: LogitsMode = "last",
        decode: Decode = False,  # llama.cpp knows no difference
        stop: Callable[[], bool] | None = None,
        resting: Any = None,
    ) -> list[NDArray[np.float32]]:
        if logits not in ("last", "all", "none"):
            raise ValueError(f"logits: expected last, all or none, got '{logits}'")
        with self.lock:
            entries = [(self._slot_of(sequence), self._checked(sequence, ids)) for sequence, ids in batch]
            if len({slot for slot, _ in entries}) < len(entries):
                raise ValueError(
                    "the same sequence appears twice in one batch: join its tokens into one entry"
                )
            return self.context.decode(entries, logits) if entries else []

    def forward_sample(
        self,
        batch: Sequence[tuple[SequenceState, TokenIds, SamplerState]],
        *,
        decode: Decode = False,
        outcomes: list[Any] | None = None,
        stop: Callable[[], bool] | None = None,
        resting: Any = None,
    ) -> list[int]:
        return self._choices(batch, -1, outcomes)

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
        chosen = self._choices(batch, top_logprobs, outcomes)
        return chosen if outcomes is not None else [ScoredToken(*token) for token in chosen]

    def forward_scores(self, batch: Sequence[ScoreEntry]) -> list[ScoredRows]:
        return scores_from_logits(self, batch)

    def _choices(
        self,
        batch: Sequence[tuple[SequenceState, TokenIds, SamplerState]],
        top_logprobs: int,
        outcomes: list[Any] | None,
    ) -> list[Any]:
        """A token of each entry, with log-probabilities if top_logprobs is 0 or more."""
        chosen: list[Any] = [] if outcomes is None else outcomes
        with _all_or_nothing(batch, outcomes):
            rows = self.forward([(sequence, ids) for sequence, ids, _ in batch])
            samplers: list[Any] = [sampler for _, _, sampler in batch]
            _core.choose_tokens(
                [row[0] for row in rows], samplers, top_logprobs=top_logprobs, outcomes=chosen
            )
            errors = [token for token in chosen if isinstance(token, Exception)]
            if outcomes is None and errors:
                raise errors[0]
        return chosen

    def close(self) -> None:
        if not self.lock.usable:  # a forked child: llama.cpp would wait for threads that do not exist here
            self._context = self._model = None
            return
        with self.lock:
            if self._context is not None:
                self._context.close()
                self._context = None
            if self._model:
                self._library.api.llama_model_free(self._model)
                self._model = None

    def __del__(self) -> None:
        if getattr(self, "_model", None):
            self.close()

    def _slot_of(self, sequence: SequenceState) -> int:
        if not isinstance(sequence, LlamaSequence) or sequence.backend is not self:
            raise ValueError("a sequence belongs to another model")
        return sequence.slot

    def _checked(self, sequence: SequenceState, ids: TokenIds) -> list[int]:
        """Plain ids. ValueError for none, one out of range, or more than the model's positions."""
        checked = token_ids("token ids", ids)
        if not checked:
            raise ValueError("a batch entry has no tokens: give at least one")
        n_vocab, trained = self._config["vocab_size"], self._config["context_length"]
        for token_id in checked:
            if not 0 <= token_id < n_vocab:
                raise ValueError(f"token id {token_id} is outside the vocabulary of {n_vocab}")
        if sequence.length + len(checked) > trained:  # llama.cpp ends the process where positions run out
            raise ValueError(f"a sequence would exceed the {trained} tokens that this model was trained for")
        return checked

    def _check_decoder(self) -> None:
        """UnsupportedModelError for encoders: llama.cpp loads them, but they do not continue text."""
        api, model = self._library.api, self._model
        if api.llama_model_has_encoder(model) or not api.llama_model_has_decoder(model):
            raise UnsupportedModelError(
                f"[llama.cpp] {self.path.name} ({self._metadata.get('general.architecture')}) has an encoder: "
                "only models that continue a text are run"
            )


class LlamaSequence:
    """One slot of the backend's cache; given back when nobody holds the sequence any more."""

    def __init__(self, backend: LlamaCppBackend, slot: int) -> None:
        self.backend, self.slot = backend, slot
        self._context = backend.context

    @property
    def length(self) -> int:
        return len(self._context.slots[self.slot])

    def tokens(self) -> NDArray[np.int32]:
        return np.array(self._context.slots[self.slot], dtype=np.int32)

    def fork(self) -> SequenceState:
        with self.backend.lock:
            return LlamaSequence(self.backend, self.backend.context.fork(self.slot))

    def truncate(self, length: int) -> None:
        with self.backend.lock:
            if not 0 <= length <= self.length:
                raise ValueError(f"cannot truncate a sequence of {self.length} tokens to {length}")
            self.backend.context.cut(self.slot, length)

    def discard(self, begin: int, end: int) -> None:
        with self.backend.lock:
            if not 0 <= begin <= end <= self.length:
                raise ValueError(
                    f"cannot discard positions {begin} to {end} of a sequence of {self.length} tokens"
                )
            self.backend.context.discard(self.slot, begin, end)

    def save(self) -> bytes:
        with self.backend.lock:
            return self.backend.pack(self._context.slots[self.slot], self.backend.context.state(self.slot))

    def __del__(self) -> None:
        # Any thread, at any moment, even inside a pass: the slot is only noted, and freed before the next pass.
        if context := getattr(self, "_context", None):
            context.abandoned.append(self.slot)


@contextmanager
def _all_or_nothing(
    batch: Sequence[tuple[SequenceState, TokenIds, SamplerState]], outcomes: list[Any] | None
) -> Iterator[None]:
    """Sequences get back the length they had if an error comes after the pass, as from a sampler; unless `outcomes`
    hold what was chosen."""
    before = [(sequence, sequence.length) for sequence, _, _ in batch]
    try:
        yield
    except BaseException:
        for sequence, length in before if not outcomes else ():
            if sequence.length > length:
                sequence.truncate(length)
        raise
