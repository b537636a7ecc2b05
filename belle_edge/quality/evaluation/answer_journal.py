"""The answers of an evaluation, a line of JSON each, as they come: what an interrupted one need not ask again.

The first line says what all of them were made with. A last line that was cut off is dropped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import BelleError
from ...journal_lines import as_read_back, differences, line_of, whole_lines

_VERSION = 1
GENERATED = "generate_until"  # the kind of request whose prompt is kept: its answer is a text


class EvaluationChangedError(BelleError, ValueError):
    """An interrupted evaluation had other settings; the message names them."""


class AnswerJournal:
    """Open it with `AnswerJournal.open`; a context manager."""

    def __init__(self, path: Path, known: dict[str, list[Any]]) -> None:
        self._file = path.open("ab", buffering=0)
        self._known = known

    @classmethod
    def open(cls, path: Path, settings: Mapping[str, Any], *, resume: bool) -> AnswerJournal:
        """The journal at `path`. settings: what decides every answer, as JSON has it.

        resume: go on with what is there, if anything is; else it begins anew. EvaluationChangedError where that was
        made with other settings, OSError where the file cannot be written.
        """
        first = as_read_back({"version": _VERSION, **settings})
        n_bytes, lines = _whole_lines(path) if resume else (0, [])
        if lines and lines[0] != first:
            changed = differences(lines[0], first)
            raise EvaluationChangedError(
                f"[{path.name}] the interrupted evaluation had something else under {changed}:"
                " repeat its settings, or begin anew with --force"
            )
        known: dict[str, list[Any]] = {}
        for line in lines[1:]:
            known.setdefault(line["request"], []).append(line["answer"])
        if lines:
            with path.open("r+b") as file:
                file.truncate(n_bytes)
        else:
            path.write_bytes(line_of(first))
        return cls(path, known)

    def take(self, kind: str, arguments: Sequence[Any]) -> Any:
        """An answer that an earlier run got to this request, once for each time that it was asked; None without one."""
        answers = self._known.get(request_key(kind, arguments))
        return _restored(answers.pop(0)) if answers else None

    def add(self, kind: str, arguments: Sequence[Any], answer: Any) -> None:
        """Write down an answer; a kill of this process does not lose it."""
        record = {"request": request_key(kind, arguments), "kind": kind}
        if kind == GENERATED:
            record["prompt"] = arguments[0]
        self._file.write(line_of({**record, "answer": _plain(answer)}))

    def __enter__(self) -> AnswerJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def request_key(kind: str, arguments: Sequence[Any]) -> str:
    """What tells one request from another: its kind, text and settings."""
    text = json.dumps([kind, *arguments], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _plain(answer: Any) -> Any:
    """A text, a number, or a pair of a number and a truth value, without NumPy's types."""
    if isinstance(answer, (tuple, list)):
        return [_plain(item) for item in answer]
    return answer.item() if hasattr(answer, "item") else answer


def _restored(answer: Any) -> Any:
    return tuple(answer) if isinstance(answer, list) else answer


def _whole_lines(path: Path) -> tuple[int, list[dict[str, Any]]]:
    """How many bytes the usable lines of a journal take, and what they say; nothing where there is no journal."""
    n_bytes = 0
    found: list[dict[str, Any]] = []
    for end, value in whole_lines(path):
        if found and not {"request", "answer"} <= value.keys():
            break
        n_bytes = end
        found.append(value)
    return n_bytes, found
