"""llama.cpp's quantizer with a file of ours as its imatrix."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge.convert.moments.calibrate import calibrate
from belle_edge.convert.moments.moments_file import Moments

from .calibrations import TOKENS, write_texts

pytestmark = pytest.mark.slow


def loaded(path: Path) -> dict[str, NDArray[np.float32]]:
    """What llama.cpp's loader (common/imatrix-loader.cpp) makes of a file: pairs of f32 tensors, and three keys."""
    reader = gguf.GGUFReader(path)
    assert {"imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"} <= set(reader.fields)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    sums = {
        name.removesuffix(".in_sum2"): tensor for name, tensor in tensors.items() if name.endswith(".in_sum2")
    }
    counts = {
        name.removesuffix(".counts"): tensor for name, tensor in tensors.items() if name.endswith(".counts")
    }
    assert sums.keys() == counts.keys()
    f32 = gguf.GGMLQuantizationType.F32
    assert {tensor.tensor_type for tensor in (*sums.values(), *counts.values())} == {f32}
    assert all(len(name) < 64 for name in tensors)  # ggml's bound, its zero included
    return {name: np.array(tensor.data / counts[name].data[0]) for name, tensor in sums.items()}


def quantized(
    llama_cpp: Any, source: Path, out: Path, energies: dict[str, NDArray[np.float32]] | None
) -> bytes:
    """The file of llama.cpp's own quantizer, q4_0."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0, 1
    if energies is not None:
        entries = (llama_cpp.llama_model_imatrix_data * (len(energies) + 1))()  # the last one has no name
        for entry, (name, values) in zip(entries, energies.items(), strict=False):
            data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            entry.name, entry.data, entry.size = name.encode(), data, values.size
        params.imatrix = entries
    assert llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params)) == 0
    return out.read_bytes()


def test_it_takes_our_energies(
    llama_cpp: Any, checkpoint: Callable[[str], Path], converted: Callable[[str, str], Path], tmp_path: Path
) -> None:
    """Every matrix that it knows has them, and they change how it rounds."""
    source = converted("bloom", "f32")
    calibrate(checkpoint("bloom"), tmp_path / "m.gguf", data=write_texts(tmp_path / "d.jsonl"), tokens=TOKENS)
    energies = loaded(tmp_path / "m.gguf")
    matrices = {tensor.name for tensor in gguf.GGUFReader(source).tensors if len(tensor.shape) == 2}
    assert set(energies) == matrices
    moments = Moments.open(tmp_path / "m.gguf")
    for name, values in energies.items():
        np.testing.assert_array_equal(moments.energies(name), values)
    plain = quantized(llama_cpp, source, tmp_path / "plain.gguf", None)
    assert quantized(llama_cpp, source, tmp_path / "weighted.gguf", energies) != plain
