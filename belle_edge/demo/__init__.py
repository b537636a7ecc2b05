"""The small bundled demonstration checkpoint: its tasks, its training and its place on disk."""

from pathlib import Path


def checkpoint_path() -> Path:
    """Return the folder of the bundled checkpoint (Hugging Face layout)."""
    return Path(__file__).resolve().parent / "checkpoint"
