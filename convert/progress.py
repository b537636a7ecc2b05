"""Progress of a conversion: the event for callbacks, and a bar with speed and time left for terminals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from belle_edge.languages import t
from belle_edge.text.terminal_text import printable_line

if TYPE_CHECKING:
    from belle_edge.convert.quantization import PlannedTensor
    from belle_edge.convert.reading import SourceBlock


@dataclass(frozen=True)
class ConversionProgress:
    """Sent after every block."""

    tensor: str  # GGUF name of the tensor being written; of decryption, the file
    done_bytes: int  # source bytes of this stage so far
    total_bytes: int
    stage: str = "converting"  # of an optimized conversion before and after it: "calibrating", "measuring"


ProgressCallback = Callable[[ConversionProgress], None]


class ProgressMeter:
    """Counts source bytes; what an earlier run has done counts from the start."""

    def __init__(
        self, planned: Sequence[PlannedTensor], *, done: Collection[str], report: ProgressCallback | None
    ) -> None:
        self._report = report
        self._total = sum(tensor.tensor.source.n_bytes for tensor in planned)
        self._done = sum(tensor.tensor.source.n_bytes for tensor in planned if tensor.name in done)

    def advance(self, block: SourceBlock) -> None:
        """A block has been converted and written."""
        self._done += block.n_source_bytes
        if self._report is not None:
            self._report(ConversionProgress(block.tensor.name, self._done, self._total))


@contextmanager
def terminal_progress(doing: str | None = None) -> Iterator[ProgressCallback | None]:
    """A callback that draws a bar on standard error, or None where that is not a terminal.

    doing: what the bar says at its begin, in the language of the process.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    stages = {"calibrating": t("calibrating"), "measuring": t("measuring")}
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(doing or t("converting"), total=None)

        def show(event: ConversionProgress) -> None:
            name = printable_line(event.tensor)
            if event.stage in stages:
                name = f"{stages[event.stage]} {name}"
            bar.update(task, completed=event.done_bytes, total=event.total_bytes, description=name)

        yield show
