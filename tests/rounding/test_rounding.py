"""Rows rounded with second moments: a slow reference beside, bounds, the same bytes everywhere, errors."""

from __future__ import annotations

import numpy as np
import pytest

from belle_edge import _core

from .cases import TIERS, TYPES, Rows, dequantized, errors, gaussian, moments, reference, values_of_codes

N_COLS = 512  # four blocks of columns between products, more than one panel of the factor
every_type = pytest.mark.parametrize("type", TYPES)


@pytest.fixture(scope="module")
def second_moments() -> Rows:
    return moments(N_COLS)


@pytest.fixture(scope="module")
def rounding(second_moments: Rows) -> _core.Rounding:
    return _core.Rounding(second_moments)


def test_the_types() -> None:
    expected = "q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs"
    assert set(TYPES) == set(expected.split())


@every_type
def test_codes_are_those_of_the_reference(type: str, rounding: _core.Rounding, second_moments: Rows) -> None:
    rows = gaussian(24, N_COLS)
    got = dequantized(rounding.round(rows, type), type)
    expected = reference(rows, type, second_moments)
    # A code on a border may go the other way in float32, and then changes what follows in its row.
    same = (got == expected).all(axis=1)
    assert same.mean() > 0.7
    np.testing.assert_allclose(
        errors(rows, got, second_moments).sum(), errors(rows, expected, second_moments).sum(), rtol=0.01
    )


@every_type
def test_much_better_than_the_weighted_search(
    type: str, rounding: _core.Rounding, second_moments: Rows
) -> None:
    rows = gaussian(64, N_COLS, seed=3)
    importance = np.diag(second_moments).copy()
    searched = dequantized(_core.quantize(rows, type, importance=importance), type)
    nearest = dequantized(_core.quantize(rows, type), type)
    blocks = rounding.round(rows, type)
    got = errors(rows, dequantized(blocks, type), second_moments)
    assert got.sum() < 0.6 * errors(rows, searched, second_moments).sum()
    assert got.sum() < 0.4 * errors(rows, nearest, second_moments).sum()
    np.testing.assert_allclose(rounding.errors(rows, blocks, type), got, rtol=1e-4)
    np.testing.assert_array_equal(_core.dequantize(blocks, type), dequantized(blocks, type))


@every_type
def test_best_is_better_than_fast(type: str, rounding: _core.Rounding, second_moments: Rows) -> None:
    """Every step of the refinement lowers the error with damped moments, in every row."""
    rows = gaussian(64, N_COLS, seed=3)
    fast = dequantized(rounding.round(rows, type), type)
    blocks = rounding.round(rows, type, effort="best")
    best = dequantized(blocks, type)
    assert errors(rows, best, second_moments).sum() < 0.98 * errors(rows, fast, second_moments).sum()
    damped = second_moments + 0.01 * np.diag(second_moments).mean() * np.eye(N_COLS, dtype=np.float32)
    assert (errors(rows, best, damped) < 1.0001 * errors(rows, fast, damped)).all()
    np.testing.assert_allclose(
        rounding.errors(rows, blocks, type), errors(rows, best, second_moments), rtol=1e-4
    )


@pytest.mark.parametrize("type", ["q4_0", "q4_1", "iq4_nl", "q8_0"])
def test_best_leaves_little_for_a_single_change(type: str, second_moments: Rows) -> None:
    """The codes are near the best for each other: a column alone has little left to gain."""
    rows = gaussian(16, N_COLS)
    rounding = _core.Rounding(second_moments)
    blocks = rounding.round(rows, type, effort="best")
    values, rounded = values_of_codes(blocks, type), dequantized(blocks, type).astype(np.float64)
    damped = second_moments + 0.01 * np.diag(second_moments).mean() * np.eye(N_COLS)
    gradients = (rows - rounded) @ damped
    changes = values - rounded
    gains = (2 * changes * gradients - changes**2 * np.diag(damped)).max(axis=0)
    assert gains.max(axis=1).mean() < 0.01 * errors(rows, rounded.astype(np.float32), second_moments).mean()


