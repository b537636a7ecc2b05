"""Second moments of what a model's matrices are multiplied with, over texts: computed, kept in files, read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from belle_edge.lazy_names import lazy_names

if TYPE_CHECKING:
    from belle_edge.convert.moments.moments_file import Moments

__all__ = ["Moments"]

__getattr__, __dir__ = lazy_names(__name__, {"Moments": ".moments_file"})
