"""What both architecture files share: a mapped tensor, checked lookup of weights by name, the tied head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.source_tensors import FLOAT_TYPES, SourceTensor, to_float32
from belle_edge.errors import ConversionError, bounded

MetadataValue = bool | int | float | str | Sequence[str] | Sequence[int] | Sequence[float]
Metadata = dict[str, MetadataValue]
_COMPARED_VALUES = 1 << 20  # of a matrix at a time


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
            examples = ", ".join(bounded(tensor.name, 80) for tensor in list(self._tensors.values())[:3])
            raise ConversionError(
                f"[weights] {name} is missing from the checkpoint, which has {len(self._tensors)} tensors"
                f" ({examples}, …): files of it are missing, or its names are of another form"
            )
        tensor = self._tensors[name]
        if 0 in tensor.shape:
            raise ConversionError(
                f"[{tensor.file}] {tensor.name} is empty, shape {list(tensor.shape)}: DeepSpeed's ZeRO-3 writes such"
                " files where the weights are not gathered; save them gathered, or join its checkpoint with its"
                " zero_to_fp32.py"
            )
        return tensor


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
    if _are_equal(head, embedding):
        return None, None
    return head, (
        "lm_head.weight differs from the embedding, though config.json ties them: it is kept, as transformers 5 does"
        " (older versions used the embedding); tie_word_embeddings should be false"
    )


def _are_equal(first: SourceTensor, second: SourceTensor) -> bool:
    """Whether two matrices of one shape have the same values, a few MB at a time."""
    n_rows, n_cols = first.shape
    step = max(1, _COMPARED_VALUES // max(1, n_cols))
    return all(
        np.array_equal(to_float32(first.rows(row, end)), to_float32(second.rows(row, end)))
        for row in range(0, n_rows, step)
        for end in (min(row + step, n_rows),)
    )
