"""What types cost: how far answers are from the float model's, measured on two small trained models, and bytes.

The figures are mean Kullback-Leibler divergences of the next token's distribution from the float model's, in nats, of
files that llama.cpp ran: benchmarks/fidelity.py. The files are ours, but for q4_k_m and iq4_xs of LLaMA, which
llama.cpp's quantizer made; its errors ours do not exceed. BLOOM: 23 million parameters, tied, 4,350 tokens of 60
held-out texts. LLaMA: SmolLM2-135M-Instruct, whose published Q4_1 file, dequantized, is the original; 4,875 tokens, of
llama.cpp's files 3,674. The rows of that model are narrow, and its original flatters 4-bit types with minima. Larger
models lose less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from belle_edge.convert.matrix_types import stored_bytes, types_in_mix
from belle_edge.convert.type_mixes import DEFAULT_TYPE, NAMES, mix_named, row_bytes

_ARCHITECTURES = ("bloom", "llama")
_MEASURED: tuple[tuple[str, tuple[float | None, ...]], ...] = (  # (type, (BLOOM, LLaMA))
    ("f16", (0.0, 0.0)),  # nothing in the digits that are shown
    ("q8_0", (0.000105, None)),
    ("q5_k_m", (0.000912, None)),
    ("q4_k_m", (0.002526, 0.0718)),
    ("q4_k_s", (0.002269, None)),
    ("q4_0", (0.003737, 0.3706)),
    ("iq4_m", (0.00256, 0.2114)),
    ("iq4_xs", (0.003046, 0.2431)),
)
_OFFERED = ("f16", "q8_0", "q5_k_m", "q4_k_m", DEFAULT_TYPE)  # largest first


@dataclass(frozen=True)
class TypeCost:
    """Of a type or mix, for the model at hand."""

    type: str
    weight_bytes: int
    divergence: float | None  # of the small model of its architecture; None where it was not measured


def type_cost(
    type: str, shapes: Mapping[str, tuple[int, ...]], architecture: str, *, n_layers: int, key_sharing: int
) -> TypeCost:
    """What a file of this type would have. shapes: of all tensors, by GGUF's names."""
    matrices = {name: shape for name, shape in shapes.items() if len(shape) > 1}
    types = types_in_mix(mix_named(type), matrices, n_layers=n_layers, key_sharing=key_sharing)
    vectors = sum(math.prod(shape) for name, shape in shapes.items() if name not in matrices)
    n_bytes = stored_bytes(types, matrices) + vectors * row_bytes("f32", 1)
    return TypeCost(type, n_bytes, divergence(type, architecture))


def other_costs(
    own: str, shapes: Mapping[str, tuple[int, ...]], architecture: str, **shape: int
) -> list[TypeCost]:
    """Of what a user may take instead of `own`, largest first."""
    offered = [name for name in _OFFERED if name in NAMES and name != own]
    return [type_cost(name, shapes, architecture, **shape) for name in offered]


def divergence(type: str, architecture: str) -> float | None:
    """As measured; None where it was not."""
    measured = dict(_MEASURED).get(type)
    return measured[_ARCHITECTURES.index(architecture)] if measured else None
