"""BELLE's evaluation set, by class: its standard answers where there are any, else those of the float model.

An open question ("write a poem") has no reference in it. There the answer is compared with the one that another model
gave, which is the same model before it was quantized.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import excerpt
from .documents import Document, data_file, document, documents_in, splits, text_field
from .rouge_l import rouge_l

if TYPE_CHECKING:
    from datasets import Dataset

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_WITH_A_RESULT = "math"


def dataset(
    data: str | None = None, references: Mapping[str, str] | None = None, **_others: Any
) -> dict[str, Dataset]:
    """The data set of the task, as lm-eval calls for it.

    data: a file; None: the samples of the package. references: question -> the answer of another model; None leaves
    out the questions without a standard answer.
    """
    found = documents_in(data_file("eval_set", data), documents_of)
    if references is None:
        return splits(answered(found))
    return splits([{**one, "reference": references.get(one["prompt"], "")} for one in found])


def answered(documents: Sequence[Document]) -> list[Document]:
    """Those with a standard answer."""
    return [document for document in documents if document["answers"]]


def documents_of(record: Mapping[str, Any]) -> Iterator[Document]:
    """A record: "question", "std_answer", which may be empty, and "class"."""
    answer = record.get("std_answer") or ""
    if not isinstance(answer, str):
        raise ValueError(f'expected a text under "std_answer", found {excerpt(answer)}')
    question = text_field(record, "question")
    yield document(question, [answer] if answer.strip() else [], kind=text_field(record, "class"))


def scores(document: Document, results: Sequence[str]) -> dict[str, float]:
    """ROUGE-L with the standard answer, of calculations also whether the result is its; else the agreement."""
    answer = results[0].strip()
    if not document["answers"]:
        reference = document["reference"].strip()
        same = answer == reference
        return {"agreement": 1.0 if same else rouge_l([reference], answer), "same": float(same)}
    found = {"rouge_l": rouge_l(document["answers"], answer)}
    if document["kind"] == _WITH_A_RESULT and (result := _result(document["answers"][0])) is not None:
        found["result"] = float(_result(answer) == result)
    return found


def _result(text: str) -> float | None:
    """The last number in a text: what a calculation written out ends with."""
    numbers = _NUMBER.findall(text.replace(",", ""))
    return float(numbers[-1]) if numbers else None
