"""compare(): a reference and candidates on the same texts, each computed once, a bounded part at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..._core import GgufFile
from ...convert.sources.gguf.gguf_source import is_gguf, open_gguf
from ...convert.sources.opening_options import SourceOptions
from ...errors import ConversionError
from ..texts.text_files import text_files
from .compare_options import CompareOptions, Progress, Stage
from .comparison_run import ComparisonRun
from .opened_models import OpenedModel, open_loaded, open_streamed
from .passages import PassageReader, bundled_questions, text_sets
from .result import Comparison


@dataclass(frozen=True)
class Compared:
    """A comparison, and what is no part of it: how long it took, and whether the data has more."""

    comparison: Comparison
    stages: tuple[Stage, ...]
    is_cut: bool  # whether max_tokens left texts out
    warnings: tuple[str, ...]  # about the reference


def compare(
    reference: str | Path,
    candidates: Sequence[str | Path],
    *,
    data: Sequence[str] = (),
    options: CompareOptions | None = None,
    progress: Progress | None = None,
) -> Compared:
    """How far candidates are from a reference.

    reference: a checkpoint in any form that `convert` takes, which is read layer by layer, or a GGUF, which our engine
    runs. candidates: GGUF files. data: files of texts, as FILE or LANGUAGE=FILE; none: the questions that come with
    the package. progress: called after every step.

    Raises ConversionError for models that do not fit together and for data, with file and line; what `Belle.load`
    raises; OSError.
    """
    if not candidates:
        raise ValueError("[compare] expected at least one candidate")
    options = options or CompareOptions()
    for path in candidates:
        if not is_gguf(path):
            raise ConversionError(f"[{Path(path).name}] a candidate is a GGUF file: convert it first")
    for path in (reference, *candidates):
        if is_gguf(path):
            GgufFile(str(Path(path).expanduser())).verify_data(threads=options.threads)
    files = text_files(data) if data else bundled_questions()
    with ExitStack() as stack:
        opened = _open_reference(reference, options, stack)
        reader = PassageReader(opened.tokenizer, opened.chat_format, opened.context)
        passages, is_cut = reader.read(files, max_tokens=options.max_tokens)
        run = ComparisonRun(opened, passages, options, progress or _nobody)
        found = run.candidates(reference, candidates)
        comparison = Comparison(opened.side, tuple(found), text_sets(passages))
        return Compared(comparison, tuple(run.stages), is_cut, opened.warnings)


def _open_reference(path: str | Path, options: CompareOptions, stack: ExitStack) -> OpenedModel:
    if is_gguf(path):
        open_gguf(path, options.source or SourceOptions())  # says which of these a file has no use for
        opened = open_loaded(path, "native", family=options.family, threads=options.threads or None)
    else:
        opened = open_streamed(path, options.source, family=options.family, threads=options.threads)
    stack.callback(opened.close)
    return opened


def _nobody(stage: str, done: int, total: int) -> None:
    """Nobody looks."""
