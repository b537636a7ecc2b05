"""What a chat does with each turn: a command, or a question whose answer is streamed."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BelleError
from ..terminal_text import printable
from .reports import report, speed_line
from .terminal import LOGGER, styled, text_writer

if TYPE_CHECKING:
    from ..conversation import Conversation
    from ..generation import Stream
    from ..model import Belle

COMMANDS: Mapping[str, tuple[str, str]] = {  # name -> argument, what it does
    "help": ("", "show this list"),
    "reset": ("", "forget the conversation; the system text stays"),
    "system": (
        "TEXT",
        "begin anew with this instruction; without TEXT show the present one, with - remove it",
    ),
    "regen": ("", "answer the last question again"),
    "undo": ("", "take back the last question and its answer"),
    "save": ("FILE", "write the conversation to a file (again without FILE)"),
    "load": ("FILE", "go on with a saved conversation"),
    "exit": ("", "leave, as Ctrl-D does"),
}


class ChatSession:
    """One chat over one model. Answers go to stdout, everything else to stderr."""

    def __init__(
        self,
        model: Belle,
        *,
        interactive: bool,
        as_json: bool,
        max_tokens: int,
        overflow: str,
        sampling: Mapping[str, Any],
    ) -> None:
        """interactive: an error or Ctrl-C does not end the chat. as_json: an answer is one JSON line."""
        self._model = model
        self._interactive = interactive
        self._as_json = as_json
        self._settings = {"max_tokens": max_tokens, "overflow": overflow, **sampling}
        self._conversation: Conversation
        self._saved_as: Path | None = None  # a file that /save may overwrite
        self._write = text_writer(sys.stdout)
        self._done = False

    def start(self, *, system: str | None = None, load: Path | None = None) -> None:
        """Begin a conversation, or go on with a saved one. Raises what the model raises."""
        if load is None:
            self._conversation = self._model.conversation(system=system, **self._settings)
            return
        if system is not None:
            raise ValueError("--system does not go with --load: a saved conversation has its own")
        self._load(str(load))

    def run(self, turns: Iterator[str]) -> int:
        """Answer every turn. Returns the exit code."""
        for turn in turns:
            try:
                self._handle(turn)
            except KeyboardInterrupt:
                if not self._interactive:
                    raise
                self.interrupted()
            except (BelleError, ValueError, OSError) as error:
                if not self._interactive or isinstance(error, BrokenPipeError):
                    raise
                LOGGER.error("error: %s", error)
            if self._done:
                return 0
        if self._interactive:
            print()  # Ctrl-D leaves the cursor behind the prompt
        return 0

    def interrupted(self) -> None:
        """Ctrl-C where nothing was being answered."""
        self._say("\nCtrl-D or /exit leaves.")

    def _handle(self, turn: str) -> None:
        if turn.startswith("//"):
            turn = turn[1:]
        elif turn.startswith("/") and "\n" not in turn:
            self._command(*turn[1:].split(maxsplit=1))
            return
        if turn.strip():
            self._answer(lambda: self._conversation.send(turn))

    def _answer(self, ask: Callable[[], Stream]) -> None:
        """Stream one answer to stdout."""
        stream = ask()
        try:
            if self._as_json:
                self._write(json.dumps(report(stream.finish(), self._model), ensure_ascii=False))
            for piece in stream:
                self._write(piece)
        except KeyboardInterrupt:
            stream.close()
            self._write("\n")
            if not self._interactive:
                raise
            self._say("[stopped]")
            return
        self._write("\n")
        if stream.result.finish_reason == "length":
            self._say(f"[the answer was cut at {stream.result.completion_tokens} tokens, see --max-tokens]")
        LOGGER.info("%s", speed_line(stream.result, self._model))

    def _command(self, name: str = "", argument: str = "") -> None:
        actions: dict[str, Callable[[str], None]] = {
            "help": self._help,
            "reset": self._reset,
            "system": self._system,
            "regen": self._regenerate,
            "undo": self._undo,
            "save": self._save,
            "load": self._load,
            "exit": self._exit,
        }
        if name not in actions:
            raise ValueError(
                f"unknown command /{name}: /help lists them; begin with // to send a text that starts with /"
            )
        argument = argument.strip()
        if argument and not COMMANDS[name][0]:
            raise ValueError(f"/{name} takes no argument, got {argument!r}")
        actions[name](argument)

    def _help(self, _argument: str) -> None:
        for name, (argument, text) in COMMANDS.items():
            print(f"  {f'/{name} {argument}':<15}{text}", file=sys.stderr)
        print(
            '  a line that ends with \\ goes on in the next one; """ begins and ends a block', file=sys.stderr
        )

    def _reset(self, _argument: str) -> None:
        self._conversation.reset()
        self._say("[a new conversation]")

    def _system(self, argument: str) -> None:
        if not argument:
            text = self._conversation.system
            self._say(f"[system: {json.dumps(text, ensure_ascii=False) if text else 'none'}]")
            return
        self._conversation.reset(system="" if argument == "-" else argument)
        self._say("[a new conversation with this system text]" if argument != "-" else "[a new conversation]")

    def _regenerate(self, _argument: str) -> None:
        self._answer(self._conversation.regenerate)

    def _undo(self, _argument: str) -> None:
        self._say(f"[taken back: {self._conversation.undo()}]")

    def _save(self, argument: str) -> None:
        path = Path(argument).expanduser() if argument else self._saved_as
        if path is None:
            raise ValueError("/save needs a file name")
        replace = path == self._saved_as
        if not replace and os.path.lexists(path):
            raise FileExistsError(f"{path} exists: choose another name")
        self._conversation.save(path, replace=replace)
        self._saved_as = path
        self._say(f"[saved as {path}]")

    def _load(self, argument: str) -> None:
        if not argument:
            raise ValueError("/load needs a file name")
        path = Path(argument).expanduser()
        self._conversation = self._model.load_conversation(path, **self._settings)
        self._saved_as = path
        n_questions = sum(message["role"] == "user" for message in self._conversation.messages)
        self._say(f"[{path}: {n_questions} questions and their answers]")

    def _exit(self, _argument: str) -> None:
        self._done = True

    def _say(self, text: str) -> None:
        """A remark of the program, not of the model."""
        if self._interactive or LOGGER.isEnabledFor(logging.INFO):
            print(styled(printable(text), "dim", stream=sys.stderr), file=sys.stderr)
