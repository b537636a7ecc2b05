"""What a template may use: steps, text, list items, time; and the measure of a value."""

from __future__ import annotations

import time
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from jinja2.runtime import LoopContext

# One value, and all of one rendering. The largest published templates with long conversations stay far below.
SOURCE_CHARS = 128 * 1024
TEXT_CHARS = 4_000_000  # of one value; also all texts inside a list together
MADE_CHARS = 32_000_000  # of all texts made in a rendering, at up to 4 bytes each
ITEMS = 100_000  # of one list, with all lists inside it
MADE_ITEMS = 1_500_000
DEPTH = 64  # lists inside lists
INTEGER_BITS = 60  # below Python's hash modulus, so that no two integers share a hash
STEPS = 300_000
SECONDS = 0.8  # of processor time of the rendering thread: a busy machine fails no template
WIDTH = 10_000  # of padding, and of fields in formats

_STEPS_PER_CLOCK = 64  # steps between two looks at the clock
_CHARS_PER_STEP = 1024  # texts are handled about this much faster than operations
_ITEMS_PER_STEP = 16
_SCALARS = frozenset({type(None), bool, float})
_COLLECTIONS = (list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)


class TemplateLimitError(Exception):
    """A template asks for more than one prompt can need."""


class Budget:
    """What one rendering has left. It grows with what the caller himself hands in.

    The clock is that of the thread's processor time, so it works in any thread and needs no signal.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin another rendering."""
        self._steps = STEPS
        self._text, self._made_chars = TEXT_CHARS, MADE_CHARS
        self._items, self._made_items = ITEMS, MADE_ITEMS
        self._seconds = SECONDS
        self._start = time.thread_time()
        self._until_clock = _STEPS_PER_CLOCK

    def grow(self, value: Any) -> None:
        """Make room for the caller's own messages and tools. Raises TemplateLimitError past DEPTH."""
        items, chars = _measure(value, max_items=1 << 40, max_chars=1 << 40)
        self._steps += 200 * items
        self._text += 16 * chars
        self._made_chars += 64 * chars
        self._items += items
        self._made_items += 20 * items
        self._seconds += 2e-4 * items + 2e-7 * chars

    def step(self, steps: int = 1) -> None:
        """Count operations; raises TemplateLimitError when they or the time are used up."""
        self._steps -= steps
        self._until_clock -= steps
        if self._steps < 0:
            raise TemplateLimitError("it takes too many steps")
        if self._until_clock < 0:
            self._until_clock = _STEPS_PER_CLOCK
            if time.thread_time() - self._start > self._seconds:
                raise TemplateLimitError(f"it takes longer than {self._seconds:.1f} s of processor time")

    def read(self, value: Any) -> int:
        """Charge looking at all of a value. Returns its size: characters and items."""
        kind = type(value)
        if kind is str:
            chars = len(value)
            if chars > self._text:
                raise TemplateLimitError(f"it makes a text of more than {self._text} characters")
            self.step(1 + chars // _CHARS_PER_STEP)
            return chars
        if kind in _SCALARS:
            return 1
        items, chars = _measure(value, max_items=self._items, max_chars=self._text)
        self.step(1 + items // _ITEMS_PER_STEP + chars // _CHARS_PER_STEP)
        return items + chars

    def make(self, value: Any) -> Any:
        """Charge a new value, and return it. Of an iterator every item is charged when it comes."""
        if isinstance(value, Iterator) and not isinstance(value, LoopContext):
            return self._counted(value)
        kind = type(value)
        if kind is str:
            self.make_text(len(value))
        elif kind is int:
            self.check_integer(value)
        elif kind not in _SCALARS:
            self.read(value)
            if isinstance(value, str):
                self.make_text(len(value))
            elif isinstance(value, (*_COLLECTIONS, dict)):
                self._make_items(len(value))
        return value

    def make_text(self, n_chars: int) -> None:
        """Charge a text of this length, before it is made where that can be told."""
        if n_chars > self._text:
            raise TemplateLimitError(f"it makes a text of more than {self._text} characters")
        self._made_chars -= n_chars
        if self._made_chars < 0:
            raise TemplateLimitError("it makes too much text")
        self.step(1 + n_chars // _CHARS_PER_STEP)

    def check_items(self, n_items: int) -> None:
        """Raise where a list of this length would be too long."""
        if n_items > self._items:
            raise TemplateLimitError(f"it makes a list of more than {self._items} items")

    def check_text(self, n_chars: int) -> None:
        """Raise where a text of this length would be too long."""
        if n_chars > self._text:
            raise TemplateLimitError(f"it makes a text of more than {self._text} characters")

    @staticmethod
    def check_integer(value: int) -> None:
        if value.bit_length() > INTEGER_BITS:
            raise TemplateLimitError(f"it makes an integer of more than {INTEGER_BITS} bits")

    @staticmethod
    def check_width(width: Any) -> None:
        """Of padding, indentation and fields."""
        if isinstance(width, (int, float)) and width > WIDTH:
            raise TemplateLimitError(f"it pads to a width of {width:.6g}, the limit is {WIDTH}")

    def _make_items(self, n_items: int) -> None:
        self._made_items -= n_items
        if self._made_items < 0:
            raise TemplateLimitError("it makes too many lists")

    def _counted(self, iterator: Iterator[Any]) -> Iterator[Any]:
        for value in iterator:
            self.step()
            yield self.make(value)


def _measure(value: Any, *, max_items: int, max_chars: int) -> tuple[int, int]:
    """(items, characters) of a value with all that lists and dicts in it hold, level by level."""
    level, depth, n_items, n_chars = [value], 0, 0, 0
    while level:
        inner: list[Any] = []
        n_items += len(level)
        for one in level:
            if isinstance(one, (str, bytes)):
                n_chars += len(one)
            elif isinstance(one, dict):
                _check_length(n_items + len(inner) + 2 * len(one), max_items)
                inner.extend(one)
                inner.extend(one.values())
            elif isinstance(one, _COLLECTIONS):
                _check_length(n_items + len(inner) + len(one), max_items)
                inner.extend(one)
            elif isinstance(one, range):
                n_items += len(one)
        _check_length(n_items, max_items)
        if n_chars > max_chars:
            raise TemplateLimitError(f"it handles texts of more than {max_chars} characters")
        depth += 1
        if depth > DEPTH and inner:
            raise TemplateLimitError(f"it nests lists more than {DEPTH} deep")
        level = inner
    return n_items, n_chars


def _check_length(n_items: int, most: int) -> None:
    if n_items > most:
        raise TemplateLimitError(f"it handles a list of more than {most} items")
