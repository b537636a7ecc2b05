"""What an answer has to be shaped like: a JSON schema, a grammar, a regular expression, or one of some texts.

llguidance, of the extra `schema`, says before each token which ones may come next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import bounded, excerpt
from .constraint_tokenizer import guidance, guidance_tokenizer
from .schema_check import check_schema, schema_of

if TYPE_CHECKING:
    from ..text.tokenizer import Tokenizer

# Between the values of a JSON text: one space, or one line break with an indentation. Without a bound some models
# write white space up to the end.
_WHITE_SPACE = r"( |\n {0,24})"
_NONE = [-1]  # the beginning of no answer
NAMES = ("schema", "grammar", "regex", "choice")


@dataclass(frozen=True)
class Constraint:
    """A shape that was checked; it serves any number of answers, of any model."""

    name: str  # the setting that it comes from
    grammar: str  # as llguidance writes it

    @classmethod
    def of(
        cls, *, schema: Any = None, grammar: Any = None, regex: Any = None, choice: Any = None
    ) -> Constraint | None:
        """The constraint that one of these describes; None for none of them.

        schema: a JSON schema as dict or JSON text, or a pydantic model. grammar: in llguidance's variant of Lark.
        regex: of the whole answer, in the syntax of Rust's `regex`. choice: the texts of which the answer is one.
        Raises ValueError for two of them, and for what is not supported: it names the keyword and its place.
        """
        given = {"schema": schema, "grammar": grammar, "regex": regex, "choice": choice}
        named = [name for name, value in given.items() if value is not None]
        if len(named) > 1:
            raise ValueError(f"[constraint] {named[0]} and {named[1]}: an answer takes one of them")
        if not named:
            return None
        (name,) = named
        return _made(name, given[name])

    def begin(self, tokenizer: Tokenizer) -> ConstrainedText:
        """The state of one answer. ValueError for a grammar that is too complex."""
        return ConstrainedText(self, tokenizer)


class ConstrainedText:
    """How far one answer has come within its constraint."""

    def __init__(self, constraint: Constraint, tokenizer: Tokenizer) -> None:
        vocabulary = guidance_tokenizer(tokenizer)
        self._start = guidance().LLMatcher(vocabulary, constraint.grammar, log_level=0)
        if self._start.is_error():
            raise ValueError(f"[constraint] {constraint.name}: {_reason(self._start.get_error())}")
        self._matcher = self._start.deep_copy()
        self._ids: list[int] = []  # what the matcher has taken
        # A bit per token of the vocabulary, in words of 32: whether it may come next.
        self._allowed = np.zeros((vocabulary.vocab_size + 31) // 32, np.uint32)

    def allowed_after(self, ids: Sequence[int]) -> NDArray[np.uint32]:
        """Bits of the tokens that may follow the answer's `ids`: bit i % 32 of word i / 32 for token i.

        No bit at all where the grammar has become too complex to go on. Valid until the next call.
        """
        self._follow(ids)
        self._allowed.fill(0)
        if not self._matcher.is_error():
            self._matcher.unsafe_compute_mask_ptr(self._allowed.ctypes.data, self._allowed.nbytes)
        if self._matcher.is_error():
            self._allowed.fill(0)
        return self._allowed

    def complete_after(self, ids: Sequence[int]) -> bool:
        """Whether the answer is whole with these ids, and nothing may follow."""
        self._follow(ids)
        return self._matcher.is_stopped() and not self._matcher.is_error()

    def _follow(self, ids: Sequence[int]) -> None:
        """Bring the matcher behind `ids`, from the beginning where tokens were taken back."""
        taken, self._ids = self._ids, _NONE  # so that after an interruption the next call begins anew
        if taken != ids[: len(taken)]:
            self._matcher, taken = self._start.deep_copy(), []
        for token_id in ids[len(taken) :]:
            self._matcher.consume_token(token_id)
            taken.append(token_id)
        self._ids = taken


def _made(name: str, value: Any) -> Constraint:
    makers: dict[str, Callable[[Any], str]] = {
        "schema": _grammar_of_schema,
        "grammar": _grammar_of_lark,
        "regex": _grammar_of_regex,
        "choice": _grammar_of_choice,
    }
    return Constraint(name, makers[name](value))


def _grammar_of_schema(value: Any) -> str:
    matcher = guidance().LLMatcher

    def grammar_of(schema: Any) -> str:
        options = {"whitespace_pattern": _WHITE_SPACE, "lenient": False, "coerce_one_of": False}
        text = json.dumps(schema, ensure_ascii=False)
        return str(matcher.grammar_from_json_schema(text, overrides=options))

    schema = schema_of(value)
    check_schema(schema, lambda part: _problem(grammar_of(part)))
    return grammar_of(schema)


def _grammar_of_lark(value: Any) -> str:
    return _checked("grammar", _text("grammar", value), guidance().LLMatcher.grammar_from_lark)


def _grammar_of_regex(value: Any) -> str:
    return _checked("regex", _text("regex", value), guidance().LLMatcher.grammar_from_regex)


def _grammar_of_choice(value: Any) -> str:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
        raise ValueError(f"[constraint] choice: expected a list of texts, got {excerpt(value)}")
    texts = [_text("choice", text) for text in value]
    if not texts:
        raise ValueError("[constraint] choice: expected at least one text, got none")
    pattern = "|".join(re.escape(text) for text in dict.fromkeys(texts))
    return _checked("choice", f"({pattern})", guidance().LLMatcher.grammar_from_regex)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"[constraint] {name}: expected a text that is not empty, got {excerpt(value)}")
    return value


def _checked(name: str, text: str, make: Callable[[str], str]) -> str:
    grammar = make(text)
    problem = _problem(grammar)
    if problem:
        raise ValueError(f"[constraint] {name}: {problem}")
    return grammar


def _problem(grammar: str) -> str:
    """What is wrong with a grammar; empty for nothing."""
    is_wrong, messages = guidance().LLMatcher.validate_grammar_with_warnings(grammar)
    return _reason(messages[0]) if is_wrong else ""


def _reason(message: str) -> str:
    """A message of llguidance on one line."""
    return bounded(" ".join(message.split()), 400)
