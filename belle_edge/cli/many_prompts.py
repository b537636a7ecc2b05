"""Answers to many lines: written in their order as they finish, an error record in place of what was refused."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..languages import said, t
from ..text.terminal_text import printable
from .prompt_lines import PromptLine
from .reports import report, speed_line
from .standard_streams import say_error
from .terminal import LOGGER

if TYPE_CHECKING:
    from ..generation.answer import Answer
    from ..generation.streams import Generation
    from ..model import Belle

_PLACE = re.compile(r"^\[\w+\] ")  # of the Python interface that a message names


class LineAnswers:
    """Answers the lines of one input."""

    def __init__(self, model: Belle, settings: Mapping[str, Any], *, as_json: bool, quiet: bool) -> None:
        """settings: of all lines; a line's own come first. Raises ValueError for one that is out of range."""
        from ..generation.answer import Window, limit_of
        from ..generation.constraint import NAMES

        self._model = model
        self._settings = dict(settings)
        self._as_json = as_json
        self._shows_progress = sys.stderr.isatty() and not quiet
        self._n_done = self._n_failed = 0
        others = ("max_tokens", "raw", *NAMES)
        sampling = {name: value for name, value in settings.items() if name not in others}
        limit_of(settings["max_tokens"], Window(model.context))
        model.settings(raw=settings["raw"], params=None, sampling=sampling)

    def run(self, lines: Sequence[PromptLine]) -> int:
        """Write every answer. Returns how many lines were refused."""
        from ..generation.batch import stream_batch

        waiting: dict[int, Generation | Exception] = {}  # finished before a line that comes earlier
        n_written = 0
        with self._progress(len(lines)):
            for index, result in stream_batch(self._model.scheduler, self._answers(lines)):
                self._n_done += 1
                self._n_failed += isinstance(result, Exception)
                waiting[index] = result
                while n_written in waiting:
                    self._write(lines[n_written], waiting.pop(n_written))
                    n_written += 1
                self._show(len(lines))
        if self._n_failed:
            LOGGER.error("error: %d of %d lines were refused", self._n_failed, len(lines))
        return self._n_failed

    def _answers(self, lines: Sequence[PromptLine]) -> Iterator[Answer | ValueError]:
        from ..generation.constraint import NAMES
        from ..generation.streams import unwritten

        for index, line in enumerate(lines):
            if line.error is not None:
                yield ValueError(line.error)
                continue
            settings = {**self._settings, **line.settings}
            if any(
                name in line.settings for name in NAMES
            ):  # its own takes the place of the one for all lines
                settings |= {name: line.settings.get(name) for name in NAMES}
            if "seed" not in line.settings and settings["seed"] is not None:
                settings["seed"] = (settings["seed"] + index) % 2**64
            try:
                yield unwritten(self._model.stream(line.prompt, **settings))
            except ValueError as error:
                yield error

    def _write(self, line: PromptLine, result: Generation | Exception) -> None:
        self._clear()
        if isinstance(result, Exception):
            self._write_error(line, _PLACE.sub("", str(result)))
            return
        if self._as_json:
            print(_json({"line": line.number, **line.kept, **report(result, self._model)}), flush=True)
        else:
            print(printable(result.text) if sys.stdout.isatty() else result.text, flush=True)
        LOGGER.info("line %d: %s", line.number, speed_line(result, self._model))

    def _write_error(self, line: PromptLine, problem: str) -> None:
        """A record for scripts; for people a message, and an empty line in place of the answer."""
        if self._as_json:
            print(_json({"line": line.number, **line.kept, "error": problem}), flush=True)
            return
        print(flush=True)
        say_error(t("line {n}: {problem}", n=line.number, problem=said(problem)))

    @contextmanager
    def _progress(self, total: int) -> Iterator[None]:
        """A line at the bottom of a terminal; nothing in a pipe."""
        self._start = time.monotonic()
        self._show(total)
        try:
            yield
        finally:
            self._clear()

    def _show(self, total: int) -> None:
        if self._shows_progress:
            seconds = time.monotonic() - self._start
            text = t(
                "{n} of {total} lines answered, {seconds:.0f} s", n=self._n_done, total=total, seconds=seconds
            )
            if self._n_failed:
                text += t(", {n} refused", n=self._n_failed)
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._shows_progress:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _json(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)
