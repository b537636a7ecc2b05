"""`belle-edge chat`: a conversation in the terminal, or from a pipe with a turn on each line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..languages import msg, t
from ..sampling import SamplingParams
from ..text.terminal_text import printable_line
from .constraint_options import add_constraint_arguments, constraint_settings
from .help_formatter import RawHelpFormatter
from .model_source import add_model_argument
from .notice import start_notice
from .options import (
    add_encoding_argument,
    add_engine_arguments,
    add_format_arguments,
    add_sampling_arguments,
    check_chat_format,
    open_model,
    sampling_settings,
)
from .shared_options import add_json_argument
from .standard_streams import require_input
from .terminal import print_remark, styled

if TYPE_CHECKING:
    from .._core import GgufFile

_HOW = msg('''\
A turn is a line. End a line with a backslash to go on in the next one, or put a longer text between lines of
"""; a pasted text stays together. What begins with / is a command, /help lists them; // at the start of a turn
stands for a plain /. Ctrl-C stops an answer, Ctrl-D leaves.
''')


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "chat",
        help=t("talk with a model"),
        description=t(
            "Talk with a model. With standard input from a pipe every line is a turn, and only the "
            "answers go to standard output."
        ),
        epilog=t(_HOW),
        formatter_class=RawHelpFormatter,
    )
    add_model_argument(parser)
    parser.add_argument("--system", metavar="TEXT", help=t("an instruction that opens the conversation"))
    parser.add_argument("--load", type=Path, metavar="FILE", help=t("go on with a saved conversation"))
    parser.add_argument(
        "--overflow",
        choices=("error", "slide"),
        default="slide",
        help=t(
            "when the context is full: drop the oldest turns and say so once (default), or stop with an error"
        ),
    )
    add_json_argument(parser, help=t("print every answer as one JSON line"))
    parser.add_argument("--no-history", action="store_true", help=t("keep no file of the lines typed here"))
    add_encoding_argument(parser)
    add_constraint_arguments(parser)
    add_format_arguments(parser)
    add_engine_arguments(parser)
    add_sampling_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from .chat_session import ChatSession
    from .line_completion import completions
    from .turns import history_file, line_editing, pipe_line, read_turns, terminal_line

    require_input()
    constraint = constraint_settings(args)
    file = _check(args)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    with open_model(args, file) as model:
        if not args.quiet:
            for line in start_notice(model.backend.metadata):
                print_remark(printable_line(line))
        session = ChatSession(
            model,
            interactive=interactive,
            as_json=args.json,
            max_tokens=args.max_tokens,
            overflow=args.overflow,
            sampling={**_given(args), **constraint},
        )
        session.start(system=args.system, load=args.load)
        if not interactive:
            return session.run(read_turns(pipe_line, _raise_interrupt))
        if not args.quiet:
            print_remark(t("/help lists the commands, Ctrl-D leaves."))
        prompts = [
            styled(mark, "bold", "cyan", stream=sys.stdout, readline_prompt=True) for mark in ("> ", ". ")
        ]
        history = None if args.no_history else history_file()
        with line_editing(completions, history):
            return session.run(read_turns(terminal_line(*prompts), session.interrupted))


def _check(args: argparse.Namespace) -> GgufFile | None:
    """What can be said before gigabytes are loaded: ValueError or OSError. Returns the open file of the model."""
    if args.load is not None:
        if args.system is not None:
            raise ValueError("--system does not go with --load: a saved conversation has its own")
        args.load.open("rb").close()
    SamplingParams(**_given(args))
    return check_chat_format(args)


def _given(args: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in sampling_settings(args).items() if value is not None}


def _raise_interrupt() -> None:
    raise KeyboardInterrupt
