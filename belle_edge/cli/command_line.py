"""Which command a command line means, and its arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from .arguments import CommandParser
from .foreign_names import COMMAND_ANSWERS, COMMANDS

_EVERYWHERE = ("-v", "--verbose", "-q", "--quiet")  # may stand before the command, too
_LANGUAGE = "--language"  # too, with its value
_STARTS_RUN = (
    "-m",
    "--model",
    "-hf",
    "-p",
    "--prompt",
)  # as llama.cpp's programs are called, without a command


def parse_command_line(
    parser: CommandParser, commands: Mapping[str, CommandParser], argv: Sequence[str] | None
) -> tuple[argparse.Namespace, CommandParser]:
    """The arguments, and the parser of the command. Wrong usage ends the process with code 2, in one line."""
    words = list(sys.argv[1:] if argv is None else argv)
    n_before = _n_before_the_command(words)
    before, words = words[:n_before], words[n_before:]
    if not words:
        parser.error(f"give a command: {', '.join(commands)}")
    name, rest = words[0], [*before, *words[1:]]
    if name == "run" or name.partition("=")[0] in _STARTS_RUN:
        rest = rest if name == "run" else [*before, *words]
        name = _run_as(commands, rest)
    elif name == "help":
        name, rest = (rest[0], ["--help"]) if rest and rest[0] in commands else ("--help", [])
    elif name == "version":
        name = "--version"
    if name in commands:
        command = commands[name]
        return command.parse_args(rest), command
    if name in ("-h", "--help", "--version"):
        return parser.parse_args([*before, name]), parser
    parser.error(_no_command(name, commands))


def language_option(words: Sequence[str]) -> str | None:
    """What --language says in a command line that nobody has parsed yet; None where it says nothing."""
    found: str | None = None
    for index, word in enumerate(words):
        if word == "--":
            break
        name, separator, attached = word.partition("=")
        if len(name) > len("--l") and "--language".startswith(name):
            found = attached if separator else next(iter(words[index + 1 :]), None)
    return found


def _n_before_the_command(words: Sequence[str]) -> int:
    """How many words are options that every command has."""
    n = 0
    while n < len(words):
        if words[n] in _EVERYWHERE or words[n].startswith(f"{_LANGUAGE}="):
            n += 1
        elif words[n] == _LANGUAGE and n + 1 < len(words):
            n += 2
        else:
            break
    return n


def _run_as(commands: Mapping[str, CommandParser], words: Sequence[str]) -> str:
    """`run` is Ollama's: with a prompt one answer, without one a chat."""
    if any(word.partition("=")[0] in ("--system", "--load", "--overflow") for word in words):
        return "chat"
    if any(word.partition("=")[0] in ("--help", "-h") for word in words):
        return "generate"
    args = commands["generate"].parse_args(words)
    has_prompt = args.prompt is not None or args.file is not None
    return "generate" if has_prompt or not sys.stdin.isatty() else "chat"


def _no_command(name: str, commands: Mapping[str, CommandParser]) -> str:
    lower = name.lower()
    if lower in COMMAND_ANSWERS:
        return f"{name}: {COMMAND_ANSWERS[lower]}"
    if lower in COMMANDS:
        return f"no command {name!r}: use belle-edge {COMMANDS[lower]}"
    if lower.endswith(".gguf") or Path(name).exists() or "/" in name:
        return f"a command comes first: belle-edge chat {name}, or belle-edge generate {name} PROMPT"
    if name.startswith("-"):
        close = get_close_matches(lower, ["--help", "--version"], n=1)
        return f"unknown option {name}: " + (
            f"did you mean {close[0]}?" if close else "a command comes first"
        )
    close = get_close_matches(lower, [*commands, "run"], n=1, cutoff=0.5)
    meant = f": did you mean {close[0]}?" if close else f": expected one of {', '.join(commands)}"
    return f"no command {name!r}{meant}"
