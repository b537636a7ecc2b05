"""Answers that stand in a text: F1 and exact match as CMRC 2018 computes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import excerpt
from .cmrc import exact_match, f1
from .documents import Document, data_file, document, documents_in, splits, text_field, texts_field

if TYPE_CHECKING:
    from datasets import Dataset

_TEXT = ("context", "context_text")


def dataset(data: str | None = None, **_others: Any) -> dict[str, Dataset]:
    """The data set of the task, as lm-eval calls for it. data: a file; None: the samples of the package."""
    return splits(documents_in(data_file("question_answering", data), documents_of))


def documents_of(record: Mapping[str, Any]) -> Iterator[Document]:
    """A record: "context", "question", "answers"; or a text of CMRC 2018 with its questions under "qas"."""
    questions = record.get("qas", [record])
    if not isinstance(questions, list):
        raise ValueError(f'expected a list of questions under "qas", found {excerpt(questions)}')
    context = text_field(record, *_TEXT) if "qas" in record or any(name in record for name in _TEXT) else ""
    for place, question in enumerate(questions, start=1):
        if not isinstance(question, Mapping):
            raise ValueError(f"question {place}: expected an object, found {excerpt(question)}")
        try:
            asked = text_field(question, "question", "query_text", may_be_empty=bool(context))
            answers = texts_field(question, "answers", "answer")
        except ValueError as error:
            raise ValueError(f"question {place}: {error}" if "qas" in record else error) from None
        yield document(_prompt(context, asked), answers)


def scores(document: Document, results: Sequence[str]) -> dict[str, float]:
    """F1 and exact match of the answer, 0 to 1."""
    answer = results[0]
    return {
        "f1": f1(document["answers"], answer),
        "exact_match": float(exact_match(document["answers"], answer)),
    }


def _prompt(context: str, question: str) -> str:
    if not context:
        return question
    return f"阅读下面的文章，用文章里的原文简短地回答问题。\n文章：{context}\n问题：{question}"
