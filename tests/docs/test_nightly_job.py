"""examples/nightly_job.sh: nights that are too short, and the one after them that ends the job."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
NIGHTS = ("0.2s", "1.5s", "600s")  # the first is over before Python has begun

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="a script of a POSIX shell"),
    pytest.mark.skipif(shutil.which("timeout") is None, reason="coreutils' timeout is not installed"),
]


def night(folder: Path, model: Path, time: str) -> str:
    """Run the job. Returns what it said."""
    words = ["sh", str(ROOT / "examples" / "nightly_job.sh"), str(model), "inbox", "outbox", time]
    search = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PATH": search, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=700,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_nights(converted: Callable[[str, str], Path], tmp_path: Path) -> None:
    model = converted("bloom", "q4_0")
    for name in ("inbox", "bin"):
        (tmp_path / name).mkdir()
    program = tmp_path / "bin" / "belle-edge"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m belle_edge "$@"\n')
    program.chmod(0o755)
    source = tmp_path / "inbox" / "comments.jsonl"
    records = [json.dumps({"id": number, "prompt": f"{number}加1等于多少？"}) for number in range(700)]
    source.write_text("\n".join([*records, "{broken"]))
    (tmp_path / "inbox" / "names.csv").write_text("id,text\n1,你好\n", encoding="utf-8")
    undisturbed = tmp_path / "undisturbed.jsonl"
    assert main(["batch", str(model), str(source), "-o", str(undisturbed), "--max-tokens", "200"]) == 3

    said = [night(tmp_path, model, time) for time in NIGHTS]

    assert "the time is up" in said[0]
    assert "the time is up" not in said[2]
    assert [line.split(" ", 2)[2] for line in "".join(said).splitlines() if line.endswith("done")] == [
        "comments.jsonl: done",
        "names.csv: done",
    ]
    assert (tmp_path / "outbox" / "comments.jsonl").read_bytes() == undisturbed.read_bytes()
    assert json.loads((tmp_path / "outbox" / "names.jsonl").read_text("utf-8"))["id"] == "1"
    assert sorted(path.name for path in (tmp_path / "inbox" / "done").iterdir()) == [
        "comments.jsonl",
        "names.csv",
    ]
    assert [path.name for path in (tmp_path / "inbox").iterdir()] == ["done"]
