"""A linear layer on every tier this machine has, through the module: near the exact products, whoever computes them."""

from __future__ import annotations

import numpy as np
import pytest

from belle_edge import _core

from ..model.conftest import tier_params

# Relative RMS error: of float32 sums, and of activations in int8 by blocks.
BOUNDS = {"f32": 1e-5, "f16": 1e-5, "bf16": 1e-5, "q8_0": 8e-3, "q4_0": 8e-3, "q4_1": 8e-3}


@pytest.mark.parametrize("type", BOUNDS)
@pytest.mark.parametrize("isa", tier_params())
def test_a_linear_layer(isa: str, type: str) -> None:
    random = np.random.default_rng(6)
    rows = _core.quantize(random.normal(size=(77, 160)).astype(np.float32), type)  # type: ignore[arg-type]
    x = random.normal(size=(37, 160)).astype(np.float32)
    exact = x.astype(np.float64) @ _core.dequantize(rows, type).astype(np.float64).T  # type: ignore[arg-type]
    y = _core.linear(rows, type, x, isa=isa)
    assert y.shape == (37, 77)
    assert np.linalg.norm(y - exact) < BOUNDS[type] * np.linalg.norm(exact)
    for n_tokens, threads in ((1, 1), (16, 2), (37, 5)):
        np.testing.assert_array_equal(
            _core.linear(rows, type, x[:n_tokens], isa=isa, threads=threads), y[:n_tokens]
        )
