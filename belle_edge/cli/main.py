"""Entry point: parses arguments, runs a subcommand, turns errors into one line and an exit code.

Exit codes: 0 done, 1 an error (one line on stderr), 2 wrong usage, 130 stopped by Ctrl-C. `--verbose`, or
BELLE_DEBUG in the environment, shows the traceback instead of the line.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress

from .. import __version__
from . import convert, demo, generate, info

_COMMANDS = (convert, generate, info, demo)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="belle-edge",
        description="Convert BELLE models to GGUF and run them on an ordinary CPU.",
    )
    parser.add_argument("--version", action="version", version=f"belle-edge {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(subparsers)
    for subparser in subparsers.choices.values():
        with suppress(argparse.ArgumentError):  # a command may define its own
            subparser.add_argument(
                "--verbose", action="store_true", help="details on stderr, tracebacks on errors"
            )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    _use_utf8()
    args = build_parser().parse_args(argv)
    warnings.showwarning = _show_warning
    try:
        code: int | None = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if getattr(args, "verbose", False) or os.environ.get("BELLE_DEBUG"):
            raise
        print(f"belle-edge: error: {_one_line(error)}", file=sys.stderr)
        return 1
    return code or 0


def _use_utf8() -> None:
    """UTF-8 on every pipe and console, whatever the locale says."""
    for stream, errors in ((sys.stdin, "strict"), (sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors)


def _one_line(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"the input is not UTF-8 text (byte {error.start})"
    text = " ".join(str(error).split())
    expected = isinstance(error, (ValueError, OSError)) and text
    return text if expected else f"{type(error).__name__}: {text} (--verbose shows where)"


def _show_warning(message: Warning | str, *_args: object, **_kwargs: object) -> None:
    print(f"belle-edge: note: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
