"""The shapes of the published BELLE models, and the tensors that a GGUF of them has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """One model."""

    name: str
    architecture: str  # "bloom" | "llama"
    n_layers: int
    hidden: int
    n_heads: int
    feed_forward: int
    n_vocab: int
    context: int = 2048


_ALL = (
    Shape("belle-7b", "bloom", 30, 4096, 32, 16384, 250_880),  # BLOOM-7B1
    Shape("belle-llama-7b", "llama", 32, 4096, 32, 11008, 32_000),
    Shape("belle-llama-13b", "llama", 40, 5120, 40, 13824, 32_000),
)
SHAPES: Mapping[str, Shape] = {shape.name: shape for shape in _ALL}


def tensor_shapes(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """GGUF name and NumPy shape of every tensor, in file order."""
    yield from _bloom(shape) if shape.architecture == "bloom" else _llama(shape)


def _bloom(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden = shape.hidden
    matrices = {
        "attn_qkv": (3 * hidden, hidden),
        "attn_output": (hidden, hidden),
        "ffn_up": (shape.feed_forward, hidden),
        "ffn_down": (hidden, shape.feed_forward),
    }

    def norm(name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (hidden,)
        yield f"{name}.bias", (hidden,)

    yield "token_embd.weight", (shape.n_vocab, hidden)
    yield from norm("token_embd_norm")
    for layer in range(shape.n_layers):
        yield from norm(f"blk.{layer}.attn_norm")
        yield from norm(f"blk.{layer}.ffn_norm")
        for name, size in matrices.items():
            yield f"blk.{layer}.{name}.weight", size
            yield f"blk.{layer}.{name}.bias", size[:1]
    yield from norm("output_norm")


def _llama(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden = shape.hidden
    matrices = {
        **dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (hidden, hidden)),
        "ffn_gate": (shape.feed_forward, hidden),
        "ffn_up": (shape.feed_forward, hidden),
        "ffn_down": (hidden, shape.feed_forward),
    }
    yield "token_embd.weight", (shape.n_vocab, hidden)
    for layer in range(shape.n_layers):
        yield f"blk.{layer}.attn_norm.weight", (hidden,)
        yield f"blk.{layer}.ffn_norm.weight", (hidden,)
        for name, size in matrices.items():
            yield f"blk.{layer}.{name}.weight", size
    yield "output_norm.weight", (hidden,)
    yield "output.weight", (shape.n_vocab, hidden)
