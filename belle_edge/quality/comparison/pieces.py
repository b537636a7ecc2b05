"""Positions of passages in pieces that are computed together: their logits and keys have a bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .passages import Passage

LOGIT_BYTES = 192 << 20  # of one model's logits at a time
_TOKENS = 1024  # whose keys and values are kept at a time: half a GB for 7 billion weights


@dataclass(frozen=True)
class Piece:
    """Positions [begin, end) of a passage."""

    index: int  # of the passage
    passage: Passage
    begin: int
    end: int
    place: int  # of `begin` among the positions of all passages

    @property
    def ids(self) -> NDArray[np.int32]:
        return self.passage.ids[self.begin : self.end]

    @property
    def n_positions(self) -> int:
        return self.end - self.begin

    @property
    def is_last(self) -> bool:
        return self.end == self.passage.end

    @property
    def targets(self) -> NDArray[np.int32]:
        """The ids that follow; there may be one fewer than positions."""
        return self.passage.ids[self.begin + 1 : self.end + 1]


def pieces_of(passages: Sequence[Passage], *, n_vocab: int) -> Iterator[list[Piece]]:
    """All positions in order, in groups of pieces whose logits are computed together."""
    most = max(1, LOGIT_BYTES // (4 * n_vocab))
    group: list[Piece] = []
    n_positions = n_tokens = place = 0
    for index, passage in enumerate(passages):
        begin = passage.begin
        while begin < passage.end:
            if group and (n_positions == most or n_tokens + len(passage.ids) > _TOKENS):
                yield group
                group, n_positions, n_tokens = [], 0, 0
            end = min(passage.end, begin + most - n_positions)
            group.append(Piece(index, passage, begin, end, place))
            n_positions += end - begin
            n_tokens += len(passage.ids)
            place += end - begin
            begin = end
    if group:
        yield group
