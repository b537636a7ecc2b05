"""How large the next pass may be, by what passes took so far; and how prompts share it."""

from __future__ import annotations

from collections.abc import Sequence

WHOLE = 512  # rows: the engine computes longer prompts in pieces of as many anyway
SMALLEST = 16  # rows: fewer take as long
_EFFICIENT = 64  # rows: fewer cost much more for each
_COMFORTABLE_S = 0.25  # of a pass beside others
_TOLERABLE_S = 0.45  # where no efficient one is that short; from one token of an answer to the next
_NEWEST = 0.3  # weight of the newest measurement
_SHORTEST_S = 0.1  # of a pass for prompts until it rests
_RESTING = 256  # rows of one that may rest: more gain little for each
_UNKNOWN_ROWS = 32  # of the first piece beside others, before anything was measured


class PassTimes:
    """Seconds of passes by their number of rows: moving averages, those of prompts and of decoding apart."""

    def __init__(self, *, can_rest: bool = False) -> None:
        """can_rest: a pass may rest between layers, so that its size decides nothing for those who wait."""
        self._can_rest = can_rest
        self._prompt: dict[int, float] = {}  # power of two of rows -> seconds
        self._decode: dict[int, float] = {}

    def add(self, prompt_rows: int, decode_rows: int, seconds: float) -> None:
        """Note a pass of either kind."""
        if prompt_rows == 0:
            _note(self._decode, decode_rows, seconds)
        else:
            _note(self._prompt, prompt_rows, seconds)

    def decode_s(self, rows: int) -> float:
        """Expected seconds of decoding so many rows; 0 where nothing is known."""
        return _expected(self._decode, rows) or 0.0

    def prompt_s(self, rows: int) -> float | None:
        """Expected seconds of so many rows of prompts; None where nothing is known."""
        return _expected(self._prompt, rows)

    def rows_beside(self, decode_rows: int) -> int:
        """Rows of prompts that a pass may have while `decode_rows` answers are being written."""
        if self._can_rest:
            return _RESTING
        if not self._prompt:
            return _UNKNOWN_ROWS
        left_s = _COMFORTABLE_S - self.decode_s(decode_rows)
        rows = self._largest(left_s, WHOLE)
        if rows < _EFFICIENT:
            rows = max(rows, self._largest(left_s + _TOLERABLE_S - _COMFORTABLE_S, _EFFICIENT))
        return max(rows, SMALLEST)

    def part_s(self, decode_rows: int) -> float:
        """Seconds until a pass for prompts rests, while `decode_rows` answers wait for their next token."""
        if decode_rows == 0:
            return _COMFORTABLE_S
        return max(_SHORTEST_S, _TOLERABLE_S - self.decode_s(decode_rows))

    def _largest(self, seconds: float, most: int) -> int:
        """The largest power of two up to `most` that takes no longer; 0 where none does."""
        rows = most
        while rows >= SMALLEST and (self.prompt_s(rows) or 0.0) > seconds:
            rows //= 2
        return rows if rows >= SMALLEST else 0


def shared_out(remaining: Sequence[int], rows: int, *, oldest_first: bool) -> list[int]:
    """Rows of the next pass for each prompt, the oldest first in the list; some get none.

    oldest_first: whose turn it is; else it is the shortest one's, which ends soonest. Taken in turns, nobody waits for
    ever. A prompt's last few rows come along, whatever the limit.
    """
    given, left = [0] * len(remaining), rows
    order = range(len(remaining))
    for index in order if oldest_first else sorted(order, key=lambda index: remaining[index]):
        if left < min(SMALLEST, remaining[index]):
            continue
        given[index] = min(remaining[index], left)
        if remaining[index] - given[index] < SMALLEST:
            given[index] = remaining[index]
        left -= given[index]
    return given


def _note(times: dict[int, float], rows: int, seconds: float) -> None:
    known = times.get(bucket := _bucket(rows))
    times[bucket] = seconds if known is None else known + _NEWEST * (seconds - known)


def _bucket(rows: int) -> int:
    return max(0, rows - 1).bit_length()


def _expected(times: dict[int, float], rows: int) -> float | None:
    """What was measured for about as many rows; else what lies between fewer and more, or grows with the rows."""
    bucket = _bucket(rows)
    if bucket in times or not times:
        return times.get(bucket)
    fewer = max((known for known in times if known < bucket), default=None)
    more = min((known for known in times if known > bucket), default=None)
    if fewer is None:
        return times[min(times)]
    if more is None:
        return times[fewer] * (1 << (bucket - fewer))
    part = ((1 << bucket) - (1 << fewer)) / ((1 << more) - (1 << fewer))
    return times[fewer] + part * (times[more] - times[fewer])
