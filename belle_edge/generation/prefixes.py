"""Beginnings of prompts that are computed already: found for the next prompt, kept under a budget of memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from .._core import PAGE_TOKENS
from ..backends.base import Backend, SequenceState
from .answer import Answer
from .common_beginnings import common_length
from .prefix_files import PrefixFiles

_SHORTEST = 16  # tokens worth an entry
_MOST = 256  # entries; all are looked at for each prompt


class Pinned:
    """A beginning that several prompts are known to have: held from when it is computed until it is released."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = list(ids)
        self.sequence: SequenceState | None = None


@dataclass(frozen=True)
class _Kept:
    ids: list[int]
    sequence: SequenceState
    shares: bool  # its pages with the entries that begin alike


class Prefixes:
    """What prompts began with.

    `find`, `computed` and `tidy` are for the thread that computes; any thread may call the others, at any moment.
    """

    def __init__(self, backend: Backend, *, budget_bytes: int = 0, files: PrefixFiles | None = None) -> None:
        """budget_bytes: of the keys and values that stay after their answers have ended."""
        self.budget_bytes = budget_bytes
        self._backend = backend
        self._files = files
        self._pinned: list[Pinned] = []
        self.offered: list[_Kept] = []  # `tidy` has something to do
        self._kept: OrderedDict[tuple[int, ...], _Kept] = OrderedDict()  # the least recently used first
        self._unwritten: list[_Kept] = []
        self._closed = False

    # ---- any thread

    def pin(self, ids: Sequence[int]) -> Pinned:
        """Hold what prompts with this beginning compute of it."""
        entry = Pinned(ids)
        self._pinned.append(entry)
        return entry

    def release(self, entry: Pinned) -> None:
        """Inverse of `pin`."""
        with suppress(ValueError):
            self._pinned.remove(entry)
        entry.sequence = None

    def load(self, answer: Answer) -> SequenceState | None:
        """What the files have of the prompt's beginning, where it is more than there is in memory."""
        if self._files is None or not answer.shareable:
            return None
        ids, most = answer.history, _most(answer)
        known = max((common_length(entry.ids, ids, most) for entry in list(self._kept.values())), default=0)
        return self._files.load(ids, most, longer_than=known)

    def offer(self, answer: Answer, loaded: SequenceState | None = None) -> None:
        """The answer has ended, or was left: its prompt may stay. loaded: what it got from the files."""
        if self._closed or (self.budget_bytes <= 0 and self._files is None):
            return
        sequence = answer.sequence
        n = _n_at_hand(answer, sequence)
        if n < _SHORTEST or sequence is None:
            return
        fork = beginning_of(sequence, answer.history, n)
        if fork is not None:
            self.offered.append(_Kept(answer.history[:n], fork, shares=loaded is None))

    def write_out(self) -> None:
        """Write what is to be had after a restart; others compute meanwhile."""
        while self._files is not None and self._unwritten:
            try:
                entry = self._unwritten.pop(0)
            except IndexError:  # another thread took the last one
                return
            self._files.write(entry.ids, entry.sequence)

    def clear(self) -> None:
        """Let go of all of it, for good."""
        self._closed = True
        self._kept = OrderedDict()
        self.offered.clear()
        self._unwritten.clear()
        for entry in list(self._pinned):
            entry.sequence = None

    # ---- the thread that computes

    def find(
        self, answer: Answer, running: Iterable[Answer], loaded: SequenceState | None
    ) -> tuple[int, SequenceState | None]:
        """The longest beginning of the answer's prompt that is at hand: its length, and a sequence that holds it."""
        best: tuple[int, SequenceState | None] = (0, None)
        ids, most = answer.history, _most(answer)
        if loaded is not None:
            best = common_length(loaded.tokens().tolist(), ids, most), loaded
        for length, sequence in self._sources(running, ids, most):
            if length > best[0]:
                best = length, sequence
        kept = self._kept
        for key, entry in list(kept.items()):
            if entry.sequence is best[1]:
                kept.move_to_end(key)
        return best

    def computed(self, answer: Answer) -> None:
        """A part of the answer's prompt is there now: what is pinned of it can be had."""
        if not self._pinned or (sequence := answer.sequence) is None:
            return
        for entry in list(self._pinned):
            n = len(entry.ids)
            alike = entry.sequence is None and answer.history[:n] == entry.ids
            if alike and n <= _n_at_hand(answer, sequence):
                entry.sequence = beginning_of(sequence, entry.ids, n)

    def tidy(self) -> None:
        """Keep what was offered, as far as the budgets allow."""
        while self.offered:
            entry = self.offered.pop(0)
            if self._files is not None and self._files.wants(entry.ids):
                self._unwritten.append(entry)
            self._insert(entry)
        if self._closed:
            self.clear()

    def _sources(
        self, running: Iterable[Answer], ids: Sequence[int], most: int
    ) -> Iterable[tuple[int, SequenceState]]:
        """Lengths of beginnings that `ids` share, and the sequences that hold them."""
        for answer in running:
            sequence = answer.sequence
            at_hand = _n_at_hand(answer, sequence)
            if sequence is not None and at_hand:
                yield common_length(answer.history, ids, min(most, at_hand)), sequence
        for pinned in list(self._pinned):
            if (sequence := pinned.sequence) is not None:
                yield common_length(pinned.ids, ids, most), sequence
        for entry in list(self._kept.values()):
            yield common_length(entry.ids, ids, most), entry.sequence

    def _insert(self, entry: _Kept) -> None:
        """As the newest, in place of what it contains; the least recently used ones go when it is too much."""
        if self._closed:
            return
        kept = self._kept
        page_bytes = int(self._backend.details["kv_bytes_per_token"]) * PAGE_TOKENS
        n_pages = self.budget_bytes // page_bytes
        if len(entry.ids) > n_pages * PAGE_TOKENS:
            cut = entry.ids[: n_pages * PAGE_TOKENS]
            sequence = beginning_of(entry.sequence, cut, len(cut)) if cut else None
            if sequence is None:
                return
            entry = _Kept(cut, sequence, entry.shares)
        for key, other in list(kept.items()):
            common = common_length(other.ids, entry.ids, len(entry.ids))
            if common == len(entry.ids):
                kept.move_to_end(key)
                return
            if common == len(other.ids):
                del kept[key]
        kept[tuple(entry.ids)] = entry
        while len(kept) > _MOST or _pages(kept.values()) > n_pages:
            kept.popitem(last=False)


