"""From the pairs of an adapter to what they add: which way round the matrices lie, checked against the base."""

from __future__ import annotations

from collections.abc import Mapping

from belle_edge.convert.sources.lora.adapter_files import Adapter, Pair
from belle_edge.convert.sources.lora.low_rank import Delta, GroupedLowRank, LowRank
from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.errors import ConversionError


class DeltaBuilder:
    """Builds what one adapter adds to each weight.

    shapes: of the base's weights, by the adapter's modules.
    """

    def __init__(self, adapter: Adapter, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._adapter, self._shapes = adapter, shapes
        self.warnings: list[str] = []
        self._is_flipped = adapter.config.fan_in_fan_out and self._find_orientation()

    def build(self, module: str) -> Delta:
        """What is added to the weight of a module. ConversionError where the shapes do not fit."""
        a, b, is_embedding = _factors(self._adapter.pairs[module])
        config, shape = self._adapter.config, self._shapes[module]
        scale, rank = self._adapter.weight * config.scale_of(module), config.rank_of(module)
        delta: Delta
        if config.enable_lora is not None and not is_embedding and len(b.shape) == 3:
            _check_shape(a, (2 * rank, shape[1]))
            n_rows = shape[0] // len(config.enable_lora) * 2
            _check_shape(b, (n_rows, rank, 1))
            delta = GroupedLowRank(a, b, scale, config.enable_lora)
        else:
            is_transposed = is_embedding or self._is_flipped
            n_out, n_in = shape[::-1] if is_transposed else shape
            _check_shape(a, (rank, n_in))
            _check_shape(b, (n_out, rank))
            delta = LowRank(a, b, scale, is_transposed)
        if delta.shape != shape:
            raise ConversionError(
                f"[{b.file}] {b.name}: expected {list(shape)} in all, got {list(delta.shape)}"
            )
        return delta

    def _find_orientation(self) -> bool:
        """Whether an adapter with fan_in_fan_out has its matrices the other way round.

        PEFT ignores the flag for linear layers, all that these architectures have, so that nothing is turned;
        an adapter of weights stored as [inputs, outputs] fits turned only. Matrices that are not square tell which.
        """
        fits: set[bool] = set()
        for module, shape in self._shapes.items():
            a, b, is_embedding = _factors(self._adapter.pairs[module])
            if is_embedding or shape[0] == shape[-1]:
                continue
            fits |= {turned for turned in (False, True) if _outer(a, b) == (shape[::-1] if turned else shape)}
        file = self._adapter.config.file
        if len(fits) == 2:
            raise ConversionError(
                f"[{file}] fan_in_fan_out: some matrices of the adapter fit the base as they are, others only"
                " transposed; expected one way for all"
            )
        if not fits:
            raise ConversionError(
                f"[{file}] fan_in_fan_out: true, and every matrix is square: it does not show whether they lie"
                " transposed; set it to false if the adapter was trained on linear layers, as PEFT does by itself"
            )
        (is_flipped,) = fits
        if not is_flipped:
            self.warnings.append(
                f"adapter {self._adapter.name}: fan_in_fan_out has no effect on linear layers, in PEFT neither"
            )
        return is_flipped


def _factors(pair: Pair) -> tuple[SourceTensor, SourceTensor, bool]:
    assert pair.a is not None  # lora_files checks that both are there
    assert pair.b is not None
    return pair.a, pair.b, pair.is_embedding


def _outer(a: SourceTensor, b: SourceTensor) -> tuple[int, ...]:
    return (b.shape[0], a.shape[1]) if len(a.shape) == 2 and len(b.shape) >= 2 else ()


def _check_shape(tensor: SourceTensor, expected: tuple[int, ...]) -> None:
    if tensor.shape != expected:
        raise ConversionError(
            f"[{tensor.file}] {tensor.name}: expected shape {list(expected)} by the base and adapter_config.json, got"
            f" {list(tensor.shape)}"
        )
