"""The messages from the root of a chat to a leaf, as turns of a dialogue: what the model sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...generation.history import History
from ...generation.stored_turns import StoredTurn
from ...history import History as ChatHistory
from ...history import Message
from .attached_files import framed

SUMMARY_OF = "summary_of"  # in the settings of an answer: the chat that it sums up


@dataclass(frozen=True)
class StoredPath:
    """Turns in their order, with the ids of their two messages; and the messages that no model sees."""

    turns: tuple[StoredTurn, ...] = ()
    ids: tuple[tuple[str, str], ...] = ()  # of user and assistant
    unseen: tuple[str, ...] = ()  # failed, unanswered, summaries
    left_out: tuple[tuple[str, ...], ...] = ()  # for each turn what its answer's model did not see
    order: tuple[str, ...] = ()  # ids of all messages

    @property
    def before(self) -> StoredPath:
        """Without the last turn."""
        return StoredPath(self.turns[:-1], self.ids[:-1], self.unseen, self.left_out[:-1], self.order)

    def dropped(self, before: History, after: History) -> list[str]:
        """Messages of which the model does not see all: `after` is what it sees, `before` what is known of the path."""
        known = bool(before.ids) and len(before.turns) > 0 and not before.turns[-1].rewritten
        gone = {*self.unseen, *(self.left_out[-1] if known and self.left_out else ())}
        for ids, was, now in zip(self.ids, before.turns, after.turns, strict=False):
            if not now.stands or (now.end - now.begin < was.end - was.begin and not now.rewritten):
                gone.update(ids)
        return [id for id in self.order if id in gone]


def path_to(history: ChatHistory, leaf: str | None, *, n_tokens: int) -> StoredPath:
    """The path to a message. n_tokens: of the model's vocabulary; what names others counts as a text.

    Raises HistoryMissingError.
    """
    messages = [] if leaf is None else history.path(leaf)
    turns: list[StoredTurn] = []
    ids: list[tuple[str, str]] = []
    unseen: list[str] = []
    left_out: list[tuple[str, ...]] = []
    asked: Message | None = None
    for message in messages:
        if message.role == "user":
            if asked is not None:
                unseen.append(asked.id)
            asked = message
            continue
        if asked is not None and _is_seen(message):
            ids.append((asked.id, message.id))
            left_out.append(tuple(message.dropped))
            turns.append(_turn(asked, message, history, n_tokens=n_tokens, place=len(turns)))
        else:
            unseen += [message.id] if asked is None else [asked.id, message.id]
        asked = None
    if asked is not None:
        unseen.append(asked.id)
    order = tuple(message.id for message in messages)
    return StoredPath(tuple(turns), tuple(ids), tuple(unseen), tuple(left_out), order)


def question_of(message: Message, history: ChatHistory) -> str:
    """What the model is asked by a message, its files included."""
    files = [history.attachment(file.id) for file in message.attachments]
    return framed(message.text, [(file.name, text) for file, text in files])


def _is_seen(answer: Message) -> bool:
    return bool(answer.text or answer.token_ids) and SUMMARY_OF not in answer.settings


def _turn(asked: Message, answer: Message, history: ChatHistory, *, n_tokens: int, place: int) -> StoredTurn:
    text = question_of(asked, history)
    begin, end = answer.answer_begin or 0, answer.decoded_end or 0
    if not _is_sound(answer, begin, end, n_tokens=n_tokens, place=place):
        return StoredTurn(text, answer.text)
    return StoredTurn(text, answer.text, answer.token_ids, begin, end, answer.layout)


def _is_sound(answer: Message, begin: int, end: int, *, n_tokens: int, place: int) -> bool:
    """Whether ids and places can be true: they may come from a file that somebody else wrote."""
    ids, layout = answer.token_ids, answer.layout
    if not ids or not 0 <= begin <= end <= len(ids):
        return False
    if not all(0 <= token_id < n_tokens for token_id in ids):
        return False
    spans = layout.get("turns")
    if spans is None:
        return True
    return isinstance(spans, list) and len(spans) == place + 1 and _are_spans(spans, len(ids))


def _are_spans(spans: Sequence[Any], length: int) -> bool:
    at = 0
    for span in spans:
        if not isinstance(span, (list, tuple)) or len(span) != 5 or not isinstance(span[4], bool):
            return False
        begin, answer_begin, end, decoded_end = span[:4]
        if not all(type(place) is int for place in span[:4]):
            return False
        if not at <= begin <= answer_begin <= decoded_end <= end:
            return False
        at = end
    return at == length


class KnownPaths:
    """Paths that were read lately: `measure` asks for the same one again and again."""

    _MOST = 8

    def __init__(self, history: ChatHistory) -> None:
        self._history = history
        self._known: dict[tuple[str, int], StoredPath] = {}

    def get(self, leaf: str | None, *, n_tokens: int) -> StoredPath:
        """As `path_to`."""
        if leaf is None:
            return StoredPath()
        key = (leaf, n_tokens)
        known = self._known.get(key)
        if known is None:
            while len(self._known) >= self._MOST:
                self._known.pop(next(iter(self._known)), None)
            known = self._known[key] = path_to(self._history, leaf, n_tokens=n_tokens)
        return known

    def forget(self) -> None:
        """A message has changed."""
        self._known.clear()
