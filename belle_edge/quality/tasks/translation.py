"""Translation: BLEU against reference translations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...errors import excerpt
from ..texts.language import language_by_script
from .bleu import Counts, counts
from .documents import Document, data_file, document, documents_in, splits, text_field, texts_field

if TYPE_CHECKING:
    from datasets import Dataset

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
    return splits(documents_in(data_file("translation", data), documents_of))


def documents_of(record: Mapping[str, Any]) -> Iterator[Document]:
    """A record: "source", "target" (a text or several), and "target_language" where its script does not tell."""
    source, targets = text_field(record, "source"), texts_field(record, "target", "targets")
    language = _language(record, targets)
    yield document(f"翻译成{_LANGUAGES[language]}：{source}", targets, kind=language)


def scores(document: Document, results: Sequence[str]) -> dict[str, Counts]:
    """What the answer adds to the counts of the corpus."""
    return {"bleu": counts(document["answers"], results[0].strip(), language=document["kind"])}


def _language(record: Mapping[str, Any], targets: Sequence[str]) -> str:
    language = record.get("target_language") or language_by_script(targets[0])
    if language not in _LANGUAGES:
        raise ValueError(
            f'"target_language": expected one of {", ".join(_LANGUAGES)}; found {excerpt(language)}'
        )
    return str(language)
