"""The numbers that define a model, from GGUF metadata of a file or of a checkpoint that was mapped.

What is not computed is refused by its key, as the engine does (csrc/model/config.cpp).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from belle_edge.errors import ConversionError, excerpt
from belle_edge.text.vocabulary import Metadata

ARCHITECTURES = ("bloom", "llama")


@dataclass(frozen=True)
class ModelShape:
    """Sizes, and the constants of norms and positions."""

    architecture: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    width: int  # of the hidden states
    feed_forward: int
    norm_eps: float
    # LLaMA only
    rope_dims: int = 0  # rotated leading dimensions of a head
    rope_base: float = 0.0
    rope_scale: float = 1.0  # positions are multiplied by it

    @property
    def q_width(self) -> int:
        return self.n_heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.n_kv_heads * self.head_dim

    @classmethod
    def of(cls, metadata: Metadata) -> ModelShape:
        """Raises ConversionError for an architecture or a feature that is not computed here."""
        architecture = next((name for name in ARCHITECTURES if f"{name}.block_count" in metadata), None)
        if architecture is None:
            raise ConversionError(
                f"[metadata] expected the sizes of one of {', '.join(ARCHITECTURES)}, found neither"
            )
        keys = _Keys(metadata, architecture)
        for name in ("expert_count", "expert_used_count"):
            keys.require(name, 0, 0)
        width, n_heads = keys.size("embedding_length"), keys.size("attention.head_count")
        n_kv_heads = keys.size("attention.head_count_kv", n_heads)
        head_dim = keys.size("attention.key_length", width // n_heads)
        keys.require("attention.value_length", head_dim, head_dim)
        if n_heads % n_kv_heads or (
            architecture == "bloom" and (n_kv_heads, n_heads * head_dim) != (n_heads, width)
        ):
            raise ConversionError(
                f"[{keys.prefix}attention.head_count] {n_heads} heads of {head_dim} and {n_kv_heads} of keys do not"
                f" fit a width of {width}"
            )
        norm = "layer_norm_rms_epsilon" if architecture == "llama" else "layer_norm_epsilon"
        shape = {
            "n_layers": keys.size("block_count"),
            "n_heads": n_heads,
            "n_kv_heads": n_kv_heads,
            "head_dim": head_dim,
            "width": width,
            "feed_forward": keys.size("feed_forward_length"),
        }
        eps = keys.number(f"attention.{norm}")
        return cls(
            architecture,
            **shape,
            norm_eps=eps,
            **(_rotary(keys, head_dim) if architecture == "llama" else {}),
        )


def _rotary(keys: _Keys, head_dim: int) -> dict[str, Any]:
    """As llama.cpp reads it: no type means linear, and old files have scale_linear alone."""
    dims = keys.size("rope.dimension_count", head_dim)
    if dims % 2 or dims > head_dim:
        raise ConversionError(
            f"[{keys.prefix}rope.dimension_count] expected an even number up to {head_dim}, got {dims}"
        )
    kind = keys.value("rope.scaling.type", "linear")
    factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 1.0))
    if kind not in ("linear", "none"):
        raise ConversionError(
            f"[{keys.prefix}rope.scaling.type] {excerpt(kind)} is not computed here: expected linear"
        )
    scale = 1.0 if kind == "none" else 1.0 / factor
    return {"rope_dims": dims, "rope_base": keys.number("rope.freq_base", 10000.0), "rope_scale": scale}


@dataclass(frozen=True)
class _Keys:
    """The metadata of one architecture."""

    metadata: Metadata
    architecture: str

    @property
    def prefix(self) -> str:
        return f"{self.architecture}."

    def value(self, key: str, default: Any) -> Any:
        return self.metadata.get(self.prefix + key, default)

    def size(self, key: str, default: int | None = None) -> int:
        found = self.value(key, default)
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            raise ConversionError(
                f"[{self.prefix}{key}] expected a whole number from 1, got {excerpt(found)}"
            )
        return found

    def number(self, key: str, default: float | None = None) -> float:
        found = self.value(key, default)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < math.inf:
            raise ConversionError(f"[{self.prefix}{key}] expected a number above 0, got {excerpt(found)}")
        return float(found)

    def require(self, key: str, expected: int, default: int) -> None:
        """A feature that other values would switch on."""
        if (found := self.value(key, default)) != expected:
            raise ConversionError(
                f"[{self.prefix}{key}] {excerpt(found)} is not computed here: expected {expected}"
            )
