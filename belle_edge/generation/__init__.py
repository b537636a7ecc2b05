"""Answers, one or many: how they are written, streamed, and kept as conversations.

The public names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy_names import lazy_names

if TYPE_CHECKING:
    from .streams import AsyncStream, Generation, Stream, Timings

__all__ = ["AsyncStream", "Generation", "Stream", "Timings"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, ".streams"))
