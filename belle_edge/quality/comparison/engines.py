"""What a comparison asks of a model: logits at positions, greedy answers; and one that is loaded whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...backends.base import Backend, SequenceState
from .pieces import Piece
from .result import Side

Floats = NDArray[np.float32]


class Engine(Protocol):
    """A model that can be compared."""

    @property
    def side(self) -> Side: ...

    @property
    def n_vocab(self) -> int:
        """Logits of a position."""

    def logits(self, pieces: Sequence[Piece]) -> list[Floats]:
        """Of each piece [n_positions, n_vocab]. Pieces come in order; a passage goes on with its next one."""

    def answers(
        self, prompts: Sequence[Sequence[int]], *, n_tokens: int, end_ids: frozenset[int]
    ) -> list[list[int]]:
        """The most probable continuation of each, token by token, up to `n_tokens` or before the first of `end_ids`."""


class LoadedEngine:
    """A model that a backend has loaded."""

    def __init__(self, backend: Backend, side: Side) -> None:
        self._backend, self._side = backend, side
        self._begun: dict[int, SequenceState] = {}  # passages with positions left

    @property
    def side(self) -> Side:
        return self._side

    @property
    def n_vocab(self) -> int:
        return int(self._backend.config["vocab_size"])

    def logits(self, pieces: Sequence[Piece]) -> list[Floats]:
        sequences = [
            self._begun.pop(piece.index) if piece.index in self._begun else self._backend.new_sequence()
            for piece in pieces
        ]
        self._read_beginnings(pieces, sequences)
        batch = [(sequence, piece.ids) for sequence, piece in zip(sequences, pieces, strict=True)]
        rows = self._backend.forward(batch, logits="all")
        self._begun |= {
            piece.index: sequence
            for piece, sequence in zip(pieces, sequences, strict=True)
            if not piece.is_last
        }
        return rows

    def answers(
        self, prompts: Sequence[Sequence[int]], *, n_tokens: int, end_ids: frozenset[int]
    ) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in prompts]
        sequences = [self._backend.new_sequence() for _ in prompts]
        given: list[Sequence[int]] = list(prompts)
        going = list(range(len(prompts)))
        while going:
            batch = [(sequences[place], given[place]) for place in going]
            rows = self._backend.forward(batch, decode=bool(found[going[0]]))
            going = extended(found, going, rows, n_tokens=n_tokens, end_ids=end_ids)
            for place in going:
                given[place] = found[place][-1:]
        return found

    def _read_beginnings(self, pieces: Sequence[Piece], sequences: Sequence[SequenceState]) -> None:
        """What stands before the pieces' positions."""
        batch = [
            (sequence, piece.passage.ids[sequence.length : piece.begin])
            for piece, sequence in zip(pieces, sequences, strict=True)
            if sequence.length < piece.begin
        ]
        if batch:
            self._backend.forward(batch, logits="none")


def extended(
    found: list[list[int]],
    going: Sequence[int],
    rows: Sequence[Floats],
    *,
    n_tokens: int,
    end_ids: frozenset[int],
) -> list[int]:
    """Put the best token of each of `rows` behind the answers at the places `going`; the places that go on."""
    left = []
    for place, row in zip(going, rows, strict=True):
        token = int(np.nan_to_num(row[-1], nan=-np.inf).argmax())
        if token in end_ids:
            continue
        found[place].append(token)
        if len(found[place]) < n_tokens:
            left.append(place)
    return left
