"""Files that llama.cpp's quantizer makes of a BLOOM and a LLaMA, of every type and mix: they load and agree with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core

from ..hostile.small_models import complete_model

pytestmark = pytest.mark.slow

# The name of llama.cpp's choice -> a type that it gives at least one of the matrices, and the number of types of these.
MIXES = {
    "Q4_0": "q4_0",
    "Q4_1": "q4_1",
    "Q5_0": "q5_0",
    "Q5_1": "q5_1",
    "Q8_0": "q8_0",
    "Q2_K": "q2_k",
    "Q3_K_S": "q3_k",
    "Q3_K_M": "q3_k",
    "Q3_K_L": "q3_k",
    "Q4_K_S": "q4_k",
    "Q4_K_M": "q4_k",
    "Q5_K_S": "q5_k",
    "Q5_K_M": "q5_k",
    "Q6_K": "q6_k",
    "IQ4_NL": "iq4_nl",
    "IQ4_XS": "iq4_xs",
}
IDS = list(range(4, 44))
# Relative RMS errors of int8 activations, and of ours beside theirs: random weights make much of every rounding.
BOUNDS = {"bloom": (0.02, 0.03), "llama": (0.12, 0.14)}


@pytest.fixture(scope="module")
def source(
    converted: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """ "bloom" → the trained demonstration model in floats, "llama" → a random one of two layers with its own head."""
    llama = complete_model("llama", hidden=256, feed_forward=512).write(
        tmp_path_factory.mktemp("llama") / "llama.gguf"
    )
    return lambda name: converted("bloom", "f32") if name == "bloom" else llama


def quantized(llama_cpp: Any, source: Path, target: Path, mix: str) -> Path:
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{mix}"), 2
    assert llama_cpp.llama_model_quantize(bytes(source), bytes(target), params) == 0
    return target


def in_floats(path: Path, target: Path) -> Path:
    """The same file with its weights as the `gguf` package expands them."""
    reader = gguf.GGUFReader(path)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith(("GGUF.", "general.architecture", "belle.")):
            continue
        kind, *of_items = field.types
        writer.add_key_value(name, field.contents(), kind, of_items[-1] if of_items else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def our_logits(path: Path) -> NDArray[np.float32]:
    model = _core.Model(str(path), kv_type="f32")
    return model.forward([(model.new_sequence(), IDS)], logits="all")[0]


def their_logits(llama_cpp: Any, path: Path) -> NDArray[np.float32]:
    model = llama_cpp.Llama(str(path), n_ctx=64, n_threads=2, verbose=False, logits_all=True)
    model.eval(IDS)
    return np.array(model.scores[: len(IDS)])


def error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("name", BOUNDS)
def test_a_file_of_theirs(
    llama_cpp: Any, source: Callable[[str], Path], tmp_path: Path, name: str, mix: str
) -> None:
    path = quantized(llama_cpp, source(name), tmp_path / f"{mix}.gguf", mix)
    types = {tensor.type for tensor in _core.GgufFile(str(path)).tensors() if len(tensor.shape) == 2}
    assert MIXES[mix] in types
    ours, exact = our_logits(path), our_logits(in_floats(path, tmp_path / "floats.gguf"))
    theirs = their_logits(llama_cpp, path)
    to_exact, to_theirs = BOUNDS[name]
    assert error(ours, exact) < to_exact
    assert error(ours, theirs) < to_theirs
