"""The output of a conversion: whether it may be written, and the writing itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.background_reader import read_in_background
from belle_edge.convert.gguf_writer import ModelFile
from belle_edge.convert.job import Job
from belle_edge.convert.journal import Journal
from belle_edge.convert.optimize.written_rows import WrittenRows
from belle_edge.convert.partial_file import check_free_space, check_target, partial_file
from belle_edge.convert.progress import ProgressCallback, ProgressMeter
from belle_edge.convert.quantization import encode
from belle_edge.convert.reading import FileRead, SourceBlock, reading_order, source_blocks
from belle_edge.convert.source_guard import check_not_a_source
from belle_edge.errors import ConversionError


@dataclass(frozen=True)
class Output:
    """The file, and how it is written; the settings are `convert`'s."""

    path: Path
    force: bool
    resume: bool
    threads: int
    progress: ProgressCallback | None

    def check(self, src: str | Path, others: Iterable[str | Path]) -> None:
        """ConversionError unless the file may be written, while `src` and `others` are read."""
        check_target(self.path, force=self.force, resume=self.resume)
        check_not_a_source(self.path, src, others)

    def write(self, job: Job) -> Job:
        """Every tensor to its place as it is read, the header last. The job, with what was measured meanwhile."""
        check_free_space(self.path, job.output_bytes)
        offsets = dict(zip((tensor.name for tensor in job.planned), job.header.offsets, strict=True))
        with partial_file(self.path, conversion=job.fingerprint, resume=self.resume, replace=self.force) as (
            file,
            journal,
        ):
            output = ModelFile(file, job.header)
            meter = ProgressMeter(job.planned, done=journal.tensors, report=self.progress)
            passes = reading_order(job.weight_files, job.planned, journal)
            events = read_in_background(source_blocks(passes))
            for event in events:
                if isinstance(event, FileRead):
                    journal.note_file(event.name)
                    continue
                try:
                    encoded = self._encoded(job, event)
                except ConversionError:
                    # A wrong hash explains impossible values better, and is found at the file's end.
                    if event.is_hashed:
                        next(rest for rest in events if isinstance(rest, FileRead))
                    raise
                for offset, data in event.placed(encoded):
                    output.write_at(offsets[event.tensor.name] + offset, data.data)
                if event.is_last:
                    name = event.tensor.name
                    journal.note_tensor(name, job.optimized.measured(name) if job.optimized else None)
                meter.advance(event)
            job = _with_results(job, journal, output)
            output.finish(job.header)
        return job

    def _encoded(self, job: Job, block: SourceBlock) -> NDArray[np.uint8]:
        optimized = job.optimized
        rounding = optimized.rounding(block.tensor, block.start) if optimized is not None else None
        return encode(block.tensor, block.rows, threads=self.threads, rounding=rounding)


def _with_results(job: Job, journal: Journal, output: ModelFile) -> Job:
    """The job with the values of its receipt, where it has one."""
    if job.optimized is None:
        return job
    places = dict(zip((tensor.name for tensor in job.planned), job.header.offsets, strict=True))
    written = WrittenRows({tensor.name: tensor for tensor in job.planned}, places, output.read)
    return job.with_metadata(job.optimized.results(journal.measured, written))
