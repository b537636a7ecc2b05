"""The random models in NumPy and doubles, with a cache of floats or of bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .gguf_models import GgufModel

Floats = NDArray[np.float64]
Stored = Callable[[Floats], Floats]  # [n_tokens, n_heads, head_dim] -> what is read of it later


def as_it_is(x: Floats) -> Floats:
    return x


def in_bytes(x: Floats) -> Floats:
    """A byte for each number, a scale for each position and head."""
    scales = np.abs(x).max(axis=-1, keepdims=True) / 127
    stored: Floats = np.rint(x / scales) * scales
    return stored


@dataclass(frozen=True)
class Cache:
    keys: Stored
    values: Stored


FLOATS = Cache(as_it_is, as_it_is)
BYTES = Cache(in_bytes, in_bytes)


def logits_of_random(model: GgufModel, ids: NDArray[np.int32], cache: Cache) -> Floats:
    """Of all tokens as one prompt: [n_tokens, n_vocab]."""
    return {"llama": llama_logits, "bloom": bloom_logits}[model.architecture](model, ids, cache)


def tensors_of(model: GgufModel) -> dict[str, Floats]:
    return {name: tensor.astype(np.float64) for name, tensor in model.tensors.items()}


def llama_logits(model: GgufModel, ids: NDArray[np.int32], cache: Cache) -> Floats:
    """RMSNorm, rotary pairs that lie side by side, grouped queries, SwiGLU."""
    t, settings = tensors_of(model), model.metadata
    n_heads, n_kv_heads = settings["attention.head_count"], settings["attention.head_count_kv"]
    x = t["token_embd.weight"][ids]
    for layer in range(settings["block_count"]):
        w = {name.removeprefix(f"blk.{layer}."): tensor for name, tensor in t.items()}
        normed = rms_norm(x, w["attn_norm.weight"], settings)
        q = rotated(heads_of(normed @ w["attn_q.weight"].T, n_heads), settings)
        k = rotated(heads_of(normed @ w["attn_k.weight"].T, n_kv_heads), settings)
        v = heads_of(normed @ w["attn_v.weight"].T, n_kv_heads)
        x = x + attend(q, cache.keys(k), cache.values(v), np.zeros(n_heads)) @ w["attn_output.weight"].T
        normed = rms_norm(x, w["ffn_norm.weight"], settings)
        gate = normed @ w["ffn_gate.weight"].T
        gated = gate / (1 + np.exp(-gate)) * (normed @ w["ffn_up.weight"].T)
        x = x + gated @ w["ffn_down.weight"].T
    logits: Floats = rms_norm(x, t["output_norm.weight"], settings) @ t["output.weight"].T
    return logits


def bloom_logits(model: GgufModel, ids: NDArray[np.int32], cache: Cache) -> Floats:
    """LayerNorm, ALiBi, queries, keys and values in one matrix, GELU by tanh, tied embeddings."""
    t, settings = tensors_of(model), model.metadata
    n_heads = settings["attention.head_count"]

    def norm(x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt(centred.var(axis=-1, keepdims=True) + settings["attention.layer_norm_epsilon"])
        return centred / spread * t[f"{name}.weight"] + t[f"{name}.bias"]

    def project(x: Floats, name: str) -> Floats:
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    x = norm(t["token_embd.weight"][ids], "token_embd_norm")
    for block in (f"blk.{layer}." for layer in range(settings["block_count"])):
        qkv = project(norm(x, block + "attn_norm"), block + "attn_qkv")
        q, k, v = (heads_of(part, n_heads) for part in np.split(qkv, 3, axis=-1))
        x = x + project(
            attend(q, cache.keys(k), cache.values(v), alibi_slopes(n_heads)), block + "attn_output"
        )
        up = project(norm(x, block + "ffn_norm"), block + "ffn_up")
        gelu = up / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
        x = x + project(gelu, block + "ffn_down")
    logits: Floats = norm(x, "output_norm") @ t["token_embd.weight"].T
    return logits


def heads_of(x: Floats, n_heads: int) -> Floats:
    return x.reshape(len(x), n_heads, -1)


def rms_norm(x: Floats, weight: Floats, settings: dict[str, Any]) -> Floats:
    squares = (x**2).mean(axis=-1, keepdims=True)
    normed: Floats = x / np.sqrt(squares + settings["attention.layer_norm_rms_epsilon"]) * weight
    return normed


def rotated(x: Floats, settings: dict[str, Any]) -> Floats:
    n_dims = x.shape[-1]
    frequencies = settings["rope.freq_base"] ** (-np.arange(0, n_dims, 2) / n_dims)
    turns = np.exp(1j * np.arange(len(x))[:, None, None] * frequencies)
    pairs = (x[..., ::2] + 1j * x[..., 1::2]) * turns
    return np.stack([pairs.real, pairs.imag], axis=-1).reshape(x.shape)


def alibi_slopes(n_heads: int) -> Floats:
    power = 1 << (n_heads.bit_length() - 1)
    slopes = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    slopes += [2 ** (-4 * (2 * head + 1) / power) for head in range(n_heads - power)]
    return np.array(slopes)


def attend(q: Floats, k: Floats, v: Floats, slopes: Floats) -> Floats:
    """Causal, with ALiBi's slopes: [n_tokens, n_heads * head_dim]."""
    n_tokens, n_heads, head_dim = q.shape
    k, v = (np.repeat(x, n_heads // x.shape[1], axis=1) for x in (k, v))
    distance = np.arange(n_tokens)[None, :] - np.arange(n_tokens)[:, None]  # of a key from a query
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(head_dim) + slopes[:, None, None] * distance
    scores = np.where(distance > 0, -np.inf, scores)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    attended: Floats = np.einsum("hqk,khd->qhd", weights, v).reshape(n_tokens, -1)
    return attended
