"""Finished English messages recognised by their templates, and said again in another language.

The library raises English, filled in. Here a message is compared with the catalogue's texts: the pieces between the
placeholders have to occur in their order. What stands in the places is a message itself, perhaps, and is looked up in
turn. Every comparison is linear in the length of the message, so that no name in it can make it slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

_PLACE = re.compile(r"\{(\w*)[^{}]*\}")
_WORD = re.compile(r"[A-Za-z]{3,}")
_ROOM = re.compile(r"(\[[\w .]+\] )")
_ROOM_AND_NAME = re.compile(r"(\[[\w .]+\] (?:\w+|\{\w+\}))(?:: |：)")
_MESSAGE_BEGINS = re.compile(r"(?:; | \(|: |, | )(?=\S)")  # behind a value
_MOST_BEGINS = 40
_DEEPEST = 6  # messages within messages
_MOST_CHARS = 4000  # longer ones are no messages


@dataclass(frozen=True)
class Template:
    """One English text with places, and its translation."""

    pieces: tuple[str, ...]  # between the places: one more than those
    names: tuple[tuple[str, ...], ...]  # of the places; several where they stand side by side
    translation: str

    @classmethod
    def of(cls, english: str, translation: str) -> Template:
        parts = _PLACE.split(english)
        pieces: list[str] = [parts[0]]
        names: list[tuple[str, ...]] = []
        for name, piece, before in zip(parts[1::2], parts[2::2], parts[0::2], strict=False):
            if names and not before:  # side by side: a message does not show where the first one ends
                names[-1] = (*names[-1], name)
                pieces[-1] = piece
            else:
                names.append((name,))
                pieces.append(piece)
        return cls(tuple(pieces), tuple(names), translation)

    @cached_property
    def weight(self) -> int:
        """Letters that must be there: of several that fit the heaviest is meant."""
        return sum(map(len, self.pieces))

    @cached_property
    def longest(self) -> str:
        """The piece that tells soonest whether a message can fit."""
        return max(self.pieces, key=len)

    def match(self, message: str) -> list[str] | None:
        """What stands in the places, in their order; None where the message is another one."""
        first, *middle = self.pieces
        if not message.startswith(first):
            return None
        if not middle:
            return [] if message == first else None
        values, position = [], len(first)
        for piece in middle[:-1]:
            found = message.find(piece, position)
            if found < 0:
                return None
            values.append(message[position:found])
            position = found + len(piece)
        end = len(message) - len(middle[-1])
        if end < position or not message.endswith(middle[-1]):
            return None
        return [*values, message[position:end]]

    def filled(self, values: list[tuple[str, str]]) -> str:
        """The translation with values in its places; a name that occurs twice has its first value.

        values: of each place; where several stand side by side, what the first and what the second has.
        """
        by_name: dict[str, str] = {}
        for names, value in zip(self.names, values, strict=True):
            for name, part in zip(names, [*value, *[""] * len(names)], strict=False):
                by_name.setdefault(name, part)
        return _PLACE.sub(lambda place: by_name.get(place[1], place[0]), self.translation)


def _without_their_place(english: str, said: str) -> Iterator[tuple[str, str]]:
    """A message of the Python interface as the command line quotes it: without `[model] `, or `[model] context: `."""
    for prefix in (_ROOM, _ROOM_AND_NAME):
        begin, said_begin = prefix.match(english), prefix.match(said)
        if begin is not None and said_begin is not None and begin[1] == said_begin[1]:
            yield english[begin.end() :], said[said_begin.end() :]


class MessageTemplates:
    """The templates of one language, made when the first message is shown."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """texts: English -> translation."""
        shorter = (pair for english, said in texts.items() for pair in _without_their_place(english, said))
        texts = {**texts, **{english: said for english, said in shorter if english not in texts}}
        self._whole = dict(texts)  # messages without a place are found at once
        templates = [Template.of(english, said) for english, said in texts.items() if "{" in english]
        self._templates = sorted(
            (template for template in templates if _WORD.search("".join(template.pieces))),
            key=lambda template: -template.weight,
        )

    def translated(self, message: str) -> str:
        """The message in this language; itself where it is not known."""
        if len(message) > _MOST_CHARS:
            return message
        return self._found(message, _DEEPEST) or message

    def _found(self, message: str, depth: int) -> str | None:
        if (whole := self._whole.get(message)) is not None:
            return whole
        if depth == 0 or not _WORD.search(message):
            return None
        for template in self._templates:
            if template.longest in message and (values := template.match(message)) is not None:
                return template.filled(
                    [
                        self._two_values(value, depth - 1)
                        if len(names) > 1
                        else (self._value(value, depth - 1), "")
                        for value, names in zip(values, template.names, strict=True)
                    ]
                )
        return self._behind_a_place(message, depth)

    def _value(self, value: str, depth: int) -> str:
        """One word is a name or a number; more of them may be a message."""
        return (self._found(value, depth) if " " in value.strip() else None) or value

    def _two_values(self, value: str, depth: int) -> tuple[str, str]:
        """A value and the message right behind it: the longest that is known."""
        for found in list(_MESSAGE_BEGINS.finditer(value))[:_MOST_BEGINS]:
            if (said := self._found(value[found.start() :], min(depth, 1))) is not None:
                return self._value(value[: found.start()], depth), said
        return self._value(value, depth), ""

    def _behind_a_place(self, message: str, depth: int) -> str | None:
        """A message that begins with where it happened: `blk.0: …`. The place stays as it is."""
        place, mark, rest = message.partition(": ")
        if not mark or not rest:
            return None
        said = self._found(rest, depth - 1)
        before = self._found(place, depth - 1)
        return None if said is None and before is None else f"{before or place}: {said or rest}"
