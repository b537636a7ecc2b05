"""Standard streams that are closed or full: an exit code and at most a line, never a traceback."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full and a POSIX shell")
CLOSED_INPUT = "belle-edge: error: standard input is closed"
CLOSED_OUTPUT = "belle-edge: error: standard output is closed"
FULL = "No space left on device"
# Arguments, redirections, exit codes, and what standard error says where it can be seen.
CASES = [
    ("info", ">&-", {1}, CLOSED_OUTPUT),
    ("info", ">/dev/full", {1}, FULL),
    ("info", "2>&-", {0}, ""),
    ("--version", ">/dev/full", {0, 1}, ""),
    ("--help", ">/dev/full", {0, 1}, ""),
    ("", ">/dev/full 2>/dev/full", {2}, ""),
    ("nothing", "2>/dev/full", {2}, ""),
    ("nothing", ">&- 2>&-", {2}, ""),
    ("generate none.gguf x", "2>&-", {1}, ""),
    ("generate none.gguf x", "2>/dev/full", {1}, ""),
    ("generate MODEL", "<&-", {1}, CLOSED_INPUT),
    ("generate MODEL 你好 --max-tokens 2", "<&-", {0}, ""),
    ("generate MODEL 你好 --max-tokens 2", ">&-", {1}, CLOSED_OUTPUT),
    ("generate MODEL 你好 --max-tokens 2", ">/dev/full", {1}, FULL),
    ("generate MODEL 你好 --max-tokens 2 --json", ">/dev/full", {1}, FULL),
    ("generate MODEL 你好 --max-tokens 2", "<&- >&- 2>&-", {1}, ""),
    ("chat MODEL -q", "<&-", {1}, CLOSED_INPUT),
    ("chat MODEL -q", ">&- </dev/null", {1}, CLOSED_OUTPUT),
    ("verify MODEL", ">/dev/full", {1}, FULL),
    ("verify MODEL --json", "<&- 2>&-", {0}, ""),
    ("completion bash", ">/dev/full", {1}, FULL),
    ("completion bash", "| true", {0}, ""),
    ("generate MODEL 你好 --max-tokens 2", "| true", {0}, ""),
]


def run(
    case: tuple[str, str, set[int], str], model: Path, buffered: bool
) -> subprocess.CompletedProcess[str]:
    words, redirections = case[:2]
    command = f"{shlex.quote(sys.executable)} -m belle_edge {words.replace('MODEL', shlex.quote(str(model)))}"
    return subprocess.run(
        ["sh", "-c", f"{command} {redirections}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"},
    )


@pytest.mark.parametrize("buffered", [True, False])
def test_closed_full_and_left(model: Path, buffered: bool) -> None:
    cases = CASES if buffered else [case for case in CASES if "full" in case[1]]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda case: run(case, model, buffered), cases))
    for case, done in zip(cases, results, strict=True):
        assert done.returncode in case[2], (case, done)
        assert "Traceback" not in done.stderr, (case, done)
        assert "Exception ignored" not in done.stderr, (case, done)
        if case[3]:
            assert case[3] in done.stderr, (case, done)
            assert done.stderr.count("\n") == 1, (case, done)


def test_no_file_gets_the_number_of_a_closed_stream(model: Path) -> None:
    """What a library prints would end up in that file."""
    code = (
        "import os, sys; from belle_edge.cli.standard_streams import reserve_descriptors; reserve_descriptors();"
        "sys.exit(os.open(sys.argv[1], os.O_RDONLY))"
    )
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {shlex.quote(str(model))} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], timeout=60).returncode > 2
