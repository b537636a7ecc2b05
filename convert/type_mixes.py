"""Which types a file's matrices may have: the mixes as data, and the type that stands in for one that rows do not fit.

A mix gives most matrices one type, and more bits to those whose rounding costs most: the output matrix, values, the way
down from the feed-forward layer. Names and choices are those of llama.cpp's quantizer, so that a name means one thing.
Only iq4_m, the default, is our own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from belle_edge import _core

TYPES = tuple(name for name, kind in _core.weight_types().items() if kind["written"])

Layers = Callable[[int, int], bool]  # (layer, number of layers) -> whether something holds there


def every(layer: int, n_layers: int) -> bool:
    return True


def first_two(layer: int, n_layers: int) -> bool:
    return layer < 2


def first_four(layer: int, n_layers: int) -> bool:
    return layer < 4


def first_sixteenth(layer: int, n_layers: int) -> bool:
    return layer < n_layers // 16


def first_eighth(layer: int, n_layers: int) -> bool:
    return layer < n_layers // 8


def first_of_three(layer: int, n_layers: int) -> bool:
    return layer % 3 == 0


def about_half(layer: int, n_layers: int) -> bool:
    """The first and the last eighth, and of those between every third."""
    eighth = n_layers // 8
    return layer < eighth or layer >= 7 * n_layers // 8 or (layer - eighth) % 3 == 2


@dataclass(frozen=True)
class More:
    """Matrices of some layers that get another type than most."""

    parts: tuple[str, ...]  # GGUF's names of them inside a layer
    type: str
    layers: Layers = every
    min_sharing: int = 1  # query heads that share a head of keys: only where there are at least so many


@dataclass(frozen=True)
class Mix:
    """What the matrices of a file become; of several `more` for one matrix the last counts."""

    name: str
    body: str
    file_type: str  # gguf.LlamaFileType's name of it
    head: str | None = None  # the output matrix, be it the embedding's as well; None: as the body
    more: tuple[More, ...] = ()
    no_larger_than: str | None = None  # a mix: `more`, in order, is taken while a file fits its bytes

    @property
    def types(self) -> set[str]:
        return {self.body, *([self.head] if self.head else []), *(more.type for more in self.more)}

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        return asdict(self) | {
            "more": [
                asdict(more) | {"parts": list(more.parts), "layers": more.layers.__name__}
                for more in self.more
            ]
        }


_VALUES, _DOWN, _OUTPUT = ("attn_v", "attn_qkv"), ("ffn_down",), ("attn_output",)
_FIRST_DOWN = More(_DOWN, "q5_k", first_eighth)
_LIGHT_FOURS = (More(_VALUES, "q5_k", min_sharing=4), _FIRST_DOWN)
_MIXES = (
    Mix("q8_0", "q8_0", "MOSTLY_Q8_0"),
    Mix("q6_k", "q6_k", "MOSTLY_Q6_K"),
    Mix(
        "q5_k_m",
        "q5_k",
        "MOSTLY_Q5_K_M",
        "q6_k",
        (
            More(_VALUES, "q6_k", about_half),
            More(_DOWN, "q6_k", about_half),
        ),
    ),
    Mix("q5_k_s", "q5_k", "MOSTLY_Q5_K_S", "q6_k"),
    Mix("q5_1", "q5_1", "MOSTLY_Q5_1", "q6_k"),
    Mix("q5_0", "q5_0", "MOSTLY_Q5_0", "q6_k"),
    Mix(
        "q4_k_m",
        "q4_k",
        "MOSTLY_Q4_K_M",
        "q6_k",
        (
            More(_VALUES, "q6_k", about_half),
            More(_DOWN, "q6_k", about_half),
        ),
    ),
    Mix(
        "q4_k_s",
        "q4_k",
        "MOSTLY_Q4_K_S",
        "q6_k",
        (More(_VALUES, "q5_k", first_four), _FIRST_DOWN),
    ),
    Mix("iq4_nl", "iq4_nl", "MOSTLY_IQ4_NL", "q6_k", _LIGHT_FOURS),
    Mix("iq4_xs", "iq4_xs", "MOSTLY_IQ4_XS", "q6_k", _LIGHT_FOURS),
    Mix(
        "q3_k_l",
        "q3_k",
        "MOSTLY_Q3_K_L",
        "q6_k",
        (
            More(_VALUES, "q5_k"),
            More(_OUTPUT, "q5_k"),
            More(_DOWN, "q5_k"),
        ),
    ),
    Mix(
        "q3_k_m",
        "q3_k",
        "MOSTLY_Q3_K_M",
        "q6_k",
        (
            More(_VALUES, "q4_k"),
            More(_VALUES, "q5_k", first_two),
            More(_OUTPUT, "q4_k"),
            More(_DOWN, "q4_k"),
            More(_DOWN, "q5_k", first_sixteenth),
        ),
    ),
    # Within the bytes of q4_0 the least divergence measured. What is added has a code for zero, as iq4_xs nearly has:
    # types with minima are worse where single columns count more than others (docs/design/conversion.md).
    Mix(
        "iq4_m",
        "iq4_xs",
        "MOSTLY_IQ4_XS",
        "q6_k",
        (
            More(_OUTPUT, "q5_0"),
            More(("attn_v",), "q5_0"),
            More(_DOWN, "q5_0", first_of_three),
        ),
        no_larger_than="q4_0",
    ),
    Mix("q4_1", "q4_1", "MOSTLY_Q4_1", "q6_k"),
    Mix("q4_0", "q4_0", "MOSTLY_Q4_0", "q6_k"),
    Mix("q3_k_s", "q3_k", "MOSTLY_Q3_K_S", "q6_k"),
    Mix(
        "q2_k",
        "q2_k",
        "MOSTLY_Q2_K",
        "q6_k",
        (
            More(_VALUES, "q3_k"),
            More(_VALUES, "q4_k", min_sharing=4),
            More(_OUTPUT, "q3_k"),
            More(_DOWN, "q3_k"),
        ),
    ),
)
_SHORT_NAMES = (
    ("q3_k", "q3_k_m"),
    ("q4_k", "q4_k_m"),
    ("q5_k", "q5_k_m"),
)  # as llama.cpp's quantizer has them
_SMALLER_BLOCKS = (  # where rows are no multiple of 256: as llama.cpp, but for q3_k and q2_k, which are q4_0 there
    ("q6_k", "q8_0"),
    ("q5_k", "q5_1"),
    ("q4_k", "q5_0"),
    ("iq4_xs", "iq4_nl"),
    ("q3_k", "iq4_nl"),
    ("q2_k", "iq4_nl"),
)


_BY_NAME: Mapping[str, Mix] = MappingProxyType({mix.name: mix for mix in _MIXES if mix.types <= {*TYPES}})
DEFAULT_TYPE = "iq4_m"  # the mix that is taken where none is named
NAMES = (*TYPES, *(name for name in _BY_NAME if name not in TYPES))  # that a file's type may have


def plain_name(name: str) -> str:
    """A type's name as the tables have it: users of llama.cpp write Q4_K_M."""
    return name.strip().lower().replace("-", "_")


