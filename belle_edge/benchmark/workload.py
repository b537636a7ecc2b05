"""What a run computes, and how many bytes and operations that takes at least, from the file's header."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import _core
from ..memory import available_memory, check_memory, required_memory

USUAL_PROMPT = 512
BATCH_PROMPT = 32  # tokens that each sequence of the batch begins with
_QUANTIZED = _core.weight_types().keys() - _core.FLOAT_TYPES
_USUAL_CONTEXT = 2048
_READ_AHEAD_BYTES = 16 << 20


@dataclass(frozen=True)
class Weights:
    """What the matrices of a file ask of a token."""

    n_vocab: int
    bytes_per_token: int  # read for every token; the table of embeddings only where it is the head as well
    layers: int  # weights that every token of a prompt meets
    head: int  # weights that a prompt's last token meets
    bytes_by_type: Mapping[str, int]  # of all tensors of the file, the largest first
    quantized: bool  # most of the layers' are: the integer units do the work


@dataclass(frozen=True)
class Workload:
    """One file and the sizes of a run."""

    path: Path
    prompt: int  # tokens
    generate: int  # tokens after the first one
    batch: int  # sequences together
    weights: Weights
    kv_bytes_per_token_f16: int
    own_bytes: int  # memory that our engine needs
    peer_bytes: int  # and llama.cpp, which may keep the mapped file beside its own copy

    @property
    def prompt_ids(self) -> list[int]:
        """The prompt: ids from all over the vocabulary, the same each time."""
        return self._ids(self.prompt, 0)

    @property
    def batch_ids(self) -> list[list[int]]:
        """A short prompt for each sequence of the batch."""
        return [self._ids(min(BATCH_PROMPT, self.prompt), index + 1) for index in range(self.batch)]

    @property
    def cells(self) -> int:
        """Positions that a cache for all of this has."""
        return (
            max(self.prompt + self.generate, self.batch * (min(BATCH_PROMPT, self.prompt) + self.generate))
            + 1
        )

    @property
    def largest_pass(self) -> int:
        """Tokens of the largest pass."""
        return max(self.prompt, self.batch * min(BATCH_PROMPT, self.prompt))

    def bytes_per_token(self, kv_bytes_per_token: int) -> int:
        """Read for one decoded token: weights, and the cache at its mean length."""
        return self.weights.bytes_per_token + round(kv_bytes_per_token * (self.prompt + self.generate / 2))

    @property
    def prefill_operations(self) -> int:
        """Multiplications and additions of the prompt's matrix products."""
        return 2 * (self.weights.layers * self.prompt + self.weights.head)

    def both_fit(self) -> bool:
        """Whether our engine and llama.cpp can be loaded at once, with the file in the page cache."""
        available = available_memory()
        return available is None or self.own_bytes + self.peer_bytes <= available.n_bytes

    def _ids(self, n_tokens: int, seed: int) -> list[int]:
        n_vocab = self.weights.n_vocab
        first = min(300, n_vocab // 2)  # behind special tokens and bytes
        return [first + (seed * 7919 + i * 104_729) % (n_vocab - first) for i in range(n_tokens)]


def read_workload(path: Path, *, prompt: int | None, generate: int, batch: int) -> Workload:
    """From the header of `path`. prompt None: 512 tokens, or what the context leaves.

    Raises OSError, ModelFormatError, InsufficientMemoryError, or ValueError for a prompt and an answer that exceed the
    context that the model was trained with.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder: expected a GGUF file")
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    file = _core.GgufFile(str(path))
    trained = _trained_context(file)
    if prompt is None:
        prompt = max(1, min(USUAL_PROMPT, trained - generate))
    if prompt + generate > trained:
        raise ValueError(
            f"--prompt {prompt} and --generate {generate} exceed the model's context of {trained} tokens"
        )
    context = min(trained, max(prompt, batch * min(BATCH_PROMPT, prompt)) + generate)
    own = check_memory(file, context=context)
    peer = required_memory(file, context=context, kv="f16")
    return Workload(
        path=path,
        prompt=prompt,
        generate=generate,
        batch=batch,
        weights=_weights(file),
        kv_bytes_per_token_f16=peer.kv_bytes_per_token,
        own_bytes=own.total,
        peer_bytes=peer.total + file.size_bytes,
    )


def _trained_context(file: _core.GgufFile) -> int:
    stated = file.get(f"{file.get('general.architecture')}.context_length")
    return stated if isinstance(stated, int) and stated > 0 else _USUAL_CONTEXT


def _weights(file: _core.GgufFile) -> Weights:
    matrices = {tensor.name: tensor for tensor in file.tensors() if len(tensor.shape) == 2}
    embedding, output = (matrices.pop(name, None) for name in ("token_embd.weight", "output.weight"))
    head = embedding if output is None else output
    n_bytes = sum(tensor.n_bytes for tensor in file.tensors())
    if output is not None and embedding is not None:
        n_bytes -= embedding.n_bytes  # a token reads one row of it
    layers = sum(math.prod(tensor.shape) for tensor in matrices.values())
    quantized = sum(math.prod(tensor.shape) for tensor in matrices.values() if tensor.type in _QUANTIZED)
    bytes_by_type: Counter[str] = Counter()
    for tensor in file.tensors():
        bytes_by_type[tensor.type] += tensor.n_bytes
    return Weights(
        n_vocab=0 if embedding is None else embedding.shape[0],
        bytes_per_token=n_bytes,
        layers=layers,
        head=0 if head is None else math.prod(head.shape),
        bytes_by_type=dict(bytes_by_type.most_common()),
        quantized=2 * quantized > layers,
    )


def warm(path: Path) -> None:
    """Read the file once, so that it is in the page cache."""
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(_READ_AHEAD_BYTES)
        while file.readinto(buffer):
            pass
