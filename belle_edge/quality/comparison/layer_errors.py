"""How far the output of each layer is from the reference's, as models go through their layers side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...convert.reference import ReferenceModel
from .engines import Floats
from .passages import Passage
from .result import LayerError
from .streamed_model import HiddenStates

ERROR_TOKENS = 256  # that errors are taken over
_EACH = 64  # of a passage, at most


@dataclass(frozen=True)
class Beginning:
    """The first tokens of a passage."""

    index: int
    ids: list[int]


@dataclass
class LayerStates:
    """A model on its way through its layers."""

    model: ReferenceModel
    hidden: HiddenStates
    places: NDArray[np.intp]  # of the tokens that errors are taken over, among its own

    @classmethod
    def of_all(
        cls, model: ReferenceModel, passages: Sequence[Passage], chosen: Sequence[Beginning]
    ) -> LayerStates:
        """On whole passages."""
        hidden = HiddenStates(model, [passage.ids.tolist() for passage in passages])
        starts = np.cumsum([0, *hidden.lengths])
        places = [np.arange(starts[one.index], starts[one.index] + len(one.ids)) for one in chosen]
        return cls(model, hidden, np.concatenate(places))

    @classmethod
    def of_beginnings(cls, model: ReferenceModel, chosen: Sequence[Beginning]) -> LayerStates:
        """On the tokens that errors are taken over, and no others: what follows a token does not change it."""
        hidden = HiddenStates(model, [one.ids for one in chosen])
        return cls(model, hidden, np.arange(sum(hidden.lengths), dtype=np.intp))

    @property
    def shown(self) -> Floats:
        """The states of those tokens, [n_tokens, width]."""
        return self.hidden.values[self.places]

    def fits(self, other: LayerStates) -> bool:
        """Whether both have the same layers."""
        return (self.model.n_layers, self.model.width) == (other.model.n_layers, other.model.width)


class SideBySide:
    """The reference and candidates, layer by layer."""

    def __init__(self, reference: LayerStates | None, candidates: Sequence[LayerStates | None]) -> None:
        """None: a model whose layers cannot be computed."""
        self._reference, self._candidates = reference, candidates
        self.models = [states for states in (reference, *candidates) if states is not None]
        self.n_layers = max((states.model.n_layers for states in self.models), default=0)
        self._errors: list[list[LayerError]] = [[] for _ in candidates]

    def layers(self) -> Iterator[int]:
        """Advance all by a layer, and give its number."""
        for layer in range(self.n_layers):
            for states in self.models:
                if layer < states.model.n_layers:
                    states.hidden.advance(layer)
            self._compare(layer)
            yield layer

    def _compare(self, layer: int) -> None:
        """What has come out of a layer."""
        expected = self._reference
        for states, errors in zip(self._candidates, self._errors, strict=True):
            if expected is not None and states is not None and states.fits(expected):
                errors.append(LayerError(layer, relative_error(states.shown, expected.shown)))

    def errors(self) -> list[tuple[LayerError, ...]]:
        """Of each candidate; of one with other layers none."""
        return [tuple(errors) for errors in self._errors]


def beginnings(passages: Sequence[Passage]) -> list[Beginning]:
    """The first tokens of some passages, one of each language in turn."""
    by_language: dict[str, list[int]] = {}
    for index, passage in enumerate(passages):
        by_language.setdefault(passage.language, []).append(index)
    longest = max(map(len, by_language.values()))
    in_turn = [
        group[place] for place in range(longest) for group in by_language.values() if place < len(group)
    ]
    found: list[Beginning] = []
    left = ERROR_TOKENS
    for index in in_turn:
        if left <= 0:
            break
        found.append(Beginning(index, passages[index].ids[: min(_EACH, left)].tolist()))
        left -= len(found[-1].ids)
    return found


def relative_error(found: Floats, expected: Floats) -> float:
    """Mean over tokens of |found - expected| / |expected|, of states [n_tokens, width]; infinite with a NaN in it."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.linalg.norm(found.astype(np.float64) - expected, axis=1)
        size = np.linalg.norm(expected.astype(np.float64), axis=1)
        error = float(np.mean(difference / np.maximum(size, np.finfo(np.float32).tiny)))
    return error if np.isfinite(error) else float("inf")