def _most(answer: Answer) -> int:
    """Tokens of the prompt that may come from another one: at least one is computed anew."""
    return min(answer.shareable, answer.prompt_tokens - 1)


def _n_at_hand(answer: Answer, sequence: SequenceState | None) -> int:
    """Positions of the answer's sequence that any prompt with the same tokens would compute alike."""
    if sequence is None or answer.dropped or not answer.shareable:
        return 0
    return min(answer.shareable, sequence.length)


def beginning_of(sequence: SequenceState, ids: Sequence[int], length: int) -> SequenceState | None:
    """A fork of the first `length` tokens; None where these are others by now: its answer may have been left."""
    fork = sequence.fork()
    if fork.length < length:
        return None
    fork.truncate(length)
    return fork if fork.tokens().tolist() == list(ids[:length]) else None


def _pages(entries: Iterable[_Kept]) -> int:
    """Pages that they hold; beginnings that are alike are shared."""
    total, before = 0, _Kept([], None, shares=False)  # type: ignore[arg-type]
    for entry in sorted(entries, key=lambda entry: entry.ids):
        alike = common_length(before.ids, entry.ids, len(entry.ids)) if entry.shares and before.shares else 0
        total += -(-len(entry.ids) // PAGE_TOKENS) - alike // PAGE_TOKENS
        before = entry
    return total
