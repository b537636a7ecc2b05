"""What a result adds to its record: an answer and its counts; probabilities of choices; the properties of JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import excerpt
from ..generation.choice_scores import Choice
from ..generation.schema_check import schema_of
from ..generation.streams import Generation
from ..strict_json import JsonError, parse

RESULT_FIELDS = ("finish_reason", "prompt_tokens", "completion_tokens", "error")
PROBABILITIES = ("probability", "probabilities")  # where an answer is one of some choices
_PLACE = re.compile(r"^(\[[\w -]+\] )+")  # of the Python interface that a message names


class CutAnswerError(ValueError):
    """An answer ended before its JSON was whole."""

    def __init__(self, generation: Generation) -> None:
        super().__init__(
            f"the JSON of the answer is not whole: it ended ({generation.finish_reason}) after"
            f" {generation.completion_tokens} tokens"
        )
        self.generation = generation


@dataclass(frozen=True)
class ResultFields:
    """Names of what results add, for all records alike.

    answer: of the answer's text. choices: of all records; each has a column in a table. properties: of answers that
    are JSON objects, which become fields of their own. ValueError for a name that is taken.
    """

    answer: str = "answer"
    choices: Sequence[str] = ()
    properties: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.answer in RESULT_FIELDS:
            raise ValueError(f"--answer-field: {self.answer} is a field of every result")
        taken = [name for name in self.properties if name in (self.answer, *RESULT_FIELDS, "line")]
        if taken:
            raise ValueError(f'--spread: the property "{taken[0]}" is a field of every result')

    @classmethod
    def of(cls, answer: str, settings: Mapping[str, Any], *, spread: bool = False) -> ResultFields:
        """settings: of all records. spread: the schema's properties become fields. ValueError where it has none."""
        choices = tuple(dict.fromkeys(settings.get("choice") or ()))
        return cls(answer, choices, _properties(settings.get("schema")) if spread else ())

    @property
    def more(self) -> tuple[str, ...]:
        """What results have besides the answer and RESULT_FIELDS."""
        chosen = (*PROBABILITIES, *map(column_of, self.choices)) if self.choices else ()
        return (*chosen, *self.properties)

    def columns(self, *, chosen: bool) -> list[str]:
        """Of a table. chosen: whether an answer may be one of some choices."""
        probabilities = [PROBABILITIES[0], *map(column_of, self.choices)] if chosen or self.choices else []
        return [self.answer, *probabilities, *self.properties, *RESULT_FIELDS]

    def values(self, outcome: Generation | Exception, *, in_columns: bool = False) -> dict[str, Any]:
        """What a result adds to its record. No time is among it: the same input gives the same bytes.

        in_columns: probabilities of choices by themselves, as far as `columns` has them.
        """
        if isinstance(outcome, CutAnswerError):
            return {**self._answer(outcome.generation, in_columns), "error": problem_of(outcome)}
        if isinstance(outcome, Exception):
            return {"error": problem_of(outcome)}
        return self._answer(outcome, in_columns)

    def _answer(self, result: Generation, in_columns: bool) -> dict[str, Any]:
        values: dict[str, Any] = {self.answer: result.text}
        if isinstance(result, Choice):
            each = {text: _short(value) for text, value in result.probabilities.items()}
            values["probability"] = each[result.text]
            if in_columns:
                values |= {column_of(text): each[text] for text in self.choices if text in each}
            else:
                values["probabilities"] = each
        elif self.properties and result.finish_reason == "stop":
            found = _object(result.text)
            values |= {name: found[name] for name in self.properties if name in found}
        return {**values, **{name: getattr(result, name) for name in RESULT_FIELDS[:3]}}


def column_of(choice: str) -> str:
    """Where a table has a choice's probability."""
    return f"p({choice})"


def problem_of(error: Exception) -> str:
    """An error as a record has it."""
    return _PLACE.sub("", " ".join(str(error).split()))


def _object(text: str) -> Mapping[str, Any]:
    """The JSON object of an answer; empty for another value, and for one whose numbers are beyond a float."""
    try:
        found = parse(text)
    except JsonError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _short(probability: float) -> float:
    """With six digits, as many as there is sense in."""
    return float(f"{probability:.6g}")


def _properties(schema: Any) -> tuple[str, ...]:
    """The names that an object of this schema may have. ValueError for a schema of something else."""
    if schema is None:
        raise ValueError("--spread: it needs --schema FILE")
    read = schema_of(schema)
    found = read.get("properties") if isinstance(read, Mapping) else None
    if not isinstance(found, Mapping) or not found or read.get("type", "object") != "object":
        raise ValueError(f"--spread: expected a schema of an object with properties, got {excerpt(read)}")
    return tuple(found)
