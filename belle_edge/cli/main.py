"""Entry point: parses arguments, runs a subcommand, turns errors into one line and an exit code.

Exit codes: 0 done, 1 an error (one line on stderr), 2 wrong usage, 130 stopped by Ctrl-C. `--verbose`, or
BELLE_DEBUG in the environment, shows the traceback instead of the line.
"""

from __future__ import annotations

import os
import sys
import traceback
from argparse import ArgumentError
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from .. import __version__
from ..errors import BelleError
from ..languages import chosen, said, t, use_language
from . import (
    batch,
    bench,
    calibrate,
    chat,
    compare,
    completion,
    convert,
    decrypt,
    demo,
    desktop,
    eval,
    generate,
    identify,
    info,
    perplexity,
    pull,
    serve,
    standard_streams,
    verify,
)
from .arguments import CommandParser
from .command_line import language_option, parse_command_line
from .options import input_encoding
from .shared_options import add_language_argument
from .terminal import print_lines, set_up_messages, use_utf8
from .text_input import decoding_problem
from .wording import Wording

_COMMANDS = (
    convert,
    calibrate,
    decrypt,
    identify,
    pull,
    generate,
    batch,
    chat,
    serve,
    desktop,
    info,
    verify,
    compare,
    perplexity,
    bench,
    eval,
    demo,
    completion,
)


def build_parser() -> CommandParser:
    """The parser of all subcommands."""
    return _parsers()[0]


def _parsers() -> tuple[CommandParser, dict[str, CommandParser]]:
    """The parser of all subcommands, and theirs by name."""
    parser = CommandParser(
        prog="belle-edge",
        description=t("Convert BELLE models to GGUF and run them on an ordinary CPU."),
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"belle-edge {__version__}",
        help=t("show the version and leave"),
    )
    add_language_argument(parser)
    subparsers: Any = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(subparsers)
    commands: dict[str, CommandParser] = subparsers.choices
    for subparser in commands.values():
        with suppress(ArgumentError):  # a command may define its own
            subparser.add_argument(
                "-v", "--verbose", action="store_true", help=t("details on stderr, tracebacks on errors")
            )
        with suppress(ArgumentError):
            subparser.add_argument(
                "-q", "--quiet", action="store_true", help=t("no notes, progress or reports, only errors")
            )
        add_language_argument(subparser)
        subparser.siblings = commands
    return parser, commands


def all_flags(commands: Mapping[str, CommandParser], name: str) -> dict[str, str]:
    """Settings -> options: those of the command `name`, then those that only others have."""
    others = [parser.flags for parser in commands.values()]
    return {setting: flag for flags in (*others, commands[name].flags) for setting, flag in flags.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    standard_streams.reserve_descriptors()
    use_utf8()
    left: SystemExit | None = None
    use_language(chosen(language_option(sys.argv[1:] if argv is None else argv)))
    try:
        code = _run(argv)
    except SystemExit as error:  # argparse: help, version, wrong usage
        left, code = error, int(error.code or 0)
    if (problem := standard_streams.flush()) is not None and code == 0:
        standard_streams.say_error(t("standard output: {problem}", problem=said(problem)))
        return 1
    if left is not None:
        raise left
    return code


def _run(argv: Sequence[str] | None) -> int:
    """Parse, run, and turn what is raised into a line and a code. SystemExit as argparse raises it."""
    parser, commands = _parsers()
    given = sys.argv[1:] if argv is None else argv
    if not given:
        parser.print_help()
        return 2
    args, command = parse_command_line(parser, commands, argv)
    wording = Wording(all_flags(commands, command.prog.split()[-1]))
    set_up_messages(quiet=args.quiet, verbose=args.verbose, wording=wording)
    try:
        standard_streams.require_output()
        if (encoding := input_encoding(args)) is not None:
            use_utf8(input_encoding=encoding)
        code: int | None = args.run(args)
    except KeyboardInterrupt:
        standard_streams.say("")
        return 130
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        return 1
    except Exception as error:
        if args.verbose or os.environ.get("BELLE_DEBUG"):
            print_lines(traceback.format_exc().rstrip().split("\n"), stream=sys.stderr)
            return 1
        standard_streams.say_error(_one_line(error, wording))
        return 1
    return code or 0


def _one_line(error: Exception, wording: Callable[[str], str]) -> str:
    if isinstance(error, UnicodeDecodeError):
        return said(decoding_problem(error, error.object, where="the input"))
    text = wording(said(" ".join(str(error).split())))
    expected = isinstance(error, (BelleError, ValueError, OSError, MemoryError)) and text
    return text if expected else f"{type(error).__name__}: {text} ({t('--verbose shows where')})"


if __name__ == "__main__":
    sys.exit(main())
