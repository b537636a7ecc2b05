"""What a chat does with each turn: a command, or a question whose answer is streamed."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import BelleError
from ..languages import current_translator, t, tn
from . import chat_settings, transcript
from .chat_commands import Command, help_text, parsed, question
from .reports import report, speed_line
from .terminal import LOGGER, print_remark, text_writer
from .wrapping import terminal_width

if TYPE_CHECKING:
    from ..generation.conversation import Conversation
    from ..generation.streams import Stream
    from ..model import Belle


class ChatSession:
    """One chat over one model. Answers go to stdout, everything else to stderr."""

    def __init__(
        self,
        model: Belle,
        *,
        interactive: bool,
        as_json: bool,
        max_tokens: int,
        overflow: Literal["error", "slide"],
        sampling: Mapping[str, Any],
    ) -> None:
        """interactive: an error or Ctrl-C does not end the chat. as_json: an answer is one JSON line. sampling: also
        what every answer has to be shaped like."""
        self._model = model
        self._interactive = interactive
        self._as_json = as_json
        self._default_max_tokens = max_tokens
        self._overflow = overflow
        self._settings = {"max_tokens": max_tokens, **sampling}  # None: the model's own
        self._conversation: Conversation
        self._saved_as: Path | None = None  # a file that /save may overwrite
        self._write = text_writer(sys.stdout, wrap=not as_json)
        self._slide_was_told = False
        self._done = False

    def start(self, *, system: str | None = None, load: Path | None = None) -> None:
        """Begin a conversation, or go on with a saved one. Raises what the model raises."""
        if load is None:
            self._conversation = self._model.conversation(
                system=system, overflow=self._overflow, **self._settings
            )
            return
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
                print_remark(t("error: {problem}", problem=current_translator().error(error)), style="red")
            if self._done:
                return 0
        if self._interactive:
            print()  # Ctrl-D leaves the cursor behind the prompt
        return 0

    def interrupted(self) -> None:
        """Ctrl-C where nothing was being answered."""
        self._say("\n" + t("Ctrl-D or /bye leaves."))

    def _handle(self, turn: str) -> None:
        found = parsed(turn)
        if found is not None:
            self._command(*found)
        elif turn.strip():
            self._answer(lambda: self._conversation.send(question(turn)))

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
            self._say(t("[stopped]"))
            return
        self._write("\n")
        if stream.result.finish_reason == "length":
            self._say(
                t(
                    "[the answer was cut at {n} tokens: /set max_tokens, --max-tokens]",
                    n=stream.result.completion_tokens,
                )
            )
        self._tell_slide()
        LOGGER.info("%s", speed_line(stream.result, self._model))

    def _tell_slide(self) -> None:
        """Say once that older turns are being forgotten."""
        if self._slide_was_told or not self._conversation.dropped_tokens:
            return
        self._slide_was_told = True
        text = t(
            "the context of {n} tokens is full: from now on the model forgets the oldest turns; "
            "/clear begins anew, --overflow error stops instead",
            n=self._model.context,
        )
        if self._interactive:
            self._say(f"[{text}]")
        else:
            LOGGER.warning("note: %s", text)

    def _command(self, command: Command, argument: str) -> None:
        actions: dict[str, Callable[[str], None]] = {
            "help": self._help,
            "regen": self._regenerate,
            "undo": self._undo,
            "clear": self._clear,
            "system": self._system,
            "set": self._set,
            "save": self._save,
            "load": self._load,
            "export": self._export,
            "bye": self._leave,
        }
        actions[command.name](argument)

    def _help(self, _argument: str) -> None:
        width = terminal_width() if sys.stderr.isatty() else 100
        print(help_text(min(width, 100)), file=sys.stderr)

    def _clear(self, _argument: str) -> None:
        self._conversation.reset()
        self._slide_was_told = False
        self._say(t("[a new conversation]"))

    def _system(self, argument: str) -> None:
        if not argument:
            text = self._conversation.system
            shown = json.dumps(text, ensure_ascii=False) if text else t("none")
            self._say(t("[system: {text}]", text=shown))
            return
        self._conversation.reset(system="" if argument == "-" else argument)
        removed = argument == "-"
        self._say(t("[a new conversation]") if removed else t("[a new conversation with this system text]"))

    def _set(self, argument: str) -> None:
        if not argument:
            self._say("\n".join(chat_settings.all_settings(self._conversation)))
            return
        name, text = chat_settings.named(argument)
        if text:
            value = chat_settings.value_of(name, text)
            if name == "max_tokens" and value is None:
                value = self._default_max_tokens
            self._conversation.configure(**{name: value})
            self._settings[name] = value
        shown = chat_settings.shown(self._conversation, name)
        self._say(
            t("[{name} is now {value}]", name=name, value=shown)
            if text
            else t("[{name} is {value}]", name=name, value=shown)
        )

    def _regenerate(self, _argument: str) -> None:
        self._answer(self._conversation.regenerate)

    def _undo(self, _argument: str) -> None:
        self._say(t("[taken back: {question}]", question=self._conversation.undo()))

    def _save(self, argument: str) -> None:
        path = Path(argument).expanduser() if argument else self._saved_as
        if path is None:
            raise ValueError("/save needs a file name")
        replace = path == self._saved_as
        if not replace and os.path.lexists(path):
            raise FileExistsError(f"{path} exists: choose another name")
        self._conversation.save(path, replace=replace)
        self._saved_as = path
        self._say(t("[saved as {path}]", path=path))

    def _load(self, argument: str) -> None:
        if not argument:
            raise ValueError("/load needs a file name")
        path = Path(argument).expanduser()
        settings = {name: value for name, value in self._settings.items() if value is not None}
        self._conversation = self._model.load_conversation(path, overflow=self._overflow, **settings)
        self._slide_was_told = False
        self._saved_as = path
        n_questions = sum(message["role"] == "user" for message in self._conversation.messages)
        self._say(
            tn(
                "[{path}: {n} question and its answer]",
                "[{path}: {n} questions and their answers]",
                n=n_questions,
                path=path,
            )
        )

    def _export(self, argument: str) -> None:
        if not argument:
            raise ValueError("/export needs a file name, as /export talk.md")
        if not any(message["role"] == "user" for message in self._conversation.messages):
            raise ValueError("/export: nothing was said yet")
        path = Path(argument).expanduser()
        try:
            transcript.export(path, self._conversation.messages, model_name=self._model.path.stem)
        except FileExistsError:
            raise FileExistsError(f"{path} exists: choose another name") from None
        self._say(t("[written to {path}]", path=path))

    def _leave(self, _argument: str) -> None:
        self._done = True

    def _say(self, text: str) -> None:
        """A remark of the program, not of the model."""
        if self._interactive or LOGGER.isEnabledFor(logging.INFO):
            print_remark(text)
