"""Second moments packed as correlations, and unpacked again."""

from __future__ import annotations

import numpy as np
import pytest

from belle_edge.convert.moments.correlations import SCALE, n_packed, pack, unpack


def moments_of(n_columns: int) -> np.ndarray:
    generator = np.random.default_rng(n_columns)
    x = generator.standard_normal((50, n_columns)).astype(np.float32) * np.exp(
        generator.standard_normal(n_columns)
    )
    return np.asarray(x.T @ x, dtype=np.float32)


@pytest.mark.parametrize("n_columns", [1, 2, 63, 64, 65, 200])
def test_each_value_is_the_correlation_to_half_a_step(n_columns: int) -> None:
    moments = moments_of(n_columns)
    energies = np.diagonal(moments).astype(np.float64)
    expected = moments / np.sqrt(np.outer(energies, energies))
    packed = pack(moments)
    assert packed.size == n_packed(n_columns)
    at = 0
    for row in range(n_columns):
        for column in range(row + 1):
            assert abs(packed[at] / SCALE - expected[row, column]) <= 0.5001 / SCALE
            at += 1


@pytest.mark.parametrize("n_columns", [1, 63, 129])
def test_unpacked_they_are_the_moments(n_columns: int) -> None:
    moments = moments_of(n_columns)
    energies = np.diagonal(moments).copy()
    found = unpack(pack(moments), energies)
    assert np.array_equal(found, found.T)
    assert np.array_equal(np.diagonal(found), energies)
    size = np.sqrt(np.outer(energies, energies))
    assert np.abs(found - moments).max() <= np.max(size) / SCALE
    assert (np.abs(found - moments) <= size * (0.6 / SCALE)).all()


def test_only_the_lower_half_is_read() -> None:
    moments = moments_of(40)
    lower = np.tril(moments) + np.triu(np.full_like(moments, np.nan), 1)
    assert np.array_equal(pack(lower), pack(moments))


def test_a_column_that_is_always_zero_stays_so() -> None:
    moments = moments_of(40)
    moments[7, :] = moments[:, 7] = 0
    found = unpack(pack(moments), np.diagonal(moments).copy())
    assert not found[7].any()
    assert not found[:, 7].any()
    assert np.isfinite(found).all()


def test_columns_that_are_the_same_stay_within_one() -> None:
    x = np.full((3, 4), 1e-18, dtype=np.float32)
    moments = x.T @ x
    assert set(pack(moments)) == {int(SCALE)}
