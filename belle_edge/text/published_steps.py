"""A tokenizer's own JSON inside a GGUF file: how it splits a text, where all its steps are known ones.

A pattern is a program of a stranger, and some run for hours. So only patterns of the table are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..strict_json import JsonError, parse
from .pre_tokenizers import (
    EACH_DIGIT,
    EACH_SIGN,
    GPT2,
    PRE_TOKENIZERS,
    RUN_OF_DIGITS,
    RUN_OF_SIGNS,
    PreTokenizer,
)

_NO_PLACE = "(?!)"  # where a text may be cut is known for the pre-tokenizers of the table only
_MOST_CHARS = 1 << 16  # of the part that says how to split
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]', re.DOTALL)
_CODE = re.compile(r"\\x\{([0-9A-F]+)\}")


def published_steps(text: str) -> PreTokenizer | None:
    """The pre-tokenizer that a tokenizer.json describes; None where it has none, or one of steps not known here."""
    described = _part(text, "pre_tokenizer")
    if not isinstance(described, dict):
        return None
    try:
        steps = tuple(_steps(described))
    except _UnknownStepError:
        return None
    same = next((known for known in PRE_TOKENIZERS.values() if known.steps == steps), None)
    cut_places = same.cut_places if same else _NO_PLACE
    whole_words_first = re.search(r'"ignore_merges"\s*:\s*true\b', text) is not None
    return PreTokenizer(steps, whole_words_first=whole_words_first, cut_places=cut_places)


class _UnknownStepError(Exception):
    """A step that is not in the table, or not as it is there."""


def _part(text: str, name: str) -> Any:
    """The object of this key, read without the vocabulary around it; None where there is no such object.

    No token of the vocabulary is taken for it: their values are numbers, and quotes inside a text are escaped.
    """
    found = re.search(rf'"{name}"\s*:\s*(?=\{{)', text)
    if found is None:
        return None
    depth = 0
    for token in _TOKEN.finditer(text, found.end(), found.end() + _MOST_CHARS):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            try:
                return parse(text[found.end() : token.end()])
            except JsonError:
                return None
    return None


def _steps(described: dict[str, Any]) -> Iterator[str]:
    """The patterns of a step, or of a sequence of them that ends with the change to bytes."""
    steps = described.get("pretokenizers") if described.get("type") == "Sequence" else [described]
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        raise _UnknownStepError
    for step in steps[:-1]:
        yield _pattern(step)
    to_bytes = steps[-1]
    if to_bytes.get("type") != "ByteLevel" or to_bytes.get("add_prefix_space", True) is not False:
        raise _UnknownStepError
    if to_bytes.get("use_regex", True):
        yield GPT2


def _pattern(step: dict[str, Any]) -> str:
    kind = step.get("type")
    if kind == "Digits":
        return EACH_DIGIT if step.get("individual_digits") else RUN_OF_DIGITS
    if kind == "Punctuation":
        signs = {"Isolated": EACH_SIGN, "Contiguous": RUN_OF_SIGNS}.get(step.get("behavior", "Isolated"))
        if signs is not None:
            return signs
    pattern = step.get("pattern")
    if (
        kind == "Split"
        and step.get("behavior") == "Isolated"
        and not step.get("invert")
        and isinstance(pattern, dict)
    ):
        known = _known_patterns().get(_canonical(str(pattern.get("Regex"))))
        if known is not None:
            return known
    raise _UnknownStepError


def _known_patterns() -> dict[str, str]:
    return {_canonical(step): step for known in PRE_TOKENIZERS.values() for step in known.steps}


def _canonical(pattern: str) -> str:
    """Characters themselves in place of their codes, which a published pattern may have or not."""
    pattern = pattern.replace("\r", r"\r").replace("\n", r"\n")
    return _CODE.sub(lambda code: chr(int(code[1], 16)), pattern)
