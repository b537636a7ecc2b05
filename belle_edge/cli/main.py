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
from . import bench, chat, completion, convert, decrypt, demo, generate, identify, info, pull, streams, verify
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
    streams.reserve_descriptors()
    use_utf8()
    left: SystemExit | None = None
    try:
        code = _run(build_parser(), argv)
    except SystemExit as error:  # argparse: help, version, wrong usage
        left, code = error, int(error.code or 0)
    if (problem := streams.flush()) is not None and code == 0:
        streams.say(f"belle-edge: error: standard output: {problem}")
        return 1
    if left is not None:
        raise left
    return code


def _run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parse, run, and turn what is raised into a line and a code. SystemExit as argparse raises it."""
    given = sys.argv[1:] if argv is None else argv
    if not given:
        parser.print_help()
        return 2
    args = parser.parse_args(given)
    verbose = getattr(args, "verbose", False)
    set_up_messages(quiet=getattr(args, "quiet", False), verbose=verbose)
    try:
        streams.require_output()
        code: int | None = args.run(args)
    except KeyboardInterrupt:
        streams.say("")
        return 130
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        return 1
    except Exception as error:
        if verbose or os.environ.get("BELLE_DEBUG"):
            print_lines(traceback.format_exc().rstrip().split("\n"), stream=sys.stderr)
            return 1
        streams.say(f"belle-edge: error: {_one_line(error)}")
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
