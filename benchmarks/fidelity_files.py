"""The files that benchmarks/fidelity.py compares: the float original, and its quantizations by us and by llama.cpp.

An original is a checkpoint folder, or a GGUF file, whose dequantized weights are then the original.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert import convert

# llama.cpp's ids of whole-file types (llama_ftype), by the names that its programs take.
PEER_TYPES = {
    "f32": 0,
    "q4_0": 2,
    "q4_1": 3,
    "q8_0": 7,
    "q5_0": 8,
    "q5_1": 9,
    "q2_k": 10,
    "q3_k_s": 11,
    "q3_k_m": 12,
    "q4_k_s": 14,
    "q4_k_m": 15,
    "q5_k_s": 16,
    "q5_k_m": 17,
    "q6_k": 18,
    "iq4_nl": 25,
    "iq4_xs": 30,
}
PURE = ":pure"  # behind a type: every matrix takes it


@dataclass(frozen=True)
class QuantizedFile:
    """One file under test."""

    maker: str  # "ours", "llama.cpp", or "given"
    type: str  # as it was asked for; the name of a given file
    path: Path

    @property
    def n_bytes(self) -> int:
        return self.path.stat().st_size


def float_gguf(original: Path, folder: Path) -> Path:
    """The original as a GGUF of float32 matrices in `folder`, made once."""
    target = folder / "original-f32.gguf"
    if not target.exists():
        if original.is_dir():
            convert(original, target, type="f32")
        else:
            quantize_with_llama_cpp(original, target, "f32")
    return target


def our_file(source: Path, folder: Path, type_name: str) -> QuantizedFile:
    """`source` (a checkpoint or a GGUF of floats) converted by us, made once."""
    target = folder / f"ours-{type_name.replace(':', '-')}.gguf"
    if not target.exists():
        name, pure = _parts(type_name)
        convert(source, target, type=name, **({"pure": True} if pure else {}))
    return QuantizedFile("ours", type_name, target)


def peer_file(source: Path, folder: Path, type_name: str) -> QuantizedFile:
    """`source` (a GGUF of floats) quantized by llama.cpp, made once."""
    target = folder / f"llama.cpp-{type_name.replace(':', '-')}.gguf"
    if not target.exists():
        quantize_with_llama_cpp(source, target, type_name)
    return QuantizedFile("llama.cpp", type_name, target)


def quantize_with_llama_cpp(
    source: Path,
    target: Path,
    type_name: str,
    *,
    importance: Mapping[str, NDArray[np.float32]] | None = None,
    tensor_types: Mapping[str, int] | None = None,
) -> None:
    """What llama.cpp's quantizer makes of a GGUF file; ":pure" behind the type gives it to every matrix.

    importance: an importance matrix, as its --imatrix reads one: by tensor the mean square of each input column.
    tensor_types: by tensor GGML's number of a type, which takes the place of the quantizer's own choice.
    Raises ValueError for a type that is not among PEER_TYPES, and RuntimeError where llama.cpp fails.
    """
    import llama_cpp
    from llama_cpp._logger import set_verbose

    name, pure = _parts(type_name)
    if name not in PEER_TYPES:
        raise ValueError(
            f"[fidelity] llama.cpp type {name!r}: expected one of {', '.join(sorted(PEER_TYPES))}"
        )
    set_verbose(False)
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.pure, params.allow_requantize = PEER_TYPES[name], pure, True
    if importance is not None:
        params.imatrix = _importance_matrix(importance)
    if tensor_types is not None:
        params.tt_overrides = _type_overrides(tensor_types)
    unfinished = target.with_suffix(".unfinished")
    with contextlib.redirect_stdout(None):
        code = llama_cpp.llama_model_quantize(
            str(source).encode(), str(unfinished).encode(), ctypes.byref(params)
        )
    if code != 0:
        raise RuntimeError(f"[fidelity] llama.cpp could not quantize {source} to {type_name} (code {code})")
    unfinished.rename(target)


def _importance_matrix(importance: Mapping[str, NDArray[np.float32]]) -> Any:
    """llama.cpp's list of it, which ends with an entry of zeros and keeps what it points to."""
    from llama_cpp import llama_model_imatrix_data as entry

    values = {name: np.ascontiguousarray(columns, dtype=np.float32) for name, columns in importance.items()}
    pointer = ctypes.POINTER(ctypes.c_float)
    entries = [
        entry(name.encode(), columns.ctypes.data_as(pointer), columns.size)
        for name, columns in values.items()
    ]
    return (entry * (len(entries) + 1))(*entries, entry())


def _type_overrides(tensor_types: Mapping[str, int]) -> Any:
    """llama.cpp's list of patterns with their types, which ends with an entry of zeros."""
    from llama_cpp import llama_model_tensor_override as entry

    entries = [entry(f"^{re.escape(name)}$".encode(), kind) for name, kind in tensor_types.items()]
    return (entry * (len(entries) + 1))(*entries, entry())


def _parts(type_name: str) -> tuple[str, bool]:
    return type_name.removesuffix(PURE), type_name.endswith(PURE)