@every_type
def test_inputs_without_correlations_leave_the_search_as_it_is(type: str) -> None:
    rows = gaussian(16, 256)
    ones = np.ones(256, dtype=np.float32)
    alone = _core.Rounding(np.diag(ones)).round(rows, type)
    np.testing.assert_array_equal(alone, _core.quantize(rows, type, importance=ones))


@every_type
@pytest.mark.parametrize("isa", TIERS)
def test_tiers_threads_and_cuts_write_the_same_bytes(type: str, isa: str) -> None:
    second_moments = moments(256)
    rows = gaussian(71, 256) * np.exp(gaussian(71, 1) * 40)
    expected = _core.Rounding(second_moments, threads=1).round(rows, type, threads=1)
    best = _core.Rounding(second_moments).round(rows[:8], type, effort="best")
    tier = _core.Rounding(second_moments, isa=isa)
    np.testing.assert_array_equal(tier.round(rows, type, threads=2), expected)
    np.testing.assert_array_equal(tier.round(rows[2:7], type, effort="best"), best[2:7])
    assert np.array_equal(tier.errors(rows[:9], expected[:9], type), tier.errors(rows, expected, type)[:9])


@pytest.mark.parametrize("isa", TIERS)
def test_several_panels_and_blocks_of_columns_have_the_same_bytes(isa: str) -> None:
    second_moments, rows = moments(608), gaussian(131, 608)
    expected = _core.Rounding(second_moments).round(rows, "q4_1", threads=1)
    tier = _core.Rounding(second_moments, isa=isa)
    for begin, end in ((0, 1), (1, 64), (64, 131)):
        np.testing.assert_array_equal(tier.round(rows[begin:end], "q4_1", threads=3), expected[begin:end])
    best = _core.Rounding(second_moments).round(rows[:70], "q4_1", effort="best")
    np.testing.assert_array_equal(tier.round(rows[60:70], "q4_1", effort="best"), best[60:70])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rows_of_halves(dtype: str, rounding: _core.Rounding) -> None:
    rows = gaussian(5, N_COLS)
    if dtype == "float16":
        given = rows.astype(np.float16)
        same = given.astype(np.float32)
    else:
        given = (rows.view(np.uint32) >> 16).astype(np.uint16)
        same = (given.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(rounding.round(given, "q4_0"), rounding.round(same, "q4_0"))


@every_type
def test_columns_without_inputs(type: str, second_moments: Rows) -> None:
    """They are rounded to the nearest value, and leave the others alone."""
    without = second_moments.copy()
    without[100:140] = without[:, 100:140] = 0.0
    rows = gaussian(8, N_COLS)
    got = dequantized(_core.Rounding(without).round(rows, type), type)
    expected = reference(rows, type, without)
    np.testing.assert_array_equal(got[:, 100:140], expected[:, 100:140])
    assert (got == expected).all(axis=1).mean() > 0.7


def test_no_inputs_at_all() -> None:
    rows = gaussian(3, 256)
    nothing = _core.Rounding(np.zeros((256, 256), dtype=np.float32))
    blocks = nothing.round(rows, "q4_k", effort="best")
    assert np.abs(rows - dequantized(blocks, "q4_k")).max() < 0.02
    assert not nothing.errors(rows, blocks, "q4_k").any()


@pytest.mark.parametrize("n_cols", [32, 96, 288])
def test_sizes_that_fill_no_block(n_cols: int) -> None:
    second_moments, rows = moments(n_cols), gaussian(70, n_cols)
    got = dequantized(_core.Rounding(second_moments).round(rows, "q4_0"), "q4_0")
    assert (got == reference(rows, "q4_0", second_moments)).all(axis=1).mean() > 0.9
    best = dequantized(_core.Rounding(second_moments).round(rows, "q4_0", effort="best"), "q4_0")
    assert errors(rows, best, second_moments).sum() < errors(rows, got, second_moments).sum()
    assert _core.Rounding(second_moments).round(rows[:0], "q4_0").shape == (0, n_cols // 32 * 18)


@every_type
def test_extreme_rows(type: str, rounding: _core.Rounding) -> None:
    """What halves cannot hold is cut off; zeros stay zeros."""
    rows = gaussian(6, N_COLS)
    rows[0], rows[1] = 0.0, rows[1] * np.float32(1e37)
    rows[2:4] *= np.float32(1e-7)
    rows[4, 5] = 6e4
    for effort in ("fast", "best"):
        got = dequantized(rounding.round(rows, type, effort=effort), type)
        assert np.isfinite(got).all()
        assert not got[0].any()


def test_more_damping_where_the_moments_need_it(second_moments: Rows) -> None:
    """A file's rounding may leave a matrix that is not quite positive."""
    random = np.random.default_rng(5)
    few = random.standard_normal((40, N_COLS)).astype(np.float32)
    rough = few.T @ few / 40
    noise = 0.001 * random.standard_normal((N_COLS, N_COLS)).astype(np.float32)
    rough += (noise + noise.T) * (1 - np.eye(N_COLS, dtype=np.float32))
    scale = np.sqrt(np.diag(rough))
    rough = np.clip(rough, -np.outer(scale, scale), np.outer(scale, scale)).astype(np.float32)
    rounding = _core.Rounding(rough, damping=0.01)
    assert 0.05 < rounding.damping <= 1.0
    assert _core.Rounding(second_moments, damping=0.02).damping == pytest.approx(0.02)
    assert _core.Rounding(second_moments, damping=0.0).damping == 0.0
    opposed = np.full((64, 64), -0.9, dtype=np.float32)
    np.fill_diagonal(opposed, 1.0)
    with pytest.raises(ValueError, match="not positive semidefinite"):
        _core.Rounding(opposed).round(gaussian(1, 64), "q4_0")


def test_bad_moments_are_refused(second_moments: Rows) -> None:
    with pytest.raises(ValueError, match=r"expected \[n_cols, n_cols\]"):
        _core.Rounding(second_moments[:5])
    with pytest.raises(ValueError, match="damping: expected a number from 0 to 1"):
        _core.Rounding(second_moments, damping=-0.1)
    for row, column, value in ((7, 7, -1.0), (7, 7, np.inf), (9, 3, np.nan), (9, 3, 1e9), (9, 3, -0.01)):
        bad = second_moments.copy()
        bad[row, column] = value
        with pytest.raises(ValueError, match=f"row {row}, column {column} has"):
            _core.Rounding(bad)


def test_bad_rows_are_refused(rounding: _core.Rounding) -> None:
    rows = gaussian(3, N_COLS)
    with pytest.raises(ValueError, match="expected 512 columns, as the moments have, got 256"):
        rounding.round(rows[:, :256], "q4_0")
    with pytest.raises(ValueError, match="rows: expected two dimensions"):
        rounding.round(rows[0], "q4_0")
    with pytest.raises(ValueError, match="type 'q4_5' is unknown"):
        rounding.round(rows, "q4_5")
    with pytest.raises(ValueError, match="type 'f16' is not among"):
        rounding.round(rows, "f16")
    with pytest.raises(ValueError, match="effort 'better' is unknown: expected fast or best"):
        rounding.round(rows, "q4_0", effort="better")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="float32, float16, or bfloat16"):
        rounding.round(rows.astype(np.float64), "q4_0")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="multiple of 256"):
        _core.Rounding(moments(96)).round(gaussian(1, 96), "q4_k")
    with pytest.raises(ValueError, match="data: expected 3 rows of 288 bytes"):
        rounding.errors(rows, np.zeros((3, 18), dtype=np.uint8), "q4_0")
    rows[1, 40] = np.nan
    with pytest.raises(ValueError, match="row 1 holds a NaN"):
        rounding.round(rows, "q4_0")