def mix_named(name: str, *, pure: bool = False) -> Mix:
    """The mix of a name in NAMES, or what short names stand for. pure: every matrix in the type of most.

    KeyError for any other name.
    """
    if pure:
        return _pure(name)
    mix = _BY_NAME.get(dict(_SHORT_NAMES).get(name, name))
    return mix or _pure(name)


def type_for_rows(type: str, n_columns: int) -> str | None:
    """`type`, or the nearest one whose blocks divide rows of so many values; None where none does."""
    kinds = _core.weight_types()
    for candidate in (type, dict(_SMALLER_BLOCKS).get(type)):
        if candidate in kinds and n_columns % kinds[candidate]["block_size"] == 0:
            return candidate
    return None


def row_bytes(type: str, n_columns: int) -> int:
    """Bytes of a row in a type whose blocks divide it."""
    kind = _core.weight_types()[type]
    return n_columns // kind["block_size"] * kind["block_bytes"]


def _pure(name: str) -> Mix:
    """All matrices in one type. The file type is then that of the mix with the fewest other matrices."""
    if name in _BY_NAME and name not in TYPES:
        return Mix(name, _BY_NAME[name].body, _BY_NAME[name].file_type)
    if name not in TYPES:
        raise KeyError(name)
    relatives = sorted((len(mix.more), mix.file_type) for mix in _MIXES if mix.body == name)
    plain = f"{'ALL' if name == 'f32' else 'MOSTLY'}_{name.upper()}"
    return Mix(name, name, relatives[0][1] if relatives else plain)
