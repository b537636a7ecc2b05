"""A mix gives each matrix the type that llama.cpp's quantizer gives it, whatever its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from belle_edge.convert import TypeRules, convert
from belle_edge.convert.type_mixes import NAMES, mix_named

from ..gguf.split import finish

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("llama_cpp")]

# (architecture, layers, width, width of the feed-forward layer, heads, heads of keys, whether it has a head).
# An eighth of 16 layers is two; four query heads that share keys matter for iq4; 256 divides no row of 96 or 288.
SHAPES = {
    "bloom": ("bloom", 9, 256, 256, 4, 4, False),
    "llama": ("llama", 16, 256, 256, 8, 2, True),
    "tied": ("llama", 9, 256, 256, 4, 4, False),
    "narrow": ("llama", 8, 96, 288, 4, 4, True),
    "narrow down": ("bloom", 8, 96, 512, 4, 4, False),
}


def write_zeros(path: Path, kind: str) -> Path:
    """A file of zeros: what a matrix is decides its type, not what is in it."""
    architecture, n_layers, width, wide, n_heads, n_kv_heads, has_head = SHAPES[kind]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(n_layers)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(wide)
    writer.add_head_count(n_heads)
    writer.add_head_count_kv(n_kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    kv_width = width // n_heads * n_kv_heads
    parts = {"attn_output": (width, width), "ffn_up": (wide, width), "ffn_down": (width, wide)}
    if architecture == "bloom":
        parts["attn_qkv"] = (width + 2 * kv_width, width)
    else:
        parts |= {"attn_q": (width, width), "attn_k": (kv_width, width), "attn_v": (kv_width, width)}
        parts["ffn_gate"] = (wide, width)
    shapes = {"token_embd": (64, width)} | ({"output": (64, width)} if has_head else {})
    shapes |= {f"blk.{layer}.{part}": shape for layer in range(n_layers) for part, shape in parts.items()}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.zeros(shape, dtype=np.float32))
    writer.add_tensor("output_norm.weight", np.zeros(width, dtype=np.float32))
    finish(writer)
    return path


def quantized(llama_cpp: Any, source: Path, target: Path, file_type: str, **settings: Any) -> dict[str, str]:
    """Matrix → type in llama.cpp's file."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = int(gguf.LlamaFileType[file_type])
    params.nthread = 1
    for name, value in settings.items():
        setattr(params, name, value)
    assert llama_cpp.llama_model_quantize(bytes(source), bytes(target), params) == 0
    tensors = {tensor.name: tensor.tensor_type.name.lower() for tensor in gguf.GGUFReader(target).tensors}
    target.unlink()
    return tensors


def planned(source: Path, rules: TypeRules) -> dict[str, str]:
    return {tensor.name: tensor.type for tensor in convert(source, dry_run=True, type=rules).tensors}


@pytest.mark.parametrize("kind", SHAPES)
def test_the_types_of_a_mix(llama_cpp: Any, tmp_path: Path, kind: str) -> None:
    source, target = write_zeros(tmp_path / "zeros.gguf", kind), tmp_path / "quantized.gguf"
    n_compared = 0
    for name in NAMES:
        mix = mix_named(name)
        is_ours = mix.no_larger_than is not None or (mix.head is None and mix.body != "q8_0")
        if is_ours or name != mix.name:
            continue
        for pure in (False, True) if "narrow" in kind else (False,):
            expected = quantized(llama_cpp, source, target, mix.file_type, pure=pure)
            if mix.body in ("q3_k", "q2_k"):  # in as many bytes, with less error
                expected = {name: "iq4_nl" if type == "q4_0" else type for name, type in expected.items()}
            assert planned(source, TypeRules(name, pure=pure)) == expected, name
            n_compared += len(expected)
    assert n_compared > 20
