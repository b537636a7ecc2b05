"""calibrate(): second moments of every matrix's input over texts, layer by layer, into a file.

Each layer is computed once, on all tokens. What has come out of it is kept beside the file before the next one begins,
so that a calibration that is stopped goes on with the layer that it was at, and ends with the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from belle_edge.convert.keyword_groups import source_options
from belle_edge.convert.moments.calibration_report import CalibrationReport
from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.moments.calibration_task import CalibrationTask
from belle_edge.convert.moments.data_files import DataFile, bundled_files, data_files
from belle_edge.convert.moments.hidden_states import states_path
from belle_edge.convert.moments.token_bounds import MOST_TOKENS, default_tokens
from belle_edge.convert.moments.token_texts import token_texts
from belle_edge.convert.partial_file import check_target
from belle_edge.convert.progress import ProgressCallback
from belle_edge.convert.source_guard import check_not_a_source
from belle_edge.convert.sources.gguf.gguf_source import is_gguf, parts_of
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.settings import integer, threads_or_all

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from belle_edge.convert.sources.opening_options import SourceSettings

_HELD_OUT_TOKENS = 2048
DataArgument = str | Path | Sequence[str | Path] | None


def calibrate(
    src: str | Path,
    out: str | Path,
    *,
    data: DataArgument = None,
    tokens: int | None = None,
    imatrix_only: bool = False,
    family: str | None = None,
    source: SourceOptions | None = None,
    force: bool = False,
    resume: bool = False,
    threads: int = 0,
    progress: ProgressCallback | None = None,
    **settings: Unpack[SourceSettings],
) -> CalibrationReport:
    """Second moments of the inputs of every matrix of a model, over texts, into a file.

    The file is an imatrix for llama.cpp's tools as well.

    src: a checkpoint in any form that `convert` reads, a GGUF, or a hub id.
    out: the file to write; it appears only when it is complete.
    data: .json, .jsonl or text files, which take turns; None: the texts that come with the package.
    tokens: that are computed, at most; data may have fewer. None: 8,192 for a model of 7 billion weights, up
        to 32,768 for smaller ones.
    imatrix_only: energies of columns alone, as llama.cpp has them: a small file.
    family: prompt family whose template dialogues get, in place of the recognised one.
    source: how the source is opened; or its fields by name, as in `convert`.
    force: overwrite an existing `out`, and drop an interrupted calibration of it.
    resume: go on with an interrupted calibration, or return where it is complete; the bytes are the same.
    threads: 0 = every usable processor.
    progress: called after every input.

    Raises ConversionError, with the file and line or tensor and what to do, OSError for failing reads and writes, and
    ValueError for a number out of range.
    """
    begin = time.monotonic()
    threads = threads_or_all("[threads]", threads)
    if tokens is not None:
        tokens = integer("[tokens]", tokens, low=1, high=MOST_TOKENS)
    options = source_options("calibrate", source, settings)
    target = Path(out).expanduser()
    files = _files(data)
    is_complete = resume and target.is_file()
    if not is_complete:
        check_target(target, force=force, resume=resume)
    _check_not_read(target, src, [*options.places, *(file.path for file in files)])
    opened = CalibrationSource.open(src, options, family=family)
    n_tokens = tokens if tokens is not None else default_tokens(opened.n_weights)
    texts = token_texts(files, opened.encoder, n_tokens=n_tokens)
    task = CalibrationTask.of(opened, texts, full=not imatrix_only, threads=threads)
    if is_complete:
        task.check_complete(target)
    else:
        task.write(target, force=force, resume=resume, progress=progress)
    warnings = [*opened.warnings, *texts.warnings(n_tokens)]
    return task.report(str(src), target, warnings=warnings, seconds=time.monotonic() - begin)


def held_out_ids(
    source: CalibrationSource, *, data: DataArgument = None, tokens: int = _HELD_OUT_TOKENS
) -> list[list[int]]:
    """Texts of the same data that calibration never saw, as token ids, to measure with; at most 512 in each.

    data: as for `calibrate`. There is none where the data has a single text. Raises ConversionError as `calibrate`.
    """
    texts = token_texts(_files(data), source.encoder, n_tokens=tokens, held_out=True)
    ends = [sum(texts.lengths[: place + 1]) for place in range(len(texts.lengths))]
    return [texts.ids[end - length : end].tolist() for end, length in zip(ends, texts.lengths, strict=True)]


def _files(data: DataArgument) -> list[DataFile]:
    if data is None:
        return bundled_files()
    return data_files([Path(data)] if isinstance(data, (str, Path)) else [Path(path) for path in data])


def _check_not_read(target: Path, src: str | Path, others: Sequence[str | Path]) -> None:
    """ConversionError where the output, or a file beside it that is written on the way, is one that is read."""
    parts = parts_of(src) if is_gguf(src) else ()
    for written in (target, states_path(target)):
        check_not_a_source(written, src, [*others, *parts])
