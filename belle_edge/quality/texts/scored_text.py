"""Token ids of which the later ones are scored, each after all before it: windows of running text, and answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from belle_edge.errors import BelleError, ConversionError
from belle_edge.quality.texts.text_files import Record
from belle_edge.text.chat_format import ChatFormat, encode_continuation
from belle_edge.text.tokenizer import Tokenizer

FEWEST_WINDOW_TOKENS = 4


@dataclass(frozen=True)
class ScoredText:
    """What a model is given, and the part of it that counts."""

    ids: NDArray[np.int32]  # [n_tokens]
    first: int  # index of the first token that is scored, 1 or more
    is_cut: bool = False  # whether the bound on tokens cut it

    @property
    def n_scored(self) -> int:
        return max(len(self.ids) - self.first, 0)


def windows(
    text: str, tokenizer: Tokenizer, *, n_context: int, most: int | None = None, name: str = "text"
) -> list[ScoredText]:
    """Running text in windows of `n_context` tokens; in each the second half is scored, but for its first token.

    The text is tokenized whole. Where the model adds BOS, BOS takes the place of each window's first token; what is
    left at the end is dropped. This is the rule of llama.cpp's tool llama-perplexity. most: windows at most.
    Raises ValueError for windows out of range, and for a text that is shorter than two of them.
    """
    if n_context < FEWEST_WINDOW_TOKENS:
        raise ValueError(f"[windows] expected at least {FEWEST_WINDOW_TOKENS} tokens each, got {n_context}")
    ids = np.array(tokenizer.encode(text, add_eos=False), dtype=np.int32)
    if len(ids) < 2 * n_context:
        raise ValueError(
            f"[{name}] its {len(ids):,} tokens are too few: windows of {n_context:,} tokens need at least"
            f" {2 * n_context:,}; give a longer text, or a smaller context"
        )
    n_windows = len(ids) // n_context if most is None else min(most, len(ids) // n_context)
    cut = ids[: n_windows * n_context].reshape(n_windows, n_context).copy()
    if tokenizer.vocabulary.add_bos:
        cut[:, 0] = tokenizer.vocabulary.bos_id
    return [ScoredText(row, n_context // 2 + 1) for row in cut]


def answer_text(
    record: Record, tokenizer: Tokenizer, chat_format: ChatFormat, *, most_tokens: int
) -> ScoredText:
    """A record as the model reads it, its last answer scored; of one without any dialogue, the whole text.

    The ids are the prompt's in the model's template, then the answer's as they go on behind it. Where there is no
    template, the messages are lines. most_tokens: those after them are left out.
    Raises ConversionError, with file and line, where there is no answer to score, and for a broken template.
    """
    if record.text.messages and record.answer is None:
        raise ConversionError(
            f"[{record.path}] line {record.line}: expected an answer to score at its end, found a question"
        )
    try:
        before, scored = _parts(record, tokenizer, chat_format)
    except BelleError:
        raise
    except ValueError as error:
        raise ConversionError(f"[{record.path}] line {record.line}: {error}") from None
    ids = np.array([*before, *scored], dtype=np.int32)
    return ScoredText(ids[:most_tokens], max(len(before), 1), is_cut=len(ids) > most_tokens)


def _parts(record: Record, tokenizer: Tokenizer, chat_format: ChatFormat) -> tuple[list[int], list[int]]:
    """Ids before what is scored, and those of that."""
    if record.answer is None:
        return [], tokenizer.encode(record.text.text, add_eos=False)
    if chat_format.template is None:
        plain = "".join(f"{message['content']}\n" for message in record.asked)
        before = tokenizer.encode(plain, add_eos=False)
    else:
        before = chat_format.encode(tokenizer, record.asked)
    return before, encode_continuation(tokenizer, record.answer)
