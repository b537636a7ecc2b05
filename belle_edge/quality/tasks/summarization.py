"""Summarization: ROUGE-L per character against reference summaries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .documents import Document, data_file, document, documents_in, splits, text_field, texts_field
from .rouge_l import rouge_l

if TYPE_CHECKING:
    from datasets import Dataset


def dataset(data: str | None = None, **_others: Any) -> dict[str, Dataset]:
    """The data set of the task, as lm-eval calls for it. data: a file; None: the samples of the package."""
    return splits(documents_in(data_file("summarization", data), documents_of))


def documents_of(record: Mapping[str, Any]) -> Iterator[Document]:
    """A record: "text" (or "content", "article"), and "summary" (or "abstract"), one or several."""
    text = text_field(record, "text", "content", "article")
    yield document(f"用一句话概括下面的文章：\n{text}", texts_field(record, "summary", "abstract"))


def scores(document: Document, results: Sequence[str]) -> dict[str, float]:
    """ROUGE-L of the answer, 0 to 1."""
    return {"rouge_l": rouge_l(document["answers"], results[0])}
