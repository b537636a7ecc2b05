"""Reads a PyTorch .bin file, memory-mapped, with torch's restricted loader: no code in it ever runs."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.tensors import ArrayTensor, SourceTensor
from belle_edge.errors import ConversionError


def open_torch_file(path: Path) -> dict[str, SourceTensor]:
    """Every tensor of `path` by name, as views of the mapped file.

    Raises ConversionError when torch is missing, the file is damaged, older than torch 1.6's zip layout (it
    could only be read as a whole), or would need more than tensors and plain containers to be unpickled.
    """
    try:
        import torch
    except ImportError:
        raise ConversionError(
            f"[{path.name}] reading PyTorch .bin files needs torch: pip install 'belle-edge[convert]'"
        ) from None
    if not zipfile.is_zipfile(path):
        raise ConversionError(
            f"[{path.name}] not a complete PyTorch zip checkpoint: cut off (download it again), or saved"
            " before torch 1.6 (load and save it once with a current torch)"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise ConversionError(
            f"[{path.name}] refused: it holds more than tensors, and code from a checkpoint is never run"
            f" ({_first_reason(str(error))})"
        ) from None
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ConversionError(f"[{path.name}] cannot be read: {_first_line(str(error))}") from None
    return {name: _tensor(path, name, value) for name, value in _state_dict(path, state).items()}


def _state_dict(path: Path, state: Any) -> dict[str, Any]:
    """The mapping name → tensor, also when a training framework wrapped it once."""
    import torch

    for wrapper in ("state_dict", "module", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ConversionError(
            f"[{path.name}] expected a state dict of named tensors, found {type(state).__name__}"
        )
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def _tensor(path: Path, name: str, tensor: Any) -> SourceTensor:
    import torch

    names = {torch.float64: "f64", torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}
    dtype = names.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
    array: NDArray[Any]
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        dtype, array = "unreadable", np.empty(0, np.uint8)
    elif dtype == "bf16":
        array = tensor.detach().view(torch.int16).numpy().view(np.uint16)
    elif dtype in ("f64", "f32", "f16"):
        array = tensor.detach().numpy()
    else:
        array = np.empty(0, np.uint8)
    return ArrayTensor(name=name, file=path.name, dtype=dtype, shape=tuple(tensor.shape), array=array)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "unknown reason"


def _first_reason(text: str) -> str:
    """The part of torch's long explanation that names the offending global or instruction."""
    for line in text.splitlines():
        if "Unsupported" in line or "GLOBAL" in line:
            return line.split("WeightsUnpickler error:")[-1].strip().split(". ")[0]
    return _first_line(text)
