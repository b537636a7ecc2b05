"""Runs many commands inside one process; started as a program by outcomes.py.

Reads a JSON list of argument lists from standard input. Prints one JSON line before each command and one after it:
arguments, exit code (or a traceback), standard error.
"""

from __future__ import annotations

import io
import json
import sys
import traceback

LIMIT_BYTES = 4 << 30  # of address space: a damaged size must not ask for all memory


def run(arguments: list[str]) -> tuple[int | str, str]:
    """(exit code, or the traceback of what escaped; standard error) of one command."""
    from belle_edge.cli.main import main

    errors = io.BytesIO()
    before = sys.stdout, sys.stderr
    sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(errors, encoding="utf-8", write_through=True)
    code: int | str
    try:
        code = main(arguments)
    except BaseException:  # also what is no Exception, as a panic in a library of Rust
        code = traceback.format_exc()
    finally:
        text = errors.getvalue().decode("utf-8")
        sys.stdout, sys.stderr = before
    return code, text


def run_all(commands: list[list[str]]) -> None:
    for arguments in commands:
        print(
            json.dumps({"arguments": arguments, "code": "started"}), flush=True
        )  # the last one after a crash
        code, errors = run(arguments)
        print(json.dumps({"arguments": arguments, "code": code, "errors": errors}), flush=True)


if __name__ == "__main__":
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    run_all(json.load(sys.stdin))
