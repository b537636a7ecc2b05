"""Where an evaluation writes: the folder that the user names, or else a journal in the cache until it is over."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import BelleError
from ...folders import cache_folder
from ...output_files import whole_file
from .answer_journal import AnswerJournal

RESULTS = "results.json"
ANSWERS, REFERENCE_ANSWERS = "answers", "reference-answers"  # journals


class EvaluationExistsError(BelleError, FileExistsError):
    """A folder holds an evaluation, and nobody said what is to become of it."""


class Workplace:
    """The files of one evaluation."""

    def __init__(self, output: Path | None, *, resume: bool, force: bool) -> None:
        """output: a folder, which need not exist. resume: go on with what is there; force: begin anew.

        EvaluationExistsError where an evaluation is there already, and neither is said.
        """
        self._output = output
        self._resume = resume
        self._temporary: list[Path] = []
        if output is not None and not (resume or force):
            _check_unused(output)

    def journal(self, name: str, settings: Mapping[str, Any]) -> AnswerJournal:
        """The journal `name`, see `AnswerJournal.open`."""
        if self._output is not None:
            path = self._output / f"{name}.jsonl"
        else:  # the settings are its name
            text = json.dumps(settings, sort_keys=True).encode()
            path = cache_folder() / "evaluations" / f"{name}-{hashlib.sha256(text).hexdigest()[:16]}.jsonl"
            self._temporary.append(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        return AnswerJournal.open(path, settings, resume=self._resume)

    def write_samples(self, task: str, records: Iterable[Mapping[str, Any]]) -> None:
        """The documents of a task with answers and scores; only where the user named a folder."""
        name = re.sub(r"[^\w.-]+", "-", task)
        lines = (json.dumps(record, ensure_ascii=False, default=str) + "\n" for record in records)
        self._write(f"samples-{name}.jsonl", "".join(lines))

    def finish(self, results: Mapping[str, Any]) -> None:
        """Write the results where the user named a folder; else nothing stays."""
        self._write(RESULTS, json.dumps(results, ensure_ascii=False, indent=2) + "\n")
        for path in self._temporary:
            path.unlink(missing_ok=True)

    def _write(self, name: str, text: str) -> None:
        if self._output is not None:
            with whole_file(self._output / name, replace=True) as file:
                file.write(text.encode("utf-8", "replace"))


def _check_unused(folder: Path) -> None:
    for name in (RESULTS, f"{ANSWERS}.jsonl", f"{REFERENCE_ANSWERS}.jsonl"):
        if (folder / name).exists():
            raise EvaluationExistsError(
                f"[{folder}] an evaluation is there already: --resume goes on with it, --force begins anew"
            )
