"""The small bundled demonstration checkpoint: its place on disk, and what it is asked."""

from pathlib import Path


def checkpoint_path() -> Path:
    """Return the folder of the bundled checkpoint (Hugging Face layout)."""
    return Path(__file__).resolve().parent / "checkpoint"
