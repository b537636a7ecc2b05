"""Dense float32 arithmetic: near the double-precision result, and the same bits for any instruction set and threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge._core import dense

Floats = NDArray[np.float32]
# (rows, columns, depth): around tiles, panels and blocks of depth, with rests of each.
SHAPES = [(1, 1, 1), (3, 5, 7), (14, 32, 16), (29, 67, 400), (57, 530, 385), (230, 40, 900), (2, 33, 4096)]


def random_floats(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def everywhere(compute: Callable[..., Floats]) -> Floats:
    """The result, which every instruction set and number of threads must agree on."""
    expected = compute(isa="plain", threads=1)
    for isa in dense.isas():
        for threads in (1, 2, 3):
            np.testing.assert_array_equal(
                compute(isa=isa, threads=threads).view(np.uint32), expected.view(np.uint32), err_msg=isa
            )
    return expected


def assert_near(found: Floats, exact: NDArray[np.float64], tolerance: float = 1e-5) -> None:
    assert found.dtype == np.float32
    assert found.shape == exact.shape
    assert np.linalg.norm(found - exact) <= tolerance * np.linalg.norm(exact)


def test_plain_is_always_there() -> None:
    assert dense.isas()[-1] == "plain"
    assert set(dense.isas()) <= {"avx512", "avx2", "plain"}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_linear(shape: tuple[int, int, int]) -> None:
    n, m, k = shape
    x, rows = random_floats(n, k), random_floats(m, k, seed=1)
    found = everywhere(lambda **options: dense.linear(x, rows, **options))
    assert_near(found, x.astype(np.float64) @ rows.astype(np.float64).T)
    np.testing.assert_array_equal(dense.linear(x[-1:], rows), found[-1:])  # a row is as it is alone
    np.testing.assert_array_equal(dense.linear(x, rows[-1:]), found[:, -1:])


def test_linear_is_one_chain_of_fused_multiply_adds() -> None:
    """The contract itself: exact products (of 12-bit numbers), added one after the other from 0 upwards."""
    x, rows = (np.round(random_floats(5, 700, seed=s) * 512).astype(np.float32) for s in (1, 2))
    sums = np.zeros((5, 5), np.float32)
    for column in range(700):
        sums += np.outer(x[:, column], rows[:, column] * np.float32(2.0**-13)).astype(np.float32)
    np.testing.assert_array_equal(dense.linear(x, rows * np.float32(2.0**-13)), sums)


@pytest.mark.parametrize("kind", ["f16", "bf16"])
def test_linear_widens_halves(kind: str) -> None:
    x, rows = random_floats(33, 417), random_floats(70, 417, seed=1)
    bits = (rows.view(np.uint32) >> 16).astype(np.uint16)
    narrow: Any = rows.astype(np.float16) if kind == "f16" else bits
    wide: Floats = (
        narrow.astype(np.float32) if kind == "f16" else (bits.astype(np.uint32) << 16).view(np.float32)
    )
    found = everywhere(lambda **options: dense.linear(x, narrow, **options))
    np.testing.assert_array_equal(found, dense.linear(x, wide))


@pytest.mark.parametrize(("n", "k"), [(1, 1), (7, 33), (400, 45), (20, 600), (3, 1100)])
def test_moments(n: int, k: int) -> None:
    x, start = random_floats(n, k), random_floats(k, k, seed=1)

    def compute(**options: Any) -> Floats:
        moments: Floats = start.copy()
        dense.add_moments(moments, x, **options)
        return moments

    found = everywhere(compute)
    exact = start + np.tril(x.astype(np.float64).T @ x.astype(np.float64))
    assert_near(found, exact)
    np.testing.assert_array_equal(np.triu(found, 1), np.triu(start, 1))


def test_moments_in_two_calls_are_those_of_one() -> None:
    x, once, twice = random_floats(300, 50), np.zeros((50, 50), np.float32), np.zeros((50, 50), np.float32)
    dense.add_moments(once, x)
    dense.add_moments(twice, x[:100])
    dense.add_moments(twice, x[100:])
    np.testing.assert_array_equal(once, twice)


@pytest.mark.parametrize("width", [1, 15, 64, 1000])
def test_functions_of_rows(width: int) -> None:
    x, other = random_floats(6, width), random_floats(6, width, seed=1)
    weight, bias = random_floats(width, seed=2), random_floats(width, seed=3)
    wide = x.astype(np.float64)
    assert_near(
        everywhere(lambda **options: dense.rms_norm(x, weight, 1e-6, **options)),
        wide / np.sqrt((wide**2).mean(1, keepdims=True) + 1e-6) * weight,
    )
    centred = wide - wide.mean(1, keepdims=True)
    assert_near(
        everywhere(lambda **options: dense.layer_norm(x, weight, bias, 1e-5, **options)),
        centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * weight + bias,
    )
    assert_near(
        everywhere(lambda **options: dense.silu_product(x, other, **options)),
        wide / (1 + np.exp(-wide)) * other,
    )


def test_activations_over_their_whole_range() -> None:
    x = np.concatenate([np.linspace(-30, 30, 4001), [-1e4, 1e4, -200, 200, 0.0, -0.0, 1e-30, -1e-30, 3e38]])
    x = x.astype(np.float32)[np.newaxis]
    wide = x.astype(np.float64)
    tanh = np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3))
    with np.errstate(over="ignore"):
        silu = wide / (1 + np.exp(-wide))
    found = everywhere(lambda **options: dense.gelu(x, **options))
    np.testing.assert_allclose(found, wide / 2 * (1 + tanh), rtol=2e-6, atol=2e-6)
    found = everywhere(lambda **options: dense.silu_product(x, np.ones_like(x), **options))
    np.testing.assert_allclose(found, silu, rtol=2e-6, atol=2e-30)
    assert np.isnan(dense.gelu(np.full((1, 20), np.nan, np.float32))).all()


def exact_attention(q: Floats, k: Floats, v: Floats, slopes: Floats, shared: int) -> NDArray[np.float64]:
    """One text: q [n, heads, dim], k and v [n, heads / shared, dim]."""
    wide_k, wide_v = (np.repeat(x.astype(np.float64), shared, axis=1) for x in (k, v))
    scores = np.einsum("ihd,jhd->hij", q.astype(np.float64), wide_k) / np.sqrt(q.shape[2])
    scores += slopes[:, np.newaxis, np.newaxis] * np.arange(len(q))
    scores[:, ~np.tri(len(q), dtype=bool)] = -np.inf
    weights = np.exp(scores - scores.max(2, keepdims=True))
    weights /= weights.sum(2, keepdims=True)
    return np.asarray(np.einsum("hij,jhd->ihd", weights, wide_v))


@pytest.mark.parametrize("alibi", [False, True])
@pytest.mark.parametrize(("n_heads", "n_kv_heads", "dim"), [(4, 2, 24), (3, 3, 64), (1, 1, 5)])
def test_attention(n_heads: int, n_kv_heads: int, dim: int, alibi: bool) -> None:
    lengths = [1, 70, 0, 33, 129]
    n = sum(lengths)
    q = random_floats(n, n_heads * dim) * 3
    k, v = random_floats(n, n_kv_heads * dim, seed=1), random_floats(n, n_kv_heads * dim, seed=2)
    slopes = (np.arange(1, n_heads + 1) / 8).astype(np.float32)
    heads: dict[str, Any] = {"n_heads": n_heads, "n_kv_heads": n_kv_heads}
    if alibi:
        heads["alibi_slopes"] = slopes
    found = everywhere(lambda **options: dense.attention(q, k, v, lengths=lengths, **heads, **options))
    for begin, end in zip(np.cumsum([0, *lengths[:-1]]), np.cumsum(lengths), strict=True):
        text = slice(begin, end)
        alone = dense.attention(q[text], k[text], v[text], lengths=[end - begin], **heads)
        np.testing.assert_array_equal(found[text], alone)
        if end > begin:
            exact = exact_attention(
                q[text].reshape(-1, n_heads, dim),
                k[text].reshape(-1, n_kv_heads, dim),
                v[text].reshape(-1, n_kv_heads, dim),
                slopes if alibi else np.zeros_like(slopes),
                n_heads // n_kv_heads,
            )
            assert_near(found[text], exact.reshape(end - begin, -1))


def test_rotary_positions() -> None:
    n, n_heads, dim, dims, base, scale = 9, 3, 10, 6, 500.0, 0.25
    x, positions = random_floats(n, n_heads * dim), np.array([0, 1, 2, 3, 50, 4095, 7, 7, 123456], np.uint32)
    found = everywhere(
        lambda isa, threads: dense.rotate(
            x, positions, n_heads=n_heads, base=base, dims=dims, scale=scale, threads=threads
        )
    )
    angles = positions[:, np.newaxis] * scale * base ** (-np.arange(0, dims, 2) / dims)
    turned = x.astype(np.float64).reshape(n, n_heads, dim)
    pairs = turned[..., 0:dims:2] + 1j * turned[..., 1:dims:2]
    pairs = pairs * np.exp(1j * angles)[:, np.newaxis]
    turned[..., 0:dims:2], turned[..., 1:dims:2] = pairs.real, pairs.imag
    assert_near(found, turned.reshape(n, -1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: dense.linear(x, x[:, :3]), "columns of rows: expected 4, got 3"),
        (lambda x: dense.linear(x, x.astype(np.int32)), "rows: expected float32, float16"),
        (lambda x: dense.linear(x[0], x), "x: expected two dimensions, got 1"),
        (lambda x: dense.linear(x, x, isa="sse"), "choices: .*plain"),
        (lambda x: dense.add_moments(np.zeros((4, 4), np.float64), x), "contiguous float32"),
        (lambda x: dense.add_moments(np.zeros((8, 8), np.float32)[::2, ::2], x), "contiguous float32"),
        (
            lambda x: dense.add_moments(np.zeros((4, 5), np.float32), x),
            "columns of moments: expected 4, got 5",
        ),
        (lambda x: dense.rms_norm(x, x[0, :2], 1e-5), "weight: expected 4, got 2"),
        (lambda x: dense.silu_product(x, x[:1]), "rows of up: expected 2, got 1"),
        (lambda x: dense.attention(x, x, x, n_heads=3, n_kv_heads=3, lengths=[2]), "3 heads with 3"),
        (
            lambda x: dense.attention(x, x, x, n_heads=2, n_kv_heads=2, lengths=[1]),
            "lengths: expected 2, got 1",
        ),
        (
            lambda x: dense.rotate(x, np.zeros(2, np.uint32), n_heads=2, base=9.0, dims=3),
            "expected an even part",
        ),
    ],
)
def test_what_does_not_fit_is_named(call: Callable[[Floats], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(random_floats(2, 4))
