"""What a user says about the types of a file's matrices, and which type that makes each of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, TypedDict

from belle_edge.argument_names import explains_fields
from belle_edge.convert.matrix_types import EMBEDDING, HEAD, Shapes, types_in_mix
from belle_edge.convert.type_mixes import DEFAULT_TYPE, NAMES, TYPES, Mix, mix_named, plain_name
from belle_edge.errors import ConversionError, excerpt

TensorTypes = str | Mapping[str, str] | Sequence[str | tuple[str, str]]
_SHOWN = 6  # names that an error lists


class TypeSettings(TypedDict, total=False):
    """The fields of `TypeRules` but `type`, as keyword arguments, for type checkers and editors."""

    tensor_type: TensorTypes
    head_type: str | None
    embedding_type: str | None
    pure: bool


@dataclass(frozen=True)
class TypeChoice:
    """The type that one matrix is to have."""

    type: str
    is_given: bool  # the user named it for this matrix


@explains_fields("type")
@dataclass(frozen=True)
class TypeRules:
    """A type or a mix of types, and what is to differ from it. Names in any case: q4_k_m is Q4_K_M.

    Raises ConversionError for names that do not exist, and rules that are no PATTERN=TYPE.
    """

    type: str | None = None  # of the matrices: one of type_mixes.NAMES; None: the default
    tensor_type: TensorTypes = ()  # "blk.*.ffn_down=q6_k", …: for names that match; the last one counts
    head_type: str | None = (
        None  # of the output matrix, and of an embedding that is the output matrix as well
    )
    embedding_type: str | None = None  # of the embedding
    pure: bool = False  # whether a mix is to be only the type that most of its matrices have

    def __post_init__(self) -> None:
        if self.type is not None:
            object.__setattr__(self, "type", _known("type", self.type, mixes=True))
        for field in ("head_type", "embedding_type"):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, _known(field, value))
        object.__setattr__(self, "tensor_type", _pairs(self.tensor_type))

    @property
    def patterns(self) -> tuple[tuple[str, str], ...]:
        """(pattern, type) of every rule for single tensors."""
        return self.tensor_type  # type: ignore[return-value]  # so it is after __post_init__

    @property
    def mix(self) -> Mix:
        """The mix that counts where no other rule does."""
        return mix_named(self.type or DEFAULT_TYPE, pure=self.pure)

    @property
    def label(self) -> str:
        """The name of the file's type."""
        return self.mix.name

    @property
    def has_rules(self) -> bool:
        """Whether anything but a name was given."""
        return bool(self.pure or self.head_type or self.embedding_type or self.patterns)

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-ready, with the mix that the name stands for now."""
        return asdict(self) | {
            "tensor_type": [list(rule) for rule in self.patterns],
            "mix": self.mix.to_dict(),
        }

    def types_of(self, shapes: Shapes, *, n_layers: int, key_sharing: int = 1) -> dict[str, TypeChoice]:
        """The type of each matrix, given the shapes of all by GGUF's names. Rows may not fit it.

        key_sharing: query heads that share a head of keys. Raises ConversionError for a pattern that no name matches,
        and for two types of a matrix that is embedding and output at once.
        """
        is_tied = HEAD not in shapes
        self._check(list(shapes), is_tied=is_tied)
        of_mix = types_in_mix(self.mix, shapes, n_layers=n_layers, key_sharing=key_sharing)
        return {
            name: self._given(name, is_tied=is_tied) or TypeChoice(type, False)
            for name, type in of_mix.items()
        }

    def _given(self, name: str, *, is_tied: bool) -> TypeChoice | None:
        chosen: str | None = None
        if name == HEAD:
            chosen = self.head_type
        if name == EMBEDDING:
            chosen = self.embedding_type or (self.head_type if is_tied else None)
        chosen = next((type for pattern, type in reversed(self.patterns) if _matches(pattern, name)), chosen)
        return TypeChoice(chosen, True) if chosen is not None else None

    def _check(self, names: Sequence[str], *, is_tied: bool) -> None:
        for pattern, _ in self.patterns:
            if not any(_matches(pattern, name) for name in names):
                raise _no_match(pattern, names)
        given = {self.head_type, self.embedding_type} - {None}
        if is_tied and len(given) > 1:
            raise ConversionError(
                f"[type] head_type {self.head_type} and embedding_type {self.embedding_type}: in this model they are"
                f" one matrix, {EMBEDDING}; give one of the two"
            )


def rules_from(type: str | TypeRules | None) -> TypeRules:
    """Rules, or the name of a type as rules. Raises ConversionError for anything else."""
    return type if isinstance(type, TypeRules) else TypeRules(type)


def _known(field: str, name: object, *, mixes: bool = False) -> str:
    """`name` as the tables have it. ConversionError for one that they do not have."""
    choices: Collection[str] = NAMES if mixes else TYPES
    plain = plain_name(name) if isinstance(name, str) else ""
    if plain in choices:
        return plain
    near = get_close_matches(plain, choices, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    if not mixes and plain in NAMES:
        meant = f" ({plain} is a mix of types: a single matrix has one)"
    raise ConversionError(
        f"[{field}] unknown type {excerpt(name)}{meant}: expected one of {', '.join(choices)}"
    )


def _pairs(given: object) -> tuple[tuple[str, str], ...]:
    """(pattern, type) of each rule, in the order in which they were given."""
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Mapping):
        given = list(given.items())
    if not isinstance(given, Sequence):
        raise _no_rule(given)
    return tuple(_pair(rule) for rule in given)


def _pair(rule: object) -> tuple[str, str]:
    parts = rule.rpartition("=")[::2] if isinstance(rule, str) else rule
    if not isinstance(parts, tuple) or len(parts) != 2 or not all(isinstance(p, str) and p for p in parts):
        raise _no_rule(rule)
    return parts[0], _known("tensor_type", parts[1])


def _no_rule(found: object) -> ConversionError:
    return ConversionError(
        f"[tensor_type] expected PATTERN=TYPE, as blk.*.ffn_down=q8_0, got {excerpt(found)}"
    )


def _matches(pattern: str, name: str) -> bool:
    """Whether a shell pattern fits a tensor's name, with or without its ".weight"."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.removesuffix(".weight"), pattern)


def _no_match(pattern: str, names: Sequence[str]) -> ConversionError:
    """The error for a pattern that fits no matrix; it names the nearest ones, layers as *."""
    known = list(
        dict.fromkeys(re.sub(r"^blk\.\d+\.", "blk.*.", name).removesuffix(".weight") for name in names)
    )
    plain = re.sub(r"\d+|\[[^\]]*\]|\?", "*", pattern).removesuffix(".weight")
    near = get_close_matches(plain, known, n=_SHOWN, cutoff=0.5)
    near += [name for name in known if name not in near and plain.strip("*.") in name]
    return ConversionError(
        f"[tensor_type] {excerpt(pattern)} matches no matrix of this model (norms and biases are always f32); there"
        f" are {', '.join((near or known)[:_SHOWN])}{'' if near else ', …' * (len(known) > _SHOWN)}"
    )
