"""Type checkers find a mistyped setting in a user's program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
from belle_edge import Belle, Generation, SamplingParams

model = Belle.load("x.gguf")
model.generate("a", temperature=0.5, stop="b", max_tokens=None)
model.generate("a", temprature=0.5)  # wrong
model.stream("a", top_k="many")  # wrong
model.chat([{"role": "user", "content": "a"}], max_new_tokens=5)  # wrong
model.conversation(seed=1).say("a", tempreature=1)  # wrong
SamplingParams(temprature=0.5)  # wrong
Belle.load("x.gguf", n_ctx=5)  # wrong
answers: list[Generation] = model.generate_batch(text for text in "ab")
both: list[Generation | ValueError] = model.generate_batch(["a"], errors="return", seed=1)
model.generate_batch(["a"], errors="ignore")  # wrong
model.generate_batch(["a"], temprature=1)  # wrong
"""


@pytest.mark.slow
def test_mypy_finds_mistyped_settings(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    ignore = shutil.ignore_patterns(
        "__pycache__", "*.so", "*.pyd", "checkpoint", "convert", "cli", "benchmark"
    )
    shutil.copytree(ROOT / "belle_edge", tmp_path / "belle_edge", ignore=ignore)
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--python-version", "3.10", "--follow-imports", "silent"),
            *("--ignore-missing-imports", "--no-error-summary", "program.py"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "MYPYPATH": str(tmp_path)},
    )
    wrong = {number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.endswith("# wrong")}
    found = {int(line) for line in re.findall(r"^program\.py:(\d+): error", done.stdout, re.MULTILINE)}
    assert found == wrong, done.stdout + done.stderr
