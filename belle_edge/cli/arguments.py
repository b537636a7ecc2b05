"""The parser of one command: options anywhere, other programs' names for them, errors in one line with a suggestion.

argparse loses an optional positional after an option (before Python 3.12.7), takes `-5+3=?` for an option, and prints
its whole usage with every error. So the words are put in order here first: options with their values, then `--`,
then the positionals.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from ..languages import msg, said, t
from ..text.terminal_text import printable_line
from .foreign_names import ANSWERS, OPTIONS
from .help_formatter import HelpFormatter

_OPTION = re.compile(r"--?[A-Za-z][A-Za-z0-9_.-]*(=.*)?", re.DOTALL)
_KINDS = {int: msg("a whole number"), float: msg("a number")}


class CommandParser(argparse.ArgumentParser):
    """argparse's parser, for words in any order, in the language of the process."""

    siblings: Mapping[str, CommandParser] = {}  # command -> its parser, to say whose an option is

    def __init__(
        self, *, formatter_class: type[argparse.HelpFormatter] = HelpFormatter, **kwargs: Any
    ) -> None:
        """As argparse's."""
        super().__init__(formatter_class=formatter_class, add_help=False, **kwargs)
        self._positionals.title = t("positional arguments")
        self._optionals.title = t("options")
        self.add_argument("-h", "--help", action="help", help=t("show this help and leave"))

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's, after the words were put in order."""
        words = list(sys.argv[1:] if args is None else args)
        if not any(isinstance(action, argparse._SubParsersAction) for action in self._actions):
            words = _Arrangement(self).arranged(words)
        return super().parse_known_args(words, namespace)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; says what to do about a word too many."""
        values, extra = self.parse_known_args(args, namespace)
        if extra:
            advice = "; put a prompt of several words in quotes" if self.takes_prompt else ""
            self.error(f"unexpected argument {extra[0]!r}{advice}")
        return values

    def error(self, message: str) -> NoReturn:
        """One line on standard error, exit code 2."""
        text = " ".join(re.sub(r"^argument ", "", message).split())
        text = said(text.replace("not allowed with argument ", "not allowed with "))
        see = (
            t("{problem} See {command} --help", problem=text, command=self.prog)
            if text.endswith(("?", "？"))
            else t("{problem}; see {command} --help", problem=text, command=self.prog)
        )
        self.exit(2, printable_line(t("belle-edge: error: {problem}", problem=see)) + "\n")

    @property
    def positionals(self) -> list[argparse.Action]:
        return [action for action in self._actions if not action.option_strings]

    @property
    def takes_prompt(self) -> bool:
        return any(action.dest == "prompt" for action in self.positionals)

    @property
    def long_options(self) -> dict[str, argparse.Action]:
        """Name without dashes -> its action."""
        names = self._option_string_actions.items()
        return {name[2:]: action for name, action in names if name.startswith("--")}

    @property
    def flags(self) -> dict[str, str]:
        """Name of a setting -> the option that gives it."""
        return {
            action.dest: next(name for name in action.option_strings if name.startswith("--"))
            for action in self.long_options.values()
        }

    def short_option(self, letter: str) -> argparse.Action | None:
        """The action of `-letter`."""
        return self._option_string_actions.get(f"-{letter}")


class _Arrangement:
    """One list of words, put in order for one parser. Everything that is wrong goes to its `error`."""

    def __init__(self, parser: CommandParser) -> None:
        self._parser = parser
        self._long = parser.long_options
        self._options: list[str] = []
        self._positionals: list[str] = []
        self._named: dict[str, str] = {}  # positionals that came as options: -m MODEL
        self._words: deque[str] = deque()

    def arranged(self, words: Sequence[str]) -> list[str]:
        """Options, `--`, positionals in the parser's order."""
        self._words = deque(words)
        while self._words:
            word = self._words.popleft()
            if word == "--":
                self._positionals += self._words
                break
            if not self._take_option(word):
                self._positionals.append(word)
        positionals = self._ordered_positionals()
        return [*self._options, *(["--", *positionals] if positionals else [])]

    def _ordered_positionals(self) -> list[str]:
        given, ordered = deque(self._positionals), []
        for action in self._parser.positionals:
            if action.dest in self._named:
                ordered.append(self._checked(action, str(action.metavar), self._named[action.dest]))
            elif given:
                ordered.append(self._checked(action, str(action.metavar or action.dest), given.popleft()))
            elif self._named and action.required and not self._asks_for_help():
                self._parser.error(f"the following arguments are required: {action.metavar}")
        return [*ordered, *given]

    def _asks_for_help(self) -> bool:
        return "--help" in self._options

    def _take_option(self, word: str) -> bool:
        """Whether `word` is an option; takes its value, too."""
        if not word.startswith("-") or word == "-":
            return False
        name, separator, attached = word.partition("=")
        value = attached if separator else None
        if (found := self._known(name)) is not None:
            self._add(found, name, value)
            return True
        is_answered = _key(name) in ANSWERS  # as -ngl: not the letter n with a value
        if not word.startswith("--") and not is_answered and self._take_letters(word):
            return True
        if _OPTION.fullmatch(word) is None:  # as -5+3=? or "- a list": no option has such a name
            return False
        self._refuse(name)

    def _known(self, name: str) -> str | None:
        """The option "--x", or the positional "x", that `name` stands for: its own name, another's, a beginning."""
        key = name.lstrip("-")
        if len(key) == 1 and not name.startswith("--"):
            action = self._parser.short_option(key)
            return _long_name(action) if action is not None else self._foreign(key)
        key = key.replace("_", "-").lower()
        if key in self._long:
            return f"--{key}"
        foreign = self._foreign(key) if len(key) > 1 else None
        if foreign is not None or not name.startswith("--") or not key:
            return foreign
        matching = [option for option in self._long if option.startswith(key)]
        if len({id(self._long[option]) for option in matching}) > 1:
            shown = ", ".join(f"--{option}" for option in matching)
            self._parser.error(f"{name} could be {shown}: write more of it")
        return f"--{matching[0]}" if matching else None

    def _foreign(self, key: str) -> str | None:
        """What another program's name means here, if this command has it."""
        places = {action.dest for action in self._parser.positionals}
        for target in OPTIONS.get(key, ()):
            if target in places or target.removeprefix("--") in self._long:
                return target
        return None

    def _take_letters(self, word: str) -> bool:
        """-n64 (a letter with its value), -qf (several letters without)."""
        first = self._known(word[:2])
        if first is None:
            return False
        if not first.startswith("--") or self._long[first[2:]].nargs != 0:
            self._add(first, word[:2], word[2:].removeprefix("="))
            return True
        actions = [self._parser.short_option(letter) for letter in word[1:]]
        if any(action is None or action.nargs != 0 for action in actions):
            return False
        self._options += [_long_name(action) for action in actions if action is not None]
        return True

    def _add(self, found: str, name: str, value: str | None) -> None:
        """The option or positional `found`, which the user wrote as `name`, with its value."""
        if not found.startswith("--"):
            self._named[found] = self._value(name) if value is None else value
            return
        action = self._long[found[2:]]
        if action.nargs == 0:
            if value is not None:
                self._parser.error(f"{name} takes no value, got {value!r}")
            self._options.append(found)
        elif action.nargs == "+":
            self._options += [found, *self._values(name, value)]
        elif action.nargs == "?":
            text = self._choice(action) if value is None else value
            self._options.append(f"{found}={self._checked(action, name, text)}")
        else:
            text = self._value(name) if value is None else value
            self._options.append(f"{found}={self._checked(action, name, text)}")

    def _choice(self, action: argparse.Action) -> str:
        """The next word where it is one of the option's choices; else what the option alone stands for."""
        if self._words and self._words[0] in (action.choices or ()):
            return self._words.popleft()
        return str(action.const)

    def _value(self, name: str) -> str:
        """The next word; it may begin with a dash, but not be an option of this command."""
        if not self._words or self._is_exactly_an_option(self._words[0]):
            self._parser.error(f"{name} needs a value")
        return self._words.popleft()

    def _values(self, name: str, first: str | None) -> list[str]:
        values = [self._value(name) if first is None else first]
        while self._words and not self._words[0].startswith("-"):
            values.append(self._words.popleft())
        n_missing = sum(action.required for action in self._parser.positionals) - len(self._positionals)
        if not self._words and 0 < n_missing < len(
            values
        ):  # `--include PATTERN ID`: the last ones are meant for it
            self._positionals += values[-n_missing:]
            del values[-n_missing:]
        return values

    def _is_exactly_an_option(self, word: str) -> bool:
        return word == "--" or word.partition("=")[0] in self._parser._option_string_actions

    def _checked(self, action: argparse.Action, name: str, text: str) -> str:
        """`text` as argparse will accept it: a choice in any case, a number."""
        if action.choices is not None:
            choices = [str(choice) for choice in action.choices]
            for choice in choices:
                if _plain(choice) == _plain(text):
                    return choice
            close = get_close_matches(_plain(text), map(_plain, choices), n=1)
            meant = next((f"; did you mean {choice}?" for choice in choices if _plain(choice) in close), "")
            self._parser.error(f"{name}: expected one of {', '.join(choices)}, got {text!r}{meant}")
        kind: Any = action.type
        if kind in _KINDS:
            try:
                kind(text)
            except ValueError:
                self._parser.error(f"{name}: expected {_KINDS[kind]}, got {text!r}")
        return text

    def _refuse(self, name: str) -> NoReturn:
        """An option that this command does not have."""
        key = _key(name)
        if key in ANSWERS:
            self._parser.error(f"{name}: {ANSWERS[key]}")
        owners = [command for command, parser in self._parser.siblings.items() if key in parser.long_options]
        if owners and len(key) > 1:
            self._parser.error(f"{name} is an option of {' and '.join(owners)}, not of {self._parser.prog}")
        if (meant := self._closest(key)) is not None:
            self._parser.error(f"unknown option {name}: did you mean {meant}?")
        advice = (
            f": a prompt that begins with a dash goes after --, as in {self._parser.prog} MODEL -- PROMPT"
        )
        self._parser.error(f"unknown option {name}{advice if self._parser.takes_prompt else ''}")

    def _closest(self, key: str) -> str | None:
        if len(key) < 2:
            return None
        foreign = {name: target for name in OPTIONS if (target := self._foreign(name)) and len(name) > 1}
        names = {**foreign, **{name: f"--{name}" for name in self._long}}
        close = get_close_matches(key, names, n=1, cutoff=0.6)
        meant = names[close[0]] if close else None
        return meant if meant is None or meant.startswith("--") else f"--{close[0]}"


def _key(name: str) -> str:
    """An option's name as the tables have it; letters keep their case."""
    key = name.lstrip("-").replace("_", "-")
    return key.lower() if len(key) > 1 else key


def _long_name(action: argparse.Action) -> str:
    return next(name for name in action.option_strings if name.startswith("--"))


def _plain(choice: str) -> str:
    return choice.lower().replace("-", "_")
