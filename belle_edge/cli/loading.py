"""What a terminal shows while a model is loaded: its name, its size, the seconds so far."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..languages import t
from ..text.terminal_text import printable_line


@contextmanager
def loading_notice(path: Path, *, shown: bool) -> Iterator[None]:
    """A moving line on standard error, where that is a terminal; it is gone afterwards."""
    if not shown or not sys.stderr.isatty() or not path.is_file():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from ..memory import size_text

    text = TextColumn("{task.description}", markup=False)
    progress = Progress(
        SpinnerColumn(), text, TimeElapsedColumn(), console=Console(stderr=True), transient=True
    )
    with progress:
        progress.add_task(
            t("loading {name}, {size}", name=printable_line(path.name), size=size_text(path.stat().st_size)),
            total=None,
        )
        yield
