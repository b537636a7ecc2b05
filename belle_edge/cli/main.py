"""Entry point: parses arguments, runs a subcommand, turns errors into one line and an exit code.

Exit codes: 0 done, 1 an error (one line on stderr), 2 wrong usage, 130 stopped by Ctrl-C. `--verbose`, or
BELLE_DEBUG in the environment, shows the traceback instead of the line.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from .. import __version__
from ..errors import BelleError
from ..terminal_text import printable_line
from . import bench, chat, completion, convert, decrypt, demo, generate, identify, info, pull, verify
from .terminal import print_lines, set_up_messages, use_utf8

_COMMANDS = (convert, decrypt, identify, pull, generate, chat, info, verify, bench, demo, completion)


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
                "-v", "--verbose", action="store_true", help="details on stderr, tracebacks on errors"
            )
        with suppress(argparse.ArgumentError):
            subparser.add_argument("-q", "--quiet", action="store_true", help="no notes, only errors")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    use_utf8()
    args = build_parser().parse_args(argv)
    verbose = getattr(args, "verbose", False)
    set_up_messages(quiet=getattr(args, "quiet", False), verbose=verbose)
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
        if verbose or os.environ.get("BELLE_DEBUG"):
            print_lines(traceback.format_exc().rstrip().split("\n"), stream=sys.stderr)
            return 1
        print(f"belle-edge: error: {_one_line(error)}", file=sys.stderr)
        return 1
    return code or 0


def _one_line(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"the input is not UTF-8 text (byte {error.start})"
    text = printable_line(" ".join(str(error).split()))
    expected = isinstance(error, (BelleError, ValueError, OSError, MemoryError)) and text
    return text if expected else f"{type(error).__name__}: {text} (--verbose shows where)"


if __name__ == "__main__":
    sys.exit(main())
