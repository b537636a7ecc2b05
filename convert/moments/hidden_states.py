"""OUT.states: what has come out of the last finished layer, so that a calibration goes on after a kill.

It has a hash of itself. One that is damaged, or of another calibration, is no state at all.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert.gguf_writer import write_all
from belle_edge.convert.journal import check_own_file
from belle_edge.convert.partial_file import atomic_file, partial_path
from belle_edge.regular_files import open_regular

_MAGIC = b"BELLE-hidden-1\n\0"
_START = struct.Struct(
    "<16s64sIQQQ"
)  # magic, calibration, finished layers, tokens, width, hash of the values


def states_path(out: Path) -> Path:
    """The states of a target."""
    return out.with_name(out.name + ".states")


class HiddenStates:
    """The file beside one target."""

    def __init__(self, out: Path, *, calibration: str) -> None:
        """calibration: identifies what is computed, 64 characters, as its journal has it."""
        self.path, self._calibration = states_path(out), calibration.encode()
        check_own_file(self.path, "the states of a calibration")

    def load(self) -> tuple[int, NDArray[np.float32]] | None:
        """(finished layers, hidden states [n_tokens, width]); None where there are none to go on with."""
        try:
            with open_regular(self.path) as file:
                start = file.read(_START.size)
                if len(start) < _START.size:
                    return None
                magic, calibration, n_layers, n_tokens, width, stated = _START.unpack(start)
                size = self.path.stat().st_size - _START.size
                if magic != _MAGIC or calibration != self._calibration or size != 4 * n_tokens * width:
                    return None
                values = np.fromfile(file, dtype="<f4", count=n_tokens * width)
        except OSError:  # none
            return None
        if values.nbytes != size or _core.xxh64(_bytes_of(values)) != stated:
            return None
        return n_layers, values.reshape(n_tokens, width)

    def save(self, n_layers: int, hidden: NDArray[np.float32]) -> None:
        """Keep the output of the first `n_layers` layers, in place of what was kept."""
        data = _bytes_of(np.ascontiguousarray(hidden, dtype="<f4"))
        start = _START.pack(_MAGIC, self._calibration, n_layers, *hidden.shape, _core.xxh64(data))
        with atomic_file(self.path, replace=True) as file:
            write_all(file, start)
            write_all(file, data.data)

    def remove(self) -> None:
        """They are needed no more."""
        self.path.unlink(missing_ok=True)
        partial_path(self.path).unlink(missing_ok=True)

    @property
    def n_bytes(self) -> int:
        """Of the file as it is."""
        return self.path.stat().st_size if self.path.is_file() else 0


def _bytes_of(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return values.reshape(-1).view(np.uint8)
