"""The contents of a sound GGUF file: statistics, tokenizer round trip, comparison with the source; one report."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..folders import user_path
from ..settings import threads_or_all
from .against import Comparison, Source, compare_tensors, open_source
from .metadata_check import compare_metadata
from .statistics import TensorStatistics, collect_statistics
from .tokenizer_check import SampleResult, check_round_trip, compare_with_source, other_ids, problems_of

if TYPE_CHECKING:
    from ..convert import SourceOptions

StageCallback = Callable[[str, int, int], object]  # (what is done, bytes done, bytes in all)


@dataclass
class ContentReport:
    """What was looked at, None for what was not, and what is wrong."""

    statistics: list[TensorStatistics] | None = None
    round_trip: list[SampleResult] | None = None
    comparison: Comparison | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # suspicious, or different on purpose

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of all of it."""
        statistics, round_trip = self.statistics, self.round_trip
        return {
            "ok": self.ok,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "statistics": None if statistics is None else [tensor.to_dict() for tensor in statistics],
            "round_trip": None if round_trip is None else [sample.to_dict() for sample in round_trip],
            "against": self.comparison.to_dict() if self.comparison else None,
        }


def verify_contents(
    path: str | os.PathLike[str],
    *,
    against: str | Path | None = None,
    source_options: SourceOptions | None = None,
    statistics: bool = False,
    round_trip: bool = False,
    threads: int | None = None,
    progress: StageCallback | None = None,
) -> ContentReport:
    """Look into a GGUF file; memory for a few blocks, whatever its size.

    against: the checkpoint it was made from, as `convert` takes it, with the SourceOptions it needs. Includes
    statistics of every tensor, and round_trip, which sends sample texts through the tokenizer.
    threads: None = every usable processor. progress: called with a stage's name, bytes done and bytes in all.
    Raises ModelFormatError, UnsupportedModelError, and with `against` ConversionError and HubError.
    """
    from .. import _core

    n_threads = threads_or_all("[verify] threads", 0 if threads is None else threads)
    path = user_path("[verify] path", path)
    file = _core.GgufFile(str(path))
    report = ContentReport()
    if statistics or against is not None:
        _add_statistics(report, file, n_threads, progress)
    source = None if against is None else open_source(against, source_options)
    if round_trip or source is not None:
        _add_round_trip(report, file, source)
    if source is not None:
        agreement = compare_metadata(file, source)
        report.problems += agreement.problems
        report.notes += agreement.notes
        comparing = None if progress is None else lambda done, total: progress("comparing", done, total)
        report.comparison = compare_tensors(file, source, threads=n_threads, progress=comparing)
        report.problems += report.comparison.problems
        report.notes += _scale_notes(report.comparison)
    return report


def _scale_notes(comparison: Comparison) -> list[str]:
    n_inputs = comparison.n_scaled_inputs
    if n_inputs == 0:
        return []
    return [
        f"the columns of {n_inputs} inputs are scaled on purpose, which the norms or rows before them make up for:"
        " they were compared with these scales"
    ]


def _add_statistics(report: ContentReport, file: Any, threads: int, progress: StageCallback | None) -> None:
    reading = None if progress is None else lambda done, total: progress("statistics", done, total)
    report.statistics = collect_statistics(file, threads=threads, progress=reading)
    for tensor in report.statistics:
        if tensor.n_not_finite:
            report.problems.append(f"{tensor.name}: {tensor.n_not_finite} values are not finite")
        elif tensor.suspicion:
            report.notes.append(f"{tensor.name}: {tensor.suspicion}")


def _add_round_trip(report: ContentReport, file: Any, source: Source | None) -> None:
    from ..text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_metadata(file)
    reference = None
    if source is not None:
        from ..convert.source_tokenizer import source_tokenizer

        reference = source_tokenizer(source.checkpoint)
    report.round_trip = check_round_trip(tokenizer, None if reference is None else reference.encode_plain)
    report.problems += problems_of(report.round_trip)
    if reference is not None:
        n_known = file.get("belle.tokenizer.different_texts") or 0
        problems, notes = compare_with_source(tokenizer, reference, n_known=n_known)
        report.problems += [*problems, *(other_ids(report.round_trip) if problems else [])]
        report.notes += notes
