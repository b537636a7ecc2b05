"""docs/zh/command-line.md shows what the commands say today."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .chinese_transcript import DOCUMENT, STEPS, transcript, without_times


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the transcript is of a POSIX shell")
def test_the_transcript_is_current(tmp_path: Path) -> None:
    """python tests/docs/chinese_transcript.py writes it anew."""
    shown = DOCUMENT.read_text(encoding="utf-8")
    assert without_times(transcript(tmp_path)) == without_times(shown)


def test_it_has_what_it_is_for() -> None:
    assert [step.exit_code for step in STEPS].count(1) >= 3
    shown = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"$ {step.command}\n" in shown for step in STEPS)
