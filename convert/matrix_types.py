"""Which type a mix gives each matrix of a model, and how many bytes that takes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from belle_edge.convert.type_mixes import Layers, Mix, mix_named, row_bytes, type_for_rows

Shapes = Mapping[str, tuple[int, ...]]  # of matrices, by GGUF's names
EMBEDDING, HEAD = "token_embd.weight", "output.weight"
_BLOCK = re.compile(r"blk\.(\d+)\.(.+)\.weight")


def types_in_mix(mix: Mix, shapes: Shapes, *, n_layers: int, key_sharing: int = 1) -> dict[str, str]:
    """The type of each matrix; rows may not fit it. key_sharing: query heads that share a head of keys."""
    output = HEAD if HEAD in shapes else EMBEDDING
    types = {name: mix.head or mix.body if name == output else mix.body for name in shapes}
    limit = math.inf
    if mix.no_larger_than is not None:
        other = mix_named(mix.no_larger_than)
        limit = stored_bytes(types_in_mix(other, shapes, n_layers=n_layers, key_sharing=key_sharing), shapes)
    for more in mix.more:
        if key_sharing < more.min_sharing:
            continue
        changed = types | {
            name: more.type for name in shapes if _is_among(name, more.parts, more.layers, n_layers)
        }
        if limit == math.inf or stored_bytes(changed, shapes) <= limit:
            types = changed
    return types


def mix_of(
    types: Mapping[str, str], shapes: Shapes, mixes: Iterable[Mix], *, n_layers: int, key_sharing: int = 1
) -> Mix | None:
    """The first of `mixes` that gives every matrix just the type it has."""
    for mix in mixes:
        wanted = types_in_mix(mix, shapes, n_layers=n_layers, key_sharing=key_sharing)
        if all(
            (type_for_rows(wanted[name], shapes[name][-1]) or "f16") == type for name, type in types.items()
        ):
            return mix
    return None


def stored_bytes(types: Mapping[str, str], shapes: Shapes) -> int:
    """Bytes of these matrices, in the types that their rows fit."""
    return sum(
        math.prod(shape[:-1]) * row_bytes(type_for_rows(types[name], shape[-1]) or "f16", shape[-1])
        for name, shape in shapes.items()
    )


def _is_among(name: str, parts: tuple[str, ...], layers: Layers, n_layers: int) -> bool:
    match = _BLOCK.fullmatch(name)
    return match is not None and match[2] in parts and layers(int(match[1]), n_layers)
