"""Quantization-aware training: ggml's Q4_0 rounding of the weights, gradients passed straight through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from belle_edge._core import BLOCK_SIZE

if TYPE_CHECKING:
    import torch


def q4_0_round_trip(weight: torch.Tensor) -> torch.Tensor:
    """Return `weight` [rows, columns] as Q4_0 stores it: d = (value of largest magnitude) / -8, in fp16."""
    import torch

    blocks = weight.reshape(-1, BLOCK_SIZE)  # values of a block lie along the input dimension
    largest = blocks.gather(1, blocks.abs().argmax(dim=1, keepdim=True))
    scale = largest / -8
    inverse = torch.where(scale == 0, 0.0, 1 / scale)
    quantized = (blocks * inverse + 8.5).trunc_().clamp_(0, 15) - 8
    return (quantized * scale.half().float()).reshape(weight.shape)


@contextmanager
def q4_0_weights(model: torch.nn.Module, *, enabled: bool = True) -> Iterator[None]:
    """Inside the context every matrix of `model` holds its Q4_0 values; afterwards the full values return.

    With backward inside and the optimizer step outside this is the straight-through estimator
    (Bengio et al., arXiv:1308.3432, section 4).
    """
    import torch

    matrices = [p for p in model.parameters() if p.dim() == 2] if enabled else []
    full = [p.detach().clone() for p in matrices]
    with torch.no_grad():
        for parameter in matrices:
            parameter.copy_(q4_0_round_trip(parameter))
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, values in zip(matrices, full, strict=True):
                parameter.copy_(values)
