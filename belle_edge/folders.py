"""Where this package keeps files of its own: what it can make again, and what a user would miss."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$BELLE_CACHE, or belle-edge in the system's folder for caches of this user. It need not exist."""
    if chosen := os.environ.get("BELLE_CACHE"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("belle-edge", appauthor=False)


def state_folder() -> Path:
    """belle-edge in the system's folder for the state of this user's programs. It need not exist."""
    from platformdirs import user_state_path

    return user_state_path("belle-edge", appauthor=False)
