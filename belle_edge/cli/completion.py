"""`belle-edge completion`: completion scripts for bash, zsh and fish, which shtab writes from the parser."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..languages import msg, t
from .help_formatter import RawHelpFormatter

_SHELLS = ("bash", "fish", "zsh")
_HOW = msg("""\
where it goes:
  bash   belle-edge completion bash > ~/.local/share/bash-completion/completions/belle-edge
  zsh    belle-edge completion zsh > "${fpath[1]}/_belle-edge"
  fish   belle-edge completion fish > ~/.config/fish/completions/belle-edge.fish
""")
# What completes a value, in each shell's own words. shtab's function for files in bash splits names at spaces.
_FILES = {
    "bash": "_belle_edge_any_file",
    "zsh": "_files",
    "fish": "(__fish_complete_path (commandline -ct))",
}
_MODELS = {
    "bash": "_belle_edge_gguf_file",
    "zsh": "_files -g '*.gguf'",
    "fish": "(__fish_complete_suffix .gguf)",
}
_BASH_FUNCTIONS = """\
_belle_edge_any_file() {
  compgen -f -- "$1"
}
_belle_edge_gguf_file() {
  compgen -f -X '!*.gguf' -- "$1"
  compgen -d -- "$1"
}
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "completion",
        help=t("print a completion script for your shell"),
        description=t("Print a script that completes commands, options and their values in a shell."),
        epilog=t(_HOW),
        formatter_class=RawHelpFormatter,
    )
    parser.add_argument("shell", choices=_SHELLS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import shtab

    from .main import build_parser

    parser = build_parser()
    _say_what_completes(parser)
    functions = _BASH_FUNCTIONS if args.shell == "bash" else ""
    print(shtab.complete(parser, shell=args.shell, preamble=functions))
    return 0


def _say_what_completes(parser: argparse.ArgumentParser) -> None:
    """Give the arguments that take files what shtab asks them for."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                _say_what_completes(subparser)
        elif action.choices is None and action.nargs != 0 and (values := _values_of(action)):
            action.complete = values  # type: ignore[attr-defined]


def _values_of(action: argparse.Action) -> dict[str, str] | None:
    """How an argument's value completes; None for a number or a text."""
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if metavar.endswith(".gguf") or metavar == "MODEL":
        return _MODELS
    if action.type is Path or metavar in ("SRC", "DIR", "PATH", "REFERENCE") or metavar.endswith("FILE"):
        return _FILES
    return None
