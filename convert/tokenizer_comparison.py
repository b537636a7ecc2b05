"""Hard texts through the source's own tokenizer and through the tables that a conversion writes: the same ids?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from belle_edge.convert.source_tokenizer import SourceTokenizer
from belle_edge.text.tokenizer import Tokenizer
from belle_edge.text.vocabulary import TokenType

_MOST_ADDED = 24  # added tokens that get texts of their own
_SHOWN_IDS = 12

TEXTS = (
    "",
    "a",
    "Hello world",
    " Hello",
    "  two  spaces   three ",
    " ",
    "   ",
    "\n",
    "\n\n  indented\n\tby a tab\r\nand a return \n",
    "no\u00a0break, ideographic\u3000space, zero\u200bwidth, \u2028line, \ufeffmark",
    "▁ a ▁word▁ of▁▁marks",
    "你好，有什么可以帮助你的吗？请把“春天”翻译成英文。",
    "北京 上海 ab cd",
    "龍飛鳳舞，魑魅魍魎；𠮷野家。",
    "The quick brown fox doesn't jump over 2 lazy dogs. IT'S DONE; WE'LL see.",
    "3.14159 + 1,000,000 = ？ 2023-07-04 12:30 ①②③ ²½ ١٢٣",
    "加油💪🏽！👩‍👩‍👧‍👦 ☕️ 🇨🇳",
    'def f(x):\n\treturn {"a": [x ** 2, None]}  # 注释\n\n    if x != 0 && y <= 1: pass\n',
    "Привет, мир! こんにちは 안녕 مرحبا हिन्दी ไทย é ü ß ÀÉ",
    "ＡＢＣ１２３ ﬁ ｶﾞ e\u0301 Å ℃ ΑΣ İ ǆ",
    "CamelCase snake_case kebab-case http://example.org/?q=a%20b&c=d#e <b>x</b> $x^2$ \\frac{a}{b}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa -------- ======== ......",
    "\x00\x01\x07\x7f\x85\ufffd\ufdd1",
    "Human: 写一首诗。\n\nAssistant: ",
    "ab  ab   ab    ab\tab\n ab\n  ab",
)


@dataclass(frozen=True)
class TextDifference:
    """A text that gets other ids. The ids are cut where the first difference is shown."""

    text: str
    expected: list[int]  # of the source
    found: list[int]


@dataclass(frozen=True)
class TokenizerComparison:
    """How many texts were compared, and the first that differs."""

    reference: str  # whose tokenizer it was
    n_texts: int
    n_different: int
    first: TextDifference | None = None

    @property
    def line(self) -> str | None:
        """What to say about differences."""
        if self.first is None:
            return None
        return (
            f"tokenizer: {self.n_different} of {self.n_texts} test texts get other ids than from the source's tokenizer"
            f" ({self.reference} of transformers 5); the first is {json.dumps(self.first.text, ensure_ascii=False)}:"
            f" expected {_shown(self.first.expected)}, got {_shown(self.first.found)}"
        )


def compare_tokenizers(
    tokenizer: Tokenizer, source: SourceTokenizer, *, around: bool = True
) -> TokenizerComparison:
    """Every hard text, and texts with added tokens in them; `around`: with BOS and EOS as both add them."""
    switch = None if around else False
    differences = []
    n_texts = 0
    for text in [*TEXTS, *_texts_with_tokens(_added_texts(tokenizer, source))]:
        n_texts += 1
        expected = source.encode(text) if around else source.encode_plain(text)
        found = tokenizer.encode(text, add_bos=switch, add_eos=switch, parse_special=True)
        if found != expected:
            differences.append(TextDifference(text, expected, found))
    # A text of words says more than a blank one.
    first = next((item for item in differences if len(item.text.strip()) > 1), None) or next(
        iter(differences), None
    )
    return TokenizerComparison(source.class_name, n_texts, len(differences), first)


def _added_texts(tokenizer: Tokenizer, source: SourceTokenizer) -> list[str]:
    """Added tokens to try: of each combination of flags the first, then others, in the order of ids."""
    by_flags: dict[Any, str] = {}
    for _, token in sorted(source.added.items()):
        flags = (token.lstrip, token.rstrip, token.normalized, token.single_word, token.special)
        by_flags.setdefault(flags, token.content)
    vocabulary = tokenizer.vocabulary
    ours = vocabulary.texts_of({TokenType.CONTROL, TokenType.UNKNOWN, TokenType.USER_DEFINED})
    every = [*by_flags.values(), *(token.content for _, token in sorted(source.added.items())), *ours]
    return [text for text in dict.fromkeys(every) if text][:_MOST_ADDED]


def _texts_with_tokens(tokens: Sequence[str]) -> Iterator[str]:
    for token in tokens:
        yield token
        yield f"ab{token}cd 你{token}好"
        yield f" {token} ab  {token}  cd\n{token}\n你 {token}"
        yield f"{token}{token} {token}ab "
    for first, second in pairwise(tokens):
        yield f"{first}user\nab cd 你好{second}\n{first} assistant\n{second} "
        yield f"{second}{first}  ab"


def _shown(ids: list[int]) -> str:
    return str(ids) if len(ids) <= _SHOWN_IDS else f"{str(ids[:_SHOWN_IDS])[:-1]}, …]"
