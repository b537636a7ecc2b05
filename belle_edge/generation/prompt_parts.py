"""What one pass computes of prompts; it may rest between two layers, while other passes run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .request_state import Request


class Piece(NamedTuple):
    """The next tokens of a request's prompt."""

    request: Request
    ids: list[int]
    decode: bool  # an earlier answer wrote them token by token
    position: int  # of the first one

    @property
    def is_wanted(self) -> bool:
        """Whether its request still waits for these tokens: a thread may be interrupted right after a pass."""
        request = self.request
        return not (request.left or request.ended) and request.answer.n_computed == self.position


class Part:
    """Pieces of several prompts for one pass: all in one phase, all or none of them the ends of their prompts."""

    __slots__ = ("ends", "is_due", "pieces", "rest", "seconds")

    def __init__(self, pieces: Sequence[Piece], *, ends: bool) -> None:
        self.pieces = pieces
        self.ends = ends
        self.rest: Any = None  # of the backend: how far the pass came; None: it does not rest
        self.is_due: Callable[[], bool] | None = None  # whether to rest
        self.seconds = 0.0  # that it took so far

    @property
    def requests(self) -> list[Request]:
        """Whose prompts these are, in the order of the pieces."""
        return [piece.request for piece in self.pieces]

    def of(self, request: Request) -> Part:
        """The piece of one of its requests alone; it does not rest."""
        return Part([piece for piece in self.pieces if piece.request is request], ends=self.ends)

    @property
    def n_rows(self) -> int:
        """Tokens of the pass."""
        return sum([len(piece.ids) for piece in self.pieces])

    @property
    def is_whole(self) -> bool:
        """Whether all of its requests still want it."""
        return all(piece.is_wanted for piece in self.pieces)
