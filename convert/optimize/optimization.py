"""What a user asks for beyond rounding to the nearest: how rows are rounded, on which data, within which size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from belle_edge.argument_names import explains_fields
from belle_edge.convert.optimize.efforts import EFFORTS
from belle_edge.convert.sources.checkpoint_files import require_regular
from belle_edge.errors import ConversionError, excerpt
from belle_edge.settings import byte_count

CalibrationFiles = str | Path | Sequence[str | Path]


class OptimizationSettings(TypedDict, total=False):
    """The fields of `Optimization` but `effort`, as keyword arguments, for type checkers and editors."""

    calibration: CalibrationFiles
    target_size: int | str | None


@explains_fields("optimize")
@dataclass(frozen=True)
class Optimization:
    """How rows are rounded, and what is measured for it.

    Raises ConversionError for an effort or a size that does not exist, and for a file that is not there.
    """

    effort: str | None = "fast"  # one of EFFORTS; None: rows are rounded to the nearest
    calibration: CalibrationFiles = ()  # texts; or a moments file or an imatrix; none: the bundled texts
    target_size: int | str | None = None  # bytes that the file may have, as 3900000000 or "3.9GB"

    def __post_init__(self) -> None:
        if self.effort is not None:
            object.__setattr__(self, "effort", _known_effort(self.effort))
        if self.target_size is not None:
            object.__setattr__(self, "target_size", _size(self.target_size))
        given = [self.calibration] if isinstance(self.calibration, (str, Path)) else self.calibration
        paths = tuple(Path(path).expanduser() for path in given)
        for path in paths:
            require_regular(path)
            if not path.is_file():
                raise ConversionError(
                    f"[{path}] no such file: expected texts to calibrate on, a moments file or an imatrix"
                )
        object.__setattr__(self, "calibration", paths)
        if self.effort is None and self.target_size is None:
            raise ConversionError("[calibration] is of use beside optimize or target_size: give one of them")

    @classmethod
    def from_arguments(
        cls,
        optimize: str | bool | None = None,
        calibration: CalibrationFiles = (),
        target_size: int | str | None = None,
    ) -> Optimization | None:
        """From `convert`'s arguments; None where nothing is asked for. Raises as `Optimization` does."""
        if optimize in (None, False) and not calibration and target_size is None:
            return None
        effort = "fast" if optimize is True else optimize or None
        return cls(effort, calibration, target_size)

    @property
    def files(self) -> tuple[Path, ...]:
        """The calibration's."""
        return self.calibration  # type: ignore[return-value]  # so it is after __post_init__

    @property
    def target_bytes(self) -> int | None:
        """The size as a number."""
        return self.target_size  # type: ignore[return-value]


def _known_effort(name: object) -> str:
    plain = name.strip().lower() if isinstance(name, str) else name
    if plain not in EFFORTS:
        raise ConversionError(f"[optimize] expected one of {', '.join(EFFORTS)}, got {excerpt(name)}")
    return str(plain)


def _size(value: int | str) -> int:
    try:
        return byte_count("[target_size]", value)
    except ValueError as error:
        raise ConversionError(str(error)) from None
