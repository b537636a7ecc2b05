"""Turns that were kept somewhere, as in a database: what is stored of each, and the history that a path of them makes.

Ids are the truth: a turn is encoded once, and what a model saw is put together from what was stored. Most turns follow
the whole history before them; then their own ids are enough. Where a window slid, or a template showed earlier turns in
another way, all that stood in the context is stored with the turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from .common_beginnings import common_length
from .conversation_file import Turn, fingerprint
from .history import History
from .loaded_model import LoadedModel

_DIGITS = 32  # of the names in a layout


@dataclass(frozen=True)
class Kind:
    """What ids belong to: a vocabulary; and the template and system text that they were made with."""

    vocabulary: str
    format: str

    @classmethod
    def of(cls, model: LoadedModel, system: str | None) -> Kind:
        """For turns of a dialogue with this system text."""
        given = model.chat_format
        parts = "\0".join((given.template or "", str(given.add_bos), system or ""))
        digest = hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()
        return cls(fingerprint(model.tokenizer.vocabulary.tokens)[:_DIGITS], digest[:_DIGITS])


@dataclass(frozen=True)
class StoredTurn:
    """One message with its answer. answer_begin, decoded_end: places in token_ids, as in `Turn`.

    layout: {} where no ids are known; "vocabulary" and "format" of its `Kind`; "turns" where token_ids are all that
    stood in the context: [begin, answer_begin, end, decoded_end, rewritten] of each turn up to this one.
    """

    user: str
    answer: str
    token_ids: tuple[int, ...] = ()
    answer_begin: int = 0
    decoded_end: int = 0
    layout: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def is_whole(self) -> bool:
        """Whether it needs no turn before it."""
        return "turns" in self.layout


def history_of(stored: Sequence[StoredTurn], kind: Kind) -> History:
    """The past of a dialogue that goes on after these turns, with no cache.

    Turns of another vocabulary, and those that were never encoded, stand in it as texts: the next prompt encodes them.
    """
    known = [turn.layout.get("vocabulary") == kind.vocabulary for turn in stored]
    base = max((i for i, turn in enumerate(stored) if turn.is_whole and known[i]), default=-1)
    history = _base(stored[: base + 1], kind) if base >= 0 else History()
    for turn, is_known in zip(stored[base + 1 :], known[base + 1 :], strict=True):
        history = (
            _followed(history, turn, kind) if is_known and not turn.is_whole else _as_text(history, turn)
        )
    return history


def stored_of(history: History, before: History, kind: Kind) -> StoredTurn:
    """What to store of the last turn of `history`. before: what `history_of` makes of the turns before it."""
    turn = history.turns[-1]
    layout: dict[str, Any] = {"vocabulary": kind.vocabulary, "format": kind.format}
    n_before = len(before.ids)
    follows = turn.begin == n_before and history.ids[:n_before] == before.ids
    if follows and history.turns[:-1] == before.turns:
        begin, ids = n_before, history.ids[n_before:]
    else:
        begin, ids = 0, history.ids
        layout["turns"] = [
            [earlier.begin, earlier.answer_begin, earlier.end, earlier.decoded_end, earlier.rewritten]
            for earlier in history.turns
        ]
    return StoredTurn(
        turn.user, turn.answer, ids, turn.answer_begin - begin, turn.decoded_end - begin, layout
    )


def shared_length(wanted: History, other: History) -> int:
    """How many positions of the other's cache `wanted` can take: the same ids, each computed in the same phase."""
    if other.sequence is None:
        return 0
    most = min(len(wanted.ids), other.sequence.length)
    n_alike = common_length(wanted.ids, other.ids, most)
    ours, theirs = _decoded(wanted, n_alike), _decoded(other, n_alike)
    return next((at for at in range(n_alike) if ours[at] != theirs[at]), n_alike)


def with_cache_of(wanted: History, other: History) -> History:
    """`wanted` with a fork of what it can take of the other's cache."""
    length = shared_length(wanted, other)
    if length == 0 or other.sequence is None:
        return replace(wanted, sequence=None)
    sequence = other.sequence.fork()
    sequence.truncate(length)
    return replace(wanted, sequence=sequence)


def _base(stored: Sequence[StoredTurn], kind: Kind) -> History:
    """What stood in the context at the end of the last of these turns, which says all of it."""
    last = stored[-1]
    is_other = last.layout.get("format") != kind.format
    turns = []
    for turn, (begin, answer_begin, end, decoded_end, rewritten) in zip(
        stored, last.layout["turns"], strict=True
    ):
        turns.append(
            Turn(turn.user, turn.answer, begin, answer_begin, end, decoded_end, rewritten or is_other)
        )
    return History(tuple(last.token_ids), tuple(turns))


def _followed(history: History, turn: StoredTurn, kind: Kind) -> History:
    begin = len(history.ids)
    added = Turn(
        turn.user,
        turn.answer,
        begin,
        begin + turn.answer_begin,
        begin + len(turn.token_ids),
        begin + turn.decoded_end,
        turn.layout.get("format") != kind.format,
    )
    return History((*history.ids, *turn.token_ids), (*history.turns, added))


def _as_text(history: History, turn: StoredTurn) -> History:
    end = len(history.ids)
    added = Turn(turn.user, turn.answer, end, end, end, end, rewritten=True)
    return replace(history, turns=(*history.turns, added))


def _decoded(history: History, length: int) -> bytearray:
    """For each of the first positions, whether it went through the model by itself, as a part of an answer."""
    found = bytearray(length)
    for turn in history.turns:
        for at in range(turn.answer_begin, min(turn.decoded_end, length)):
            found[at] = 1
    return found
