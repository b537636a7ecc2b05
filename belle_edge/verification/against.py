"""A GGUF file against the checkpoint it was made from: every tensor, read once from front to back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .comparison import TensorComparison, TensorError
from .scale_search import found_scales
from .tensor_rows import TensorRows, is_readable

if TYPE_CHECKING:
    from .._core import GgufFile, TensorInfo
    from ..convert import SourceOptions
    from ..convert.architectures.mapped_model import MappedModel, MappedTensor
    from ..convert.sources.checkpoint import Checkpoint


@dataclass(frozen=True)
class Source:
    """A checkpoint, and how its tensors map to those of a GGUF."""

    checkpoint: Checkpoint
    model: MappedModel


@dataclass(frozen=True)
class Comparison:
    """All tensors of a file against their source."""

    source: str
    tensors: list[TensorError]
    problems: list[str]
    n_scaled_inputs: int = (
        0  # whose columns were compared as scaled, and with them the norms or rows before them
    )

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "tensors": [tensor.to_dict() for tensor in self.tensors],
            "n_scaled_inputs": self.n_scaled_inputs,
        }


@dataclass
class _NothingDone:
    tensors: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)


def open_source(src: str | Path, options: SourceOptions | None = None) -> Source:
    """Open a source as `convert` does; `options` is its SourceOptions. Raises ConversionError and HubError."""
    from ..convert.architectures import read_model
    from ..convert.sources.opening import open_checkpoint

    checkpoint = open_checkpoint(src, options)
    return Source(checkpoint, read_model(checkpoint.config, checkpoint.weights))


def compare_tensors(
    file: GgufFile,
    source: Source,
    *,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Comparison:
    """Every tensor dequantized against the source's values in GGUF's order, a few MB at a time.

    Raises ConversionError for a source that is damaged. `progress` gets source bytes done and in all.
    """
    stored = {tensor.name: tensor for tensor in file.tensors()}
    scales = found_scales(file, source.model, threads=threads)
    problems = list(_structural_problems(stored, source.model))
    pairs = {
        tensor.name: (scales.applied(tensor), stored[tensor.name])
        for tensor in source.model.tensors
        if tensor.name in stored and _is_comparable(tensor, stored[tensor.name])
    }
    found = {error.name: error for error in _errors(file, source, pairs, threads, progress)}
    errors = [found[name] for name in stored if name in found]
    problems += [error.problem for error in errors if not error.ok]
    return Comparison(source.checkpoint.files.name, errors, problems, scales.n_inputs)


def _structural_problems(stored: dict[str, TensorInfo], model: MappedModel) -> Iterator[str]:
    """Tensors that only one side has, or that differ in shape."""
    expected = {tensor.name: tensor for tensor in model.tensors}
    for name in sorted(stored.keys() - expected.keys()):
        yield f"{name}: expected no such tensor from the source, the file has one"
    for name, tensor in expected.items():
        if name not in stored:
            yield f"{name}: expected from the source, the file has no such tensor"
        elif stored[name].shape != tensor.shape:
            yield f"{name}: expected shape {list(tensor.shape)}, got {list(stored[name].shape)}"
        elif not is_readable(stored[name]):
            yield f"{name}: type {stored[name].type} is not read here, so it was not compared"


def _is_comparable(tensor: MappedTensor, stored: TensorInfo) -> bool:
    return stored.shape == tensor.shape and is_readable(stored)


def _errors(
    file: GgufFile,
    source: Source,
    pairs: dict[str, tuple[MappedTensor, TensorInfo]],
    threads: int,
    progress: Callable[[int, int], object] | None,
) -> Iterator[TensorError]:
    """The result of each tensor when its last block has been compared."""
    from ..convert.background_reader import read_in_background
    from ..convert.quantization import PlannedTensor
    from ..convert.reading import FileRead, reading_order, source_blocks
    from ..convert.sources.source_tensors import to_float32

    # Planned as f32, so that tensors in blocks come as values.
    planned = [PlannedTensor(tensor, "f32", 0, tensor.source.n_bytes) for tensor, _ in pairs.values()]
    total_bytes, done_bytes = sum(tensor.n_bytes for tensor in planned), 0
    comparisons: dict[str, TensorComparison] = {}
    passes = reading_order(source.checkpoint.weight_files, planned, _NothingDone())
    for block in read_in_background(source_blocks(passes)):
        if isinstance(block, FileRead):
            continue
        name = block.tensor.name
        if name not in comparisons:
            comparisons[name] = _comparison(file, *pairs[name], threads=threads)
        comparisons[name].add(block.start, to_float32(block.rows))
        done_bytes += block.n_source_bytes
        if progress is not None:
            progress(done_bytes, total_bytes)
        if block.is_last:
            yield comparisons.pop(name).result()


def _comparison(
    file: GgufFile, tensor: MappedTensor, stored: TensorInfo, *, threads: int
) -> TensorComparison:
    from .._core import weight_types
    from ..convert.optimize.receipt import METHOD
    from ..convert.sources.source_tensors import BlockTensor

    same_blocks = isinstance(tensor.source, BlockTensor) and tensor.source.block_type == stored.type
    is_quantized = len(stored.shape) > 1 and weight_types()[stored.type]["quantized"]
    return TensorComparison(
        TensorRows(file, stored, threads=threads),
        name=stored.name,
        type=stored.type,
        shape=stored.shape,
        row_order=tensor.row_order,
        same_blocks=same_blocks,
        has_feedback=METHOD in file and is_quantized and not same_blocks,
    )
