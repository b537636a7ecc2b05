"""Training rounds weights exactly as ggml's Q4_0 does, and puts the full values back."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
gguf = pytest.importorskip("gguf")

from demo_model.fake_quantize import q4_0_round_trip, q4_0_weights  # noqa: E402


def test_rounding_is_ggmls() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(scale=0.05, size=(64, 256)).astype(np.float32)
    weight[3, :32] = 0
    kind = gguf.GGMLQuantizationType.Q4_0
    expected = gguf.quants.dequantize(gguf.quants.quantize(weight, kind), kind)
    np.testing.assert_array_equal(q4_0_round_trip(torch.from_numpy(weight)).numpy(), expected)


def test_full_weights_return_and_vectors_stay() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 32)
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    with q4_0_weights(layer):
        assert torch.equal(layer.weight, q4_0_round_trip(weight))
        assert not torch.equal(layer.weight, weight)
        assert torch.equal(layer.bias, bias)
    assert torch.equal(layer.weight, weight)
