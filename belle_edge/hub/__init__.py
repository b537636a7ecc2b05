"""The hub, which is not trusted: what a repository holds, bounded requests, downloads with resume and hashes.

`pull`, which also converts, stands above this room and is only shown here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy_names import lazy_names

if TYPE_CHECKING:
    from ..pull import Pulled, pull

__all__ = ["Pulled", "pull"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "..pull"))
