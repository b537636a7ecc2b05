"""What the types of a file's matrices are called together."""

from __future__ import annotations

import math
from collections import Counter

from belle_edge import _core
from belle_edge.convert.matrix_types import mix_of
from belle_edge.convert.type_mixes import NAMES, mix_named


def stored_mix(file: _core.GgufFile) -> str | None:
    """Our name of the mix, which is finer than llama.cpp's; None where the matrices fit none."""
    from gguf import LlamaFileType

    architecture = file.get("general.architecture")
    n_layers, n_heads = (file.get(f"{architecture}.{key}") for key in ("block_count", "attention.head_count"))
    n_kv_heads = file.get(f"{architecture}.attention.head_count_kv", n_heads)
    if not all(isinstance(size, int) and size > 0 for size in (n_layers, n_heads, n_kv_heads)):
        return None
    number = file.get("general.file_type")
    mixes = [mix for mix in map(mix_named, NAMES) if LlamaFileType[mix.file_type] == number]
    matrices = [tensor for tensor in file.tensors() if len(tensor.shape) > 1]
    found = mix_of(
        {tensor.name: tensor.type for tensor in matrices},
        {tensor.name: tuple(tensor.shape) for tensor in matrices},
        mixes,
        n_layers=n_layers,
        key_sharing=n_heads // n_kv_heads,
    )
    return found.name if found is not None else None


def main_type(file: _core.GgufFile) -> str:
    """The type of most values of matrices."""
    counts: Counter[str] = Counter()
    for tensor in file.tensors():
        if len(tensor.shape) > 1:
            counts[tensor.type] += math.prod(tensor.shape)
    return counts.most_common(1)[0][0] if counts else ""
