"""What both architecture files share: a mapped tensor, checked lookup of weights by name, the tied head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.tensors import FLOAT_TYPES, SourceTensor, to_float32
from belle_edge.errors import ConversionError

MetadataValue = bool | int | float | str | Sequence[str] | Sequence[int] | Sequence[float]
Metadata = dict[str, MetadataValue]


@dataclass(frozen=True)
class MappedTensor:
    """A tensor of the GGUF and where its rows come from."""

    name: str  # GGUF name
    source: SourceTensor
    row_order: NDArray[np.intp] | None = None  # source row of each row; None: as they are

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape


@dataclass(frozen=True)
class MappedModel:
    """A checkpoint read as one architecture: all that the GGUF needs except tokenizer and provenance."""

    architecture: str  # GGUF's name of it
    metadata: Metadata
    tensors: list[MappedTensor]  # in file order
    n_vocab_rows: int
    n_layers: int
    context_length: int
    kv_width: int  # values per token and layer in the key cache (the value cache is as wide)
    warnings: tuple[str, ...] = ()


class Weights:
    """The tensors of a checkpoint under their names without prefix, taken one by one, shapes checked.

    `prefix` ("transformer." or "model.") is present in ForCausalLM checkpoints and absent in bare ones.
    """

    def __init__(
        self, tensors: Mapping[str, SourceTensor], *, prefix: str, ignored_suffixes: tuple[str, ...]
    ) -> None:
        self._tensors: dict[str, SourceTensor] = {}
        for name, tensor in tensors.items():
            if name.endswith(ignored_suffixes):
                continue
            short_name = name.removeprefix("module.").removeprefix(prefix)
            if short_name in self._tensors:
                raise ConversionError(f"[{tensor.file}] {name}: there are two tensors for {short_name}")
            self._tensors[short_name] = tensor
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def n_rows(self, name: str) -> int:
        """Rows of a matrix that must exist, without taking it."""
        tensor = self._get(name)
        if len(tensor.shape) != 2:
            raise ConversionError(
                f"[{tensor.file}] {tensor.name}: expected a matrix, found shape {list(tensor.shape)}"
            )
        return tensor.shape[0]

    def take(self, name: str, *, shape: tuple[int, ...]) -> SourceTensor:
        """The tensor `name`, which must have `shape` and a float type."""
        tensor = self._get(name)
        if tensor.shape != shape:
            raise ConversionError(
                f"[{tensor.file}] {tensor.name}: expected shape {list(shape)}, found {list(tensor.shape)}"
            )
        if tensor.dtype not in FLOAT_TYPES:
            raise ConversionError(
                f"[{tensor.file}] {tensor.name}: stored as {tensor.dtype}, expected one of"
                f" {', '.join(FLOAT_TYPES)}"
                " (of quantized checkpoints those of GPTQ are read; else use the original)"
            )
        self._taken.add(name)
        return tensor

    def finish(self) -> None:
        """ConversionError if there are tensors that nobody took: a variant that would run wrongly."""
        left = sorted(self._tensors[name].name for name in self._tensors.keys() - self._taken)
        if left:
            more = f" and {len(left) - 4} more" if len(left) > 4 else ""
            raise ConversionError(
                f"[weights] tensors that this architecture does not have: {', '.join(left[:4])}{more}"
            )

    def _get(self, name: str) -> SourceTensor:
        if name not in self._tensors:
            raise ConversionError(
                f"[weights] {name} is missing from the checkpoint; it may be incomplete, download it again"
            )
        return self._tensors[name]


def head_tensor(
    weights: Weights, *, tied: bool, embedding: SourceTensor, shape: tuple[int, int]
) -> tuple[SourceTensor | None, str | None]:
    """(the output matrix or None if it is the embedding's, a warning or None).

    A GGUF without output.weight uses token_embd.weight, in llama.cpp too. Many checkpoints store it twice.
    """
    if "lm_head.weight" not in weights:
        if not tied:
            raise ConversionError(
                "[weights] lm_head.weight is missing, and config.json says tie_word_embeddings: false"
            )
        return None, None
    head = weights.take("lm_head.weight", shape=shape)
    if not tied:
        return head, None
    step = max(1, shape[0] // 64)
    same = all(
        np.array_equal(to_float32(head.rows(row, row + 1)), to_float32(embedding.rows(row, row + 1)))
        for row in range(0, shape[0], step)
    )
    if same:
        return None, None
    return (
        None,
        "lm_head.weight differs from the embedding, but config.json ties them: left out",
    )
