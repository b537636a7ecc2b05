"""A text that arrives in pieces, shown while it grows: finished blocks are rendered once, only the last ones anew."""

from __future__ import annotations

import time
from collections.abc import Callable

from .html_blocks import blocks_of, render_visible
from .long_blocks import LongBlock, long_block
from .virtual_ends import shown_while_growing
from .visible_text import visible

LONGEST_REST = 0.4  # seconds between two looks of a costly block


class GrowingText:
    """Safe HTML blocks of a text that a model is writing.

    The blocks at the end of `finish` are those of `render(whole text)`, wherever the text was cut into pieces. For
    one thread at a time.
    """

    def __init__(
        self,
        *,
        share: float = 0.01,
        clock: Callable[[], float] = time.monotonic,
        cost_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """share: about this part of the time goes into rendering; a costly block is shown less often.

        A share of 1 shows every piece at once. clock, cost_clock: seconds that pass, and seconds of this thread's work.
        """
        self._share = share
        self._clock, self._cost_clock = clock, cost_clock
        self._rested_at = float("-inf")  # when the next rendering is due
        self._done: list[str] = []  # blocks that no later text can change
        self._shown: list[str] = []  # blocks of the tail, as they were shown last
        self._tail = ""  # the text behind the finished blocks
        self._held = ""  # a carriage return: a line feed may follow
        self._long: LongBlock | None = None  # the tail, where it is a long block
        self._looked = 0  # so much of the tail has been looked through for finished blocks

    @property
    def blocks(self) -> list[str]:
        """All blocks as they are shown now."""
        return [*self._done, *self._shown]

    def feed(self, text: str) -> tuple[int, list[str]]:
        """More of the text.

        Returns (first, blocks): from block `first` on, the blocks that are shown are these. Where nothing is to be
        shown anew yet, `first` is the number of blocks and the list is empty.
        """
        self._take(text)
        if self._clock() < self._rested_at:
            return len(self._done) + len(self._shown), []
        before, begun = self.blocks, self._cost_clock()
        self._show()
        rest = (self._cost_clock() - begun) * (1 / self._share - 1)
        self._rested_at = self._clock() + min(rest, LONGEST_REST)
        return _changes(before, self.blocks)

    def finish(self) -> tuple[int, list[str]]:
        """The text is complete. Returns what `feed` returns; nothing is fed after this."""
        before = self.blocks
        self._tail, self._held = self._tail + visible(self._held), ""
        self._done += render_visible(self._tail)
        self._tail, self._shown = "", []
        return _changes(before, self.blocks)

    def _take(self, text: str) -> None:
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        taken = visible(text[: len(text) - len(self._held)])
        self._tail += taken
        if self._long:
            self._long.add(taken)

    def _show(self) -> None:
        html = self._long.show() if self._long else None
        if html is not None:
            self._shown = [html]
            return
        self._finish_blocks()
        self._shown = render_visible(shown_while_growing(self._tail), growing=True)
        self._long = long_block(self._tail) if len(self._shown) == 1 else None

    def _finish_blocks(self) -> None:
        """Move blocks to the finished ones that no further text can change.

        They are those before the last one of the complete lines. While a formula waits for its end, the one before
        it may still become a part of what turns out to be no formula.
        """
        complete = self._tail.rfind("\n") + 1
        if complete <= self._looked:
            return
        self._looked = complete
        lines = self._tail[:complete]
        blocks = blocks_of(lines, growing=True)
        n_finished = len(blocks) - (2 if blocks and blocks[-1].pending else 1)
        if n_finished < 1:
            return
        rest = lines.split("\n")
        begin = blocks[n_finished].begin
        self._done += render_visible("\n".join(rest[:begin]) + "\n")
        lines = "\n".join(rest[begin:])
        self._tail, self._looked = lines + self._tail[complete:], len(lines)


def _changes(before: list[str], after: list[str]) -> tuple[int, list[str]]:
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    return same, after[same:]
