"""What every task of ours makes of its data: a question, the answers that count, a class; from files that people bring.

An error names the file and the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ...convert.moments.json_values import json_values
from ...convert.sources.checkpoint_files import require_regular
from ...errors import ConversionError, excerpt

if TYPE_CHECKING:
    from datasets import Dataset

_SHOWN_FIELDS = 6


class Document(TypedDict):
    """One question of a task. `kind` is what a breakdown goes by: a class of questions, a language."""

    line: int
    kind: str
    prompt: str
    answers: list[str]
    reference: str  # the answer of another model, where there is no standard one


Reader = Callable[[Mapping[str, Any]], Iterator[Document]]


def prompt_of(document: Document) -> str:
    """What a model is asked, as lm-eval calls for it."""
    return document["prompt"]


def target_of(document: Document) -> str:
    """The answer that a few-shot example shows."""
    return document["answers"][0] if document["answers"] else document["reference"]


def data_file(home: str, data: str | None) -> Path:
    """What a task reads: the file that is named, or the samples of the package. home: the task's module."""
    return Path(__file__).parent / "samples" / f"{home}.jsonl" if data is None else Path(data)


def documents_in(path: Path, reader: Reader) -> list[Document]:
    """The documents of a JSON or JSON lines file. ConversionError names file and line, OSError what cannot be read."""
    require_regular(path)
    if not path.is_file():
        raise ConversionError(f"[{path}] no such file: expected a .json or .jsonl file")
    found: list[Document] = []
    for number, (line, value) in enumerate(json_values(path), start=1):
        try:
            if not isinstance(value, Mapping):
                raise ValueError(f"expected an object, found {excerpt(value)}")
            found += [{**document, "line": line} for document in reader(value)]
        except ValueError as error:
            place = f"line {line}" if line >= number else f"line {line}, record {number}"
            raise ConversionError(f"[{path}] {place}: {error}") from None
    if not found:
        raise ConversionError(f"[{path}] nothing in it: expected one record a line, or a list of them")
    return found


def splits(documents: Sequence[Document]) -> dict[str, Dataset]:
    """The documents as lm-eval takes them, in memory: nothing is cached on the disk."""
    from datasets import Dataset

    return {"test": Dataset.from_list([dict(document) for document in documents])}


def document(prompt: str, answers: Sequence[str], *, kind: str = "") -> Document:
    """A question with its answers; the reader of its file adds the line."""
    return {"line": 0, "kind": kind, "prompt": prompt, "answers": list(answers), "reference": ""}


def text_field(record: Mapping[str, Any], *names: str, may_be_empty: bool = False) -> str:
    """The text under the first of `names` that the record has. ValueError where there is none, or it is empty."""
    name = _present(record, names)
    found = record[name]
    if not isinstance(found, str) or not (found.strip() or may_be_empty):
        raise ValueError(f'expected a text under "{name}", found {excerpt(found)}')
    return found


def texts_field(record: Mapping[str, Any], *names: str) -> list[str]:
    """A text, or a list of them, none empty; numbers count as texts. ValueError for anything else."""
    name = _present(record, names)
    found = record[name]
    if isinstance(found, Mapping) and "text" in found:  # {"text": […], "answer_start": […]}
        found = found["text"]
    texts = [_as_text(item) for item in (found if isinstance(found, list) else [found])]
    if not texts or any(text is None or not text.strip() for text in texts):
        raise ValueError(f'expected a text, or a list of texts, under "{name}", found {excerpt(found)}')
    return [text for text in texts if text is not None]


def _as_text(value: object) -> str | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Mapping):  # {"text": …, "answer_start": …}
        value = value.get("text")
    return value if isinstance(value, str) else None


def _present(record: Mapping[str, Any], names: Sequence[str]) -> str:
    for name in names:
        if name in record:
            return name
    expected = " or ".join(f'"{name}"' for name in names)
    fields = ", ".join(excerpt(name) for name in list(record)[:_SHOWN_FIELDS]) or "none"
    raise ValueError(f"expected the field {expected}, found {fields}")
