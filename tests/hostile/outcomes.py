"""Judges what commands made of their input: they ran, or they refused it in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

BATCH = Path(__file__).with_name("cli_batch.py")
GENERATE = ["the dog 你好", "--max-tokens", "3", "--temperature", "0", "--threads", "1"]


def outcomes_of_files(
    paths: Iterable[Path], names: Sequence[str] = ("info", "generate")
) -> list[tuple[str, str, str]]:
    """(file name, command, "runs" or the error's line) of these commands on every file, in one process."""
    more = {"generate": GENERATE}
    commands = [[name, str(path), *more.get(name, [])] for path in paths for name in names]
    outcomes = outcomes_of_commands(commands)
    return [
        (Path(command[1]).name, command[0], outcome)
        for command, outcome in zip(commands, outcomes, strict=True)
    ]


def outcomes_of_commands(commands: Sequence[Sequence[str]], *, timeout: float = 200) -> list[str]:
    """ "runs" or the error's line, for each.

    AssertionError where the process dies, something but an exit code comes out, or an error is not one plain line.
    """
    done = subprocess.run(
        [sys.executable, str(BATCH)],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{done.returncode} after {reports[-1:]}\n{done.stderr[-3000:]}"
    return [_outcome(report) for report in reports if report["code"] != "started"]


def _outcome(report: dict[str, Any]) -> str:
    assert report["code"] in (0, 1), report
    if report["code"] == 1:
        return error_line(report["errors"], report)
    assert "belle-edge: error" not in report["errors"], report
    return "runs"


def error_line(errors: str, context: object) -> str:
    """The one line of standard error that is no note; of an expected kind of error."""
    lines = [line for line in errors.splitlines() if not line.startswith("belle-edge: note:")]
    assert len(lines) == 1, context
    assert lines[0].startswith("belle-edge: error: "), context
    assert "--verbose shows where" not in errors, ("an error of an unexpected kind", context)
    return lines[0]
