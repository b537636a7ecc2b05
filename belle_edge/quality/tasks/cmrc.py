"""How near an answer is to a span of a text: F1 and exact match by the rule of CMRC 2018's evaluation script.

Cui et al., A Span-Extraction Dataset for Chinese Machine Reading Comprehension, EMNLP 2019. Its script cuts Chinese
text into characters and the text between them into NLTK's words; the overlap is the longest run that both share.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

# The marks that the script removes. It keeps the comma of ASCII, 【, and … (its list has only the pair ……).
_MARKS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CHINESE = re.compile("[\u4e00-\u9fa5]")
_END = re.compile(r"[.?!]+[\"')\]]*\s+")
_SHORT = re.compile(
    r"(?:^|[^\w.])(?:[a-z]|(?:[a-z]\.)+[a-z]|co|corp|dr|inc|jr|ltd|mr|mrs|ms|no|prof|sr|st|vol|vs)\.$"
)


def exact_match(answers: Sequence[str], prediction: str) -> int:
    """1 where the prediction is one of the answers, apart from case and the script's marks; else 0."""
    return int(any(_bare(answer) == _bare(prediction) for answer in answers))


def f1(answers: Sequence[str], prediction: str) -> float:
    """F1 of the longest run of segments that prediction and answer share, 0 to 1; of the answer that it fits best."""
    return max((_f1(segments(answer), segments(prediction)) for answer in answers), default=0.0)


def segments(text: str) -> list[str]:
    """Characters of Chinese, words of what lies between them; lower case, without the script's marks."""
    found: list[str] = []
    between = ""
    for char in _bare(text):
        if _CHINESE.match(char):
            found += _words(between)
            found.append(char)
            between = ""
        else:
            between += char
    return found + _words(between)


def _f1(answer: Sequence[str], prediction: Sequence[str]) -> float:
    shared = _longest_run(answer, prediction)
    if not shared:
        return 0.0
    precision, recall = shared / len(prediction), shared / len(answer)
    return 2 * precision * recall / (precision + recall)


def _longest_run(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest run of neighbours that both have."""
    longest = 0
    ends = [0] * (len(right) + 1)  # ends[j]: of the run that ends before right[j]
    for segment in left:
        before = 0
        for place, other in enumerate(right, start=1):
            before, ends[place] = ends[place], before + 1 if segment == other else 0
            longest = max(longest, ends[place])
    return longest


def _bare(text: str) -> str:
    return "".join(char for char in text.lower().strip() if char not in _MARKS)


def _words(text: str) -> list[str]:
    """As NLTK's word_tokenize, whose table of English abbreviations is a download: here some of them are known."""
    if not text:
        return []
    return [word for sentence in _sentences(text) for word in _tokenizer().tokenize(sentence)]


def _sentences(text: str) -> list[str]:
    """Cut behind the full stops that end sentences, not behind those of abbreviations and initials."""
    ends = [found.end() for found in _END.finditer(text) if not _SHORT.search(text[: found.start() + 1])]
    return [text[begin:end] for begin, end in zip([0, *ends], [*ends, len(text)], strict=True)]


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer()
