"""Progress of the stages of an optimized conversion that are not its writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.progress import ConversionProgress, ProgressCallback

MEASURING, CALIBRATING = "measuring", "calibrating"


@dataclass(frozen=True)
class StageProgress:
    """Reports to the conversion's callback, where there is one."""

    report: ProgressCallback | None

    def calibrating(self) -> ProgressCallback | None:
        """The callback for a calibration."""
        report = self.report
        return None if report is None else lambda event: report(replace(event, stage=CALIBRATING))

    def layers(self, n_layers: int, tensors: Sequence[MappedTensor]) -> Iterator[int]:
        """The layers of a model that is measured, each reported when it is done, in bytes of all its tensors."""
        n_bytes = sum(tensor.source.n_bytes for tensor in tensors if tensor.name.startswith("blk."))
        for layer in range(n_layers):
            yield layer
            if self.report is not None:
                done = n_bytes * (layer + 1) // n_layers
                self.report(ConversionProgress(f"blk.{layer}", done, n_bytes, MEASURING))
