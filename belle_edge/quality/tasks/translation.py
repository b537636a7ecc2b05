"""Translation: BLEU against the translations of people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .bleu import Counts, counts
from .documents import Document, document, read_documents, splits, text_field, texts_field

if TYPE_CHECKING:
    from datasets import Dataset

SAMPLES = Path(__file__).parent / "samples" / "translation.jsonl"
_LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        "zh": "中文",
        "en": "英文",
        "es": "西班牙语",
        "fr": "法语",
        "de": "德语",
        "ja": "日语",
        "ko": "韩语",
        "ru": "俄语",
    }
)


def dataset(data: str | None = None, **_others: Any) -> dict[str, Dataset]:
    """The data set of the task, as lm-eval calls for it. data: a file; None: the samples of the package."""
    return splits(read_documents(SAMPLES if data is None else Path(data), documents_of))


def documents_of(record: Mapping[str, Any]) -> Iterator[Document]:
    """A record: "source", "target" (a text or several), and "target_language" where its script does not tell."""
    source, targets = text_field(record, "source"), texts_field(record, "target", "targets")
    language = _language(record, targets)
    yield document(f"翻译成{_LANGUAGES[language]}：{source}", targets, kind=language)


def scores(document: Document, results: Sequence[str]) -> dict[str, Counts]:
    """What the answer adds to the counts of the corpus."""
    return {"bleu": counts(document["answers"], results[0].strip(), language=document["kind"])}


def _language(record: Mapping[str, Any], targets: Sequence[str]) -> str:
    language = record.get("target_language")
    if language is None:
        return "zh" if is_chinese(targets[0]) else "en"
    if language not in _LANGUAGES:
        raise ValueError(f'"target_language": expected one of {", ".join(_LANGUAGES)}; found {language!r}')
    return str(language)


def is_chinese(text: str) -> bool:
    """Whether most letters of a text are Chinese characters."""
    letters = [char for char in text if char.isalpha()]
    return 2 * sum("\u4e00" <= char <= "\u9fff" for char in letters) > len(letters)
