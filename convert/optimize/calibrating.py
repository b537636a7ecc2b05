"""Where the moments of a conversion come from: a given file, or one that is made first and removed at the end."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from belle_edge.convert.moments import Moments
from belle_edge.convert.moments.calibrate import calibrate
from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.optimize.held_out import HeldOut
from belle_edge.convert.optimize.optimization import Optimization
from belle_edge.convert.optimize.stage_progress import StageProgress
from belle_edge.convert.partial_file import partial_path
from belle_edge.convert.progress import ProgressCallback
from belle_edge.convert.sources.gguf.gguf_source import is_gguf
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.errors import ConversionError

_OLD_SUFFIXES = (
    ".dat",
    ".imatrix",
)  # of llama.cpp's files from before GGUF, which begin with nothing special
BUNDLED = "bundled"


@dataclass(frozen=True)
class Run:
    """How the conversion runs, as `convert` was told."""

    target: Path | None  # None: nothing is written
    force: bool
    resume: bool
    threads: int
    progress: ProgressCallback | None


class Calibrating:
    """The moments of one conversion. A context manager: what it made is removed when the conversion ends."""

    def __init__(
        self,
        src: str | Path,
        source: SourceOptions,
        optimization: Optimization,
        run: Run,
        *,
        family: str | None = None,
    ) -> None:
        """Raises ConversionError for files of two kinds, and where an earlier run's moments wait."""
        self._src, self._source, self.run = src, source, run
        self._family, files = family, optimization.files
        ready = [path for path in files if is_ready(path)]
        if ready and len(files) > 1:
            raise ConversionError(
                f"[calibration] {ready[0].name} has moments: give it alone, or give texts alone"
            )
        self._ready, self._texts = (ready[0] if ready else None), [] if ready else list(files)
        self._made: list[Path] = []
        self._stack = ExitStack()
        if self._ready is None and run.target is not None and not (run.resume or run.force):
            path = self._path(run.target)
            if path.exists():
                raise ConversionError(
                    f"[{path}] of an interrupted conversion: --resume goes on with it, --force starts again"
                )

    @property
    def is_given(self) -> bool:
        """Whether there is a file of moments, so that none is made."""
        return self._ready is not None

    @property
    def texts(self) -> list[Path] | None:
        """Files of texts; None for the bundled ones."""
        return self._texts or None

    @property
    def data_names(self) -> tuple[str, ...]:
        """What the texts are called; of a given file it says that itself."""
        return tuple(path.name for path in self._texts) or (BUNDLED,)

    def moments(self) -> Moments:
        """The file that was given, or one that is computed now."""
        if self._ready is not None:
            return Moments.open(self._ready)
        target = self.run.target or Path(self._stack.enter_context(tempfile.TemporaryDirectory())) / "model"
        path = self._path(target)
        calibrate(
            self._src,
            path,
            data=self.texts,
            family=self._family,
            source=self._source,
            resume=self.run.resume,
            force=self.run.force,
            threads=self.run.threads,
            progress=StageProgress(self.run.progress).calibrating(),
        )
        self._made.append(path)
        return Moments.open(path)

    def held_out(self, source: CalibrationSource, *, effort: str) -> HeldOut:
        """The texts to measure with."""
        return HeldOut(source, self.texts, effort=effort, progress=StageProgress(self.run.progress))

    def __enter__(self) -> Calibrating:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        target = self.run.target
        is_hopeless = kind is not None and issubclass(kind, ConversionError)
        if kind is None or (is_hopeless and target is not None and not partial_path(target).exists()):
            for path in self._made:
                path.unlink(missing_ok=True)
        self._stack.close()

    @staticmethod
    def _path(target: Path) -> Path:
        return target.with_name(f"{target.name}.moments")


def is_ready(path: Path) -> bool:
    """Whether a file has moments or energies, and no texts."""
    return is_gguf(path) or path.suffix in _OLD_SUFFIXES
