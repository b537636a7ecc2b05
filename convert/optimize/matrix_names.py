"""Which matrices of a file are rounded, and what moments call them."""

from __future__ import annotations

from collections.abc import Sequence

from belle_edge import _core
from belle_edge.convert.matrix_types import EMBEDDING, HEAD
from belle_edge.convert.moments import Moments
from belle_edge.convert.quantization import PlannedTensor
from belle_edge.errors import ConversionError


def quantized_matrices(planned: Sequence[PlannedTensor]) -> list[PlannedTensor]:
    """Those whose values become blocks here; not those that come in blocks."""
    kinds = _core.weight_types()
    return [
        tensor
        for tensor in planned
        if len(tensor.shape) == 2 and kinds[tensor.type]["quantized"] and not tensor.is_repacked
    ]


def name_among(moments: Moments, name: str, *, is_tied: bool) -> str | None:
    """What moments call the input of a matrix; None where they say nothing of it.

    Rows of an embedding that is looked up have no input. One that is the output matrix too has that one's.
    """
    known = set(moments.tensor_names)
    if name == EMBEDDING:
        found = [other for other in (EMBEDDING, HEAD) if is_tied and other in known]
        return found[0] if found else None
    return name if name in known else None


def names_among(moments: Moments, planned: Sequence[PlannedTensor]) -> dict[str, str]:
    """Name of each matrix that is rounded -> its name among the moments.

    ConversionError for a matrix of another width than its energies: they are of another model.
    """
    is_tied = all(tensor.name != HEAD for tensor in planned)
    names = {}
    for tensor in quantized_matrices(planned):
        name = name_among(moments, tensor.name, is_tied=is_tied)
        energies = moments.energies(name) if name is not None else None
        if name is None or energies is None:
            continue
        if energies.size != tensor.shape[-1]:
            raise ConversionError(
                f"[{moments.path.name}] {name}: energies of {energies.size:,} columns, and the matrix has"
                f" {tensor.shape[-1]:,}: it is of another model"
            )
        names[tensor.name] = name
    return names
