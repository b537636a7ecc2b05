"""The file that an engine runs: open already, for whoever loads it has looked into it, or still a path."""

from __future__ import annotations

import os

from .. import _core

ModelFile = str | os.PathLike[str] | _core.GgufFile


def opened(file: ModelFile) -> _core.GgufFile:
    """`file`, opened where it is a path. OSError, ModelFormatError."""
    return file if isinstance(file, _core.GgufFile) else _core.GgufFile(file)
