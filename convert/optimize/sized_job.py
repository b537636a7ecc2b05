"""A plan under a size: the type of each matrix is chosen by what its rounding does to answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from belle_edge import _core
from belle_edge.convert.architectures.mapped_model import Metadata
from belle_edge.convert.gguf_writer import padding
from belle_edge.convert.job import Job, Planner
from belle_edge.convert.matrix_types import Shapes
from belle_edge.convert.optimize.sensitivity import Sensitivity
from belle_edge.convert.optimize.size_plan import Choice, cheapest_types, smallest_bytes
from belle_edge.convert.quantization import PlannedTensor
from belle_edge.convert.sources.source_tensors import BlockTensor
from belle_edge.convert.type_mixes import TYPES, row_bytes
from belle_edge.convert.type_rules import TypeRules
from belle_edge.errors import ConversionError

# Types that may be chosen: all with blocks, but the one of two bits.
LADDER = tuple(kind for kind in TYPES if _core.weight_types()[kind]["quantized"] and kind != "q2_k")


def check_rules(rules: TypeRules) -> None:
    """ConversionError for a type beside a size, which chooses the types."""
    given = f"--type {rules.type}" if rules.type else "--pure" if rules.pure else None
    if given:
        raise ConversionError(
            f"[target_size] chooses the types: leave {given} out (types of single matrices may be given)"
        )


def sized_job(
    job: Job, rules: TypeRules, plan: Planner, sensitivity: Sensitivity, *, n_bytes: int, room: Metadata
) -> Job:
    """The job of `n_bytes` at most whose rounding is estimated to change answers least.

    job: as planned without a size; it says which matrices come in blocks already, and the user's rules whose type is
    given: these keep them. room: entries that the file will have besides. ConversionError where no choice fits.
    """
    given = _given(job, rules)
    free = [tensor for tensor in job.planned if tensor.name not in given and _is_free(tensor)]
    if not free:
        raise ConversionError("[target_size] no matrix is left whose type may be chosen")
    choices = {tensor.name: _choices(tensor, sensitivity) for tensor in free}
    fixed = job.with_metadata(room).output_bytes - sum(_padded(tensor.n_bytes) for tensor in free)
    chosen = cheapest_types(choices, n_bytes - fixed)
    if chosen is None:
        smallest = fixed + smallest_bytes(choices)
        raise ConversionError(
            f"[target_size] {n_bytes:,} bytes: the smallest possible file of this model has {smallest:,}"
        )
    types = {
        tensor.name: tensor.type
        for tensor in job.planned
        if len(tensor.shape) == 2 and tensor.name not in given
    }
    types |= {name: choice.type for name, choice in chosen.items()}
    sized = plan(_rules_for(types, rules, {tensor.name: tensor.shape for tensor in job.planned}))
    assert sized.with_metadata(room).output_bytes <= n_bytes
    return sized


def _given(job: Job, rules: TypeRules) -> set[str]:
    """Matrices whose type the user named."""
    shapes = {tensor.name: tensor.shape for tensor in job.planned if len(tensor.shape) > 1}
    types = rules.types_of(shapes, n_layers=job.facts.n_layers, key_sharing=job.facts.key_sharing)
    return {name for name, choice in types.items() if choice.is_given}


def _is_free(tensor: PlannedTensor) -> bool:
    """Whether the type may be chosen: some type of the ladder fits, and its source's blocks are not to be kept."""
    source = tensor.tensor.source
    keeps_blocks = tensor.is_repacked and isinstance(source, BlockTensor) and source.keeps_blocks
    return len(tensor.shape) == 2 and not keeps_blocks and bool(fitting_types(tensor.shape[-1]))


def fitting_types(n_columns: int) -> list[str]:
    """The types of the ladder whose blocks divide rows of so many values."""
    kinds = _core.weight_types()
    return [kind for kind in LADDER if n_columns % kinds[kind]["block_size"] == 0]


def _choices(tensor: PlannedTensor, sensitivity: Sensitivity) -> Sequence[Choice]:
    costs = sensitivity.costs(tensor.tensor, fitting_types(tensor.shape[-1]))
    n_rows, n_columns = math.prod(tensor.shape[:-1]), tensor.shape[-1]
    return [Choice(kind, _padded(n_rows * row_bytes(kind, n_columns)), cost) for kind, cost in costs.items()]


def _padded(n_bytes: int) -> int:
    return n_bytes + padding(n_bytes)


def _rules_for(types: Mapping[str, str], given: TypeRules, shapes: Shapes) -> TypeRules:
    """Rules that give these matrices their types, and others what the user's say."""
    values: Counter[str] = Counter()
    for name, kind in types.items():
        values[kind] += math.prod(shapes[name])
    most = max(values, key=lambda kind: (values[kind], kind))
    return TypeRules(
        most,
        tensor_type=[*types.items(), *given.patterns],
        head_type=given.head_type,
        embedding_type=given.embedding_type,
        pure=True,
    )
