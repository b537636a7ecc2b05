"""The commands of a chat: their names and help, and what a typed line that begins with a slash means."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..languages import msg, t
from .wrapping import wrapped

_COMMAND = re.compile(r"/(?!/)|／(?=[A-Za-z?？])")  # the second slash is what Chinese input methods type


@dataclass(frozen=True)
class Command:
    """One command as the help shows it."""

    name: str
    argument: str  # "" where it takes none
    help: str
    aliases: tuple[str, ...] = ()
    takes_path: bool = False


_ALL = (
    Command("help", "", msg("show this help"), ("?",)),
    Command("regen", "", msg("answer the last question again")),
    Command("undo", "", msg("take back the last question and its answer")),
    Command("clear", "", msg("begin a new conversation; the system text stays"), ("reset",)),
    Command(
        "system",
        "TEXT",
        msg("begin anew with this instruction; /system alone shows it, /system - removes it"),
    ),
    Command(
        "set", "NAME VALUE", msg("change a setting, as /set temperature 0.8; /set alone shows all of them")
    ),
    Command(
        "save", "FILE", msg("keep the conversation in a file; /save alone saves there again"), takes_path=True
    ),
    Command("load", "FILE", msg("go on with a conversation that was saved"), takes_path=True),
    Command(
        "export", "FILE.md", msg("write questions and answers as Markdown, to read or print"), takes_path=True
    ),
    Command("bye", "", msg("leave, as Ctrl-D does"), ("exit", "quit")),
)
COMMANDS: Mapping[str, Command] = {
    name: command for command in _ALL for name in (command.name, *command.aliases)
}

_BEFORE = msg("Type a question and press Enter. Ctrl-C stops an answer.")
_AFTER = (
    msg('Several lines: end a line with \\ to go on in the next one, or put the text between lines of """.'),
    msg("A question that begins with a slash: type two, as in //etc."),
)


def parsed(turn: str) -> tuple[Command, str] | None:
    """The command that a turn is, with its argument; None for a question.

    ValueError for a command that does not exist: a mistyped one is no question for the model.
    """
    text = turn.lstrip()
    if not _COMMAND.match(text):
        return None
    words = text[1:].split(maxsplit=1)
    name = words[0].lower().replace("？", "?") if words and not text[1].isspace() else ""
    argument = words[1].strip() if len(words) > 1 else ""
    command = COMMANDS.get(name)
    if command is None:
        raise ValueError(_unknown(f"/{name}"))
    if argument and not command.argument:
        raise ValueError(f"/{name} takes no argument, got {argument!r}")
    return command, argument


def question(turn: str) -> str:
    """The text of a turn that is no command: two slashes at its start stand for one."""
    return turn[1:] if turn.startswith("//") else turn


def help_text(width: int) -> str:
    """The help, for lines of `width` cells: two columns, or with little room one below the other."""
    names = {command: _usage(command) for command in _ALL}
    column = max(map(len, names.values())) + 4
    if width < column + 30:
        column = 6
    lines = [*_lines(_BEFORE, width), ""]
    for command, usage in names.items():
        texts = _lines(command.help, width - column)
        if len(usage) + 4 > column:
            lines.append(f"  {usage}")
        else:
            lines.append(f"  {usage}".ljust(column) + texts.pop(0))
        lines += [" " * column + text for text in texts]
    lines.append("")
    for text in _AFTER:
        lines += _lines(text, width)
    return "\n".join(lines)


def _lines(text: str, width: int) -> list[str]:
    """The translation of a text, in lines of `width` cells."""
    return wrapped(t(text), lambda: width).split("\n")


def _usage(command: Command) -> str:
    spellings = ", ".join(f"/{name}" for name in (command.name, *command.aliases))
    return f"{spellings} {command.argument}".rstrip()


def _unknown(typed: str) -> str:
    nearest = difflib.get_close_matches(typed, [f"/{name}" for name in COMMANDS], n=1, cutoff=0.5)
    advice = f"did you mean {nearest[0]}? " if nearest else ""
    shown = typed if len(typed) <= 40 else f"{typed[:40]}…"
    return (
        f"unknown command {shown}: {advice}/help lists them; begin with // to send a text that starts with /"
    )
