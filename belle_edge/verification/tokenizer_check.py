"""Sample texts through a GGUF's tokenizer: the text comes back, and the ids are those of the source's own files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ..text.tokenizer import Tokenizer
from ..text.vocabulary import TokenType

if TYPE_CHECKING:
    from ..convert.source_tokenizer import SourceTokenizer

SAMPLES: Mapping[str, str] = {
    "Chinese": "你好，有什么可以帮助你的吗？请把“春天”翻译成英文。",
    "traditional and rare": "龍飛鳳舞，魑魅魍魎；𠮷野家。",
    "English": "The quick brown fox doesn't jump over 2 lazy dogs.",
    "digits": "3.14159 + 1,000,000 = ？ 2023-07-04 12:30",
    "emoji": "加油💪🏽！👩‍👩‍👧‍👦 ☕️ 🇨🇳",
    "code": 'def f(x):\n\treturn {"a": [x ** 2, None]}  # 注释\n',
    "whitespace": " leading,  two   three, tab\there,\n\n\nlines and a trailing ",
    "prompt": "Human: 写一首诗。\n\nAssistant:",
    "other scripts": "Привет, мир! こんにちは 안녕 مرحبا é ü ß",
}


@dataclass(frozen=True)
class SampleResult:
    """One text: does it come back, and does the source cut it into the same ids?"""

    name: str
    n_ids: int
    comes_back: bool
    has_unknown: bool  # the vocabulary cannot express it, so it cannot come back
    same_ids: bool | None  # None: there is no source to compare with

    @property
    def ok(self) -> bool:
        return (self.comes_back or self.has_unknown) and self.same_ids is not False

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


def check_round_trip(
    tokenizer: Tokenizer, reference: Callable[[str], list[int]] | None = None
) -> list[SampleResult]:
    """Every sample encoded, decoded, and where there is a `reference` encoder compared with it."""
    types = tokenizer.vocabulary.types
    results = []
    for name, text in SAMPLES.items():
        ids = tokenizer.encode(text, add_bos=False, add_eos=False)
        results.append(
            SampleResult(
                name=name,
                n_ids=len(ids),
                comes_back=tokenizer.decode(ids) == _expected(tokenizer, text),
                has_unknown=any(types[token_id] == TokenType.UNKNOWN for token_id in ids),
                same_ids=None if reference is None else reference(text) == ids,
            )
        )
    return results


def _expected(tokenizer: Tokenizer, text: str) -> str:
    """The text that ids of `text` stand for: as transformers does, a vocabulary may take a space at its start for the
    one that it puts there."""
    vocabulary = tokenizer.vocabulary
    shares_space = vocabulary.add_space_prefix and vocabulary.space_prefix in ("first", "always")
    return text.removeprefix(" ") if shares_space else text


def compare_with_source(
    tokenizer: Tokenizer, source: SourceTokenizer, *, n_known: int
) -> tuple[list[str], list[str]]:
    """(problems, notes) of hard texts and added tokens in both. n_known: texts that the conversion found different."""
    from ..convert.tokenizer_comparison import compare_tokenizers

    comparison = compare_tokenizers(tokenizer, source, around=False)
    if comparison.line is None:
        return [], []
    if n_known:
        return [], [f"{comparison.line}; the conversion said so"]
    vocabulary = tokenizer.vocabulary
    if vocabulary.model == "llama" and vocabulary.space_prefix is None and vocabulary.add_space_prefix:
        for scheme in ("first", "always"):
            other = Tokenizer(replace(vocabulary, space_prefix=scheme))
            if not compare_tokenizers(other, source, around=False).n_different:
                return [], [f"{comparison.line}; the file does not say which parts of a text get a space"]
    return [comparison.line], []


def problems_of(results: list[SampleResult]) -> list[str]:
    """One line for each sample that does not come back."""
    return [
        f"tokenizer: the sample text {result.name!r} does not come back as it was"
        for result in results
        if not result.comes_back and not result.has_unknown
    ]


def other_ids(results: list[SampleResult]) -> list[str]:
    """One line for each sample that the source cuts into other ids."""
    return [
        f"tokenizer: the source cuts the sample text {result.name!r} into other ids"
        for result in results
        if result.same_ids is False
    ]
