"""The texts that a model is calibrated on by default: instructions with answers, written for this project.

One file per language group, one instruction in a line of JSON: {"instruction", "output"}, some with an "input". They
have the licence of the project. They vary on purpose: what calibration never saw is rounded less well.
"""

from pathlib import Path

NAMES = ("zh.jsonl", "en.jsonl", "other.jsonl")  # Chinese, English; Spanish, French, Japanese and Russian


def calibration_text_paths() -> tuple[Path, ...]:
    """Return the files, Chinese first."""
    folder = Path(__file__).resolve().parent
    return tuple(folder / name for name in NAMES)
