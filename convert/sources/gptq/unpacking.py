"""GPTQ checkpoints, BELLE's own and AutoGPTQ's: each matrix under the name that an unquantized checkpoint gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from belle_edge.convert.sources.checkpoint_files import CheckpointFiles, parse_json
from belle_edge.convert.sources.gptq.packed_tensor import (
    GptqParts,
    GptqTensor,
    RepackedGptqTensor,
    RequantizedGptqTensor,
    read_layout,
)
from belle_edge.convert.sources.gptq.stored_zeros import ZERO_OFFSETS, Sample, read_convention
from belle_edge.convert.sources.source_tensors import FLOAT_TYPES, SourceTensor
from belle_edge.errors import ConversionError

_PARTS = (".qweight", ".qzeros", ".scales", ".g_idx")


@dataclass(frozen=True)
class UnpackedWeights:
    """The weights of a checkpoint under plain names, and what was found out about how they were stored."""

    weights: dict[str, SourceTensor]
    provenance: dict[str, str] = field(default_factory=dict)  # metadata keys of the output
    warnings: tuple[str, ...] = ()


def is_gptq(weights: Mapping[str, SourceTensor]) -> bool:
    """Whether there is a matrix in GPTQ's form."""
    return any(name.endswith(".qweight") for name in weights)


def quantization_settings(files: CheckpointFiles, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its quantization; empty where it says nothing."""
    own = config.get("quantization_config")
    return {
        **(parse_json("quantize_config.json", files.read("quantize_config.json")) or {}),
        **(own if isinstance(own, dict) else {}),
    }


def unpack_gptq(
    weights: Mapping[str, SourceTensor], settings: Mapping[str, Any], *, zeros: str | None = None
) -> UnpackedWeights:
    """Replace X.qweight, X.qzeros, X.scales and X.g_idx by X.weight; weights without any of them come as they are.

    settings: see quantization_settings. zeros: "minus-one" or "plain", None: found out. Raises ConversionError for
    other kinds of quantization, parts that are missing or do not fit together, and zeros that nothing explains.
    """
    _check_method(weights, settings)
    if not is_gptq(weights):
        return UnpackedWeights(dict(weights))
    group_size = settings.get("group_size")
    samples = {}
    for name in weights:
        if name.endswith(".qweight"):
            parts = _parts(weights, name.removesuffix(".qweight"))
            layout = read_layout(parts, group_size=group_size if isinstance(group_size, int) else None)
            stored = parts.stored_zeros(layout.bits)
            constant = int(stored[0, 0]) if (stored == stored[0, 0]).all() else None
            samples[name] = Sample(parts, layout, constant)
    convention, warning = read_convention(list(samples.values()), settings, zeros)
    unpacked: dict[str, SourceTensor] = {
        name: tensor for name, tensor in weights.items() if not name.endswith(_PARTS)
    }
    for sample in samples.values():
        if sample.parts.name in unpacked:
            file = sample.parts.qweight.file
            raise ConversionError(f"[{file}] {sample.parts.name}: it is there both plain and quantized")
        unpacked[sample.parts.name] = _tensor(sample, ZERO_OFFSETS[convention])
    provenance = {"belle.source.gptq.zeros": convention}
    return UnpackedWeights(unpacked, provenance, (warning,) if warning else ())


def _check_method(weights: Mapping[str, SourceTensor], settings: Mapping[str, Any]) -> None:
    """ConversionError for packed weights of another method; a setting left over beside float weights is harmless."""
    bitsandbytes = settings.get("load_in_8bit") or settings.get("load_in_4bit")
    method = settings.get("quant_method") or ("bitsandbytes" if bitsandbytes else "gptq")
    packed = (
        name
        for name, tensor in weights.items()
        if name.endswith(("weight", "qweight")) and tensor.dtype not in FLOAT_TYPES
    )
    first = next(packed, None)
    if method != "gptq" and first is not None:
        raise ConversionError(
            f"[{weights[first].file}] {first}: quantized with {method}, which is not read; use the unquantized"
            " checkpoint, or one quantized with GPTQ"
        )


def _parts(weights: Mapping[str, SourceTensor], base: str) -> GptqParts:
    qweight = weights[f"{base}.qweight"]
    missing = [kind for kind in ("qzeros", "scales") if f"{base}.{kind}" not in weights]
    if missing:
        raise ConversionError(
            f"[{qweight.file}] {base}: expected qzeros and scales beside qweight, {' and '.join(missing)} missing;"
            " download it again"
        )
    return GptqParts(
        name=f"{base}.weight",
        qweight=qweight,
        qzeros=weights[f"{base}.qzeros"],
        scales=weights[f"{base}.scales"],
        g_idx=weights.get(f"{base}.g_idx"),
    )


def _tensor(sample: Sample, zero_offset: int) -> GptqTensor:
    """The form that keeps most: blocks of a GGUF type, or values for the nearest type with the reason."""
    parts, layout = sample.parts, sample.layout
    constant = None if sample.constant_zero is None else sample.constant_zero + zero_offset
    middle = 1 << (layout.bits - 1)
    if layout.block_groups is None:
        reason = "inputs of one block belong to several groups (act-order, or a group size that 32 does not divide)"
    elif layout.bits == 8 and constant != middle:
        reason = "8-bit codes whose zero is not 128"
    else:
        symmetric = layout.bits == 4 and constant == middle
        return RepackedGptqTensor(
            parts,
            layout,
            zero_offset,
            block_type="q8_0" if layout.bits == 8 else "q4_0" if symmetric else "q4_1",
            block_groups=layout.block_groups,
        )
    nearest = "q8_0" if layout.bits == 8 else "q4_1"
    return RequantizedGptqTensor(parts, layout, zero_offset, nearest_type=nearest, reason=reason)
