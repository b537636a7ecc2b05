"""Log-probabilities as the interfaces show them: a token as text and as bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..generation.answer import TokenLogprob
from ..text.tokenizer import StreamDecoder, Tokenizer

_NEVER = -9999.0  # OpenAI's number for a token that cannot come


def shown(logprob: float) -> float:
    """JSON has no minus infinity."""
    return logprob if math.isfinite(logprob) else _NEVER


def chat_logprobs(
    tokens: Iterable[TokenLogprob], tokenizer: Tokenizer, *, with_top: bool = True
) -> list[dict[str, Any]]:
    """As in a chat completion."""
    shown_tokens = []
    for token in tokens:
        entry = _entry(tokenizer, token.token_id, token.text, token.logprob)
        if with_top:
            entry["top_logprobs"] = [_entry(tokenizer, *other) for other in token.top]
        shown_tokens.append(entry)
    return shown_tokens


def _entry(tokenizer: Tokenizer, token_id: int, text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": shown(logprob), "bytes": list(tokenizer.token_bytes(token_id))}


class CompletionLogprobs:
    """As in a completion: four lists that grow along its text."""

    def __init__(self, tokenizer: Tokenizer, *, at_start: bool) -> None:
        """at_start: whether the text begins with the prompt."""
        self._tokenizer = tokenizer
        self._decoder = StreamDecoder(tokenizer, at_start=at_start)
        self._offset = 0  # characters before the next token

    def first(self, token_id: int) -> dict[str, Any]:
        """The first token of a prompt: nothing stands before it that could make it probable."""
        lists = self._lists([(token_id, self._name(token_id))])
        return {**lists, "token_logprobs": [None], "top_logprobs": [None]}

    def of(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        """The tokens that come next."""
        lists = self._lists([(token.token_id, self._name(token.token_id)) for token in tokens])
        tops = [{self._name(other): shown(logprob) for other, _, logprob in token.top} for token in tokens]
        return {
            **lists,
            "token_logprobs": [shown(token.logprob) for token in tokens],
            "top_logprobs": tops,
        }

    def _lists(self, tokens: Sequence[tuple[int, str]]) -> dict[str, Any]:
        offsets = []
        for token_id, _ in tokens:
            offsets.append(self._offset)
            self._offset += len(self._decoder.push(token_id))
        return {"tokens": [name for _, name in tokens], "text_offset": offsets}

    def _name(self, token_id: int) -> str:
        """A token as text; parts of characters as bytes, so that two of them differ."""
        data = self._tokenizer.token_bytes(token_id, skip_special=False)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def joined(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Lists of a completion, one after the other."""
    whole: dict[str, Any] = {"tokens": [], "text_offset": [], "token_logprobs": [], "top_logprobs": []}
    for part in parts:
        for name, values in part.items():
            whole[name] += values
    return whole
