"""The past of a conversation: token ids, turns, a cache; and how much of it a new rendering of the dialogue keeps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ..backends.base import SequenceState
from ..text.chat_format import encode_continuation
from ..text.tokenizer import Tokenizer
from ..text.vocabulary import TokenType
from .answer import Answer
from .conversation_file import Turn

_CONTROL = 256  # units below are bytes of text; from here on a token that is no text, by its id


@dataclass(frozen=True)
class History:
    """Never changed in place: a turn works on a fork of the cache and its result replaces the history."""

    ids: tuple[int, ...] = ()
    turns: tuple[Turn, ...] = ()
    sequence: SequenceState | None = None  # holds a beginning of `ids`, all but the newest as a rule
    n_dropped: int = 0  # tokens that have left a full context

    def cut(self, length: int, n_turns: int) -> History:
        """The first `length` ids and `n_turns` turns, with a cache of its own. A turn that goes beyond `length`
        counts as rewritten from there."""
        sequence = None if self.sequence is None else self.sequence.fork()
        if sequence is not None:
            sequence.truncate(min(length, sequence.length))
        turns = tuple(turn.cut(length) for turn in self.turns[:n_turns])
        return replace(self, ids=self.ids[:length], turns=turns, sequence=sequence)

    def without(self, dropped: tuple[int, int]) -> History:
        """Positions [begin, end) have left; changes the cache it was given."""
        begin, end = dropped
        if self.sequence is not None and begin < self.sequence.length:
            self.sequence.discard(begin, min(end, self.sequence.length))
        turns = tuple(turn.after_drop(dropped) for turn in self.turns)
        return History(self.ids[:begin] + self.ids[end:], turns, self.sequence, self.n_dropped + end - begin)

    def without_turns(self, indices: Collection[int]) -> History:
        """As `without`, for whole turns that follow each other."""
        gone = [self.turns[index] for index in indices]
        left = self.without((gone[0].begin, gone[-1].end)) if gone[0].begin < gone[-1].end else self
        turns = [
            replace(turn, rewritten=False) if index in indices else turn
            for index, turn in enumerate(left.turns)
        ]
        return replace(left, turns=tuple(turns), n_dropped=max(left.n_dropped, 1))

    def answered(self, turn: Turn, answer: Answer, tokenizer: Tokenizer) -> History:
        """The past with `turn` as its last one, whose answer has ended or was left; takes over the answer's cache."""
        ids, rest = answer.spoken()
        sequence, n_spoken = answer.sequence, len(ids)
        if sequence is not None:
            sequence.truncate(min(sequence.length, len(ids)))
            if sequence.tokens().tolist() != ids[: sequence.length]:  # Ctrl-C came in the middle of a slide
                sequence = None
        ids += encode_continuation(tokenizer, rest) if rest else []
        turns = [*self.turns, replace(turn, answer=answer.text)]
        for dropped in answer.dropped:
            turns = [earlier.after_drop(dropped) for earlier in turns]
        decoded_end = max(answer.begin, sequence.length if sequence is not None else n_spoken - 1)
        turns[-1] = replace(turns[-1], answer_begin=answer.begin, end=len(ids), decoded_end=decoded_end)
        n_dropped = self.n_dropped + sum(end - begin for begin, end in answer.dropped)
        return History(tuple(ids), tuple(turns), sequence, n_dropped)


def kept_beginning(tokenizer: Tokenizer, past: History, rendered: Sequence[int]) -> tuple[int, list[int]]:
    """How many ids of `past` the dialogue keeps under a new rendering, and the ids that follow them: at least one.

    What is compared is text and control tokens, not ids: one text has several encodings, and those that the model
    chose for its answers stay. Where a token of `rendered` goes on over the end of an answer, what is left of it is
    encoded anew.
    """
    units, starts = _units(tokenizer, rendered)
    index_at = {start: index for index, start in enumerate(starts)}
    answer_ends = {turn.end for turn in past.turns if turn.answer_begin < turn.end}
    position, common, within = 0, (0, 0), (0, 0)
    for n_kept, token_id in enumerate(past.ids, start=1):
        piece = _units_of(tokenizer, token_id)
        if units[position : position + len(piece)] != piece or position + len(piece) >= len(units):
            break
        position += len(piece)
        if position in index_at:
            common = n_kept, position
        elif n_kept in answer_ends:
            within = n_kept, position
    if within > common:
        rest = _encoded_from(tokenizer, units, within[1], rendered, index_at)
        if rest is not None:
            return within[0], rest
    return common[0], list(rendered[index_at[common[1]] :])


def _units(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Bytes and control tokens of `ids`, and where each id begins among them."""
    units: list[int] = []
    starts = []
    for token_id in ids:
        starts.append(len(units))
        units += _units_of(tokenizer, token_id)
    return units, starts


def _units_of(tokenizer: Tokenizer, token_id: int) -> list[int]:
    if tokenizer.vocabulary.types[token_id] in (TokenType.CONTROL, TokenType.UNUSED, TokenType.UNKNOWN):
        return [_CONTROL + token_id]
    return list(tokenizer.token_bytes(token_id))


def _encoded_from(
    tokenizer: Tokenizer, units: list[int], position: int, rendered: Sequence[int], index_at: dict[int, int]
) -> list[int] | None:
    """Ids of all units from `position`, which lies within a token; None where they cannot be had."""
    end = next((at for at in range(position, len(units)) if units[at] >= _CONTROL), len(units))
    try:
        text = bytes(units[position:end]).decode()
    except UnicodeDecodeError:
        return None
    ids = encode_continuation(tokenizer, text)
    if _units(tokenizer, ids)[0] != units[position:end]:
        return None
    return ids + list(rendered[index_at[end] :] if end < len(units) else ())
