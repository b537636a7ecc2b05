"""A float model that is read layer by layer: hidden states of texts, logits from them, greedy answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ...convert.moments.calibration_source import CalibrationSource
from ...convert.reference import PastTokens, ReferenceModel
from .engines import Floats, extended
from .passages import Passage
from .pieces import Piece
from .result import Side

_KEY_BYTES = 1 << 30  # keys and values of the answers that are written together


class HiddenStates:
    """Texts on their way through the layers of one model."""

    def __init__(self, model: ReferenceModel, texts: Sequence[Sequence[int]]) -> None:
        """texts: token ids of each."""
        self._model = model
        self.lengths = [len(text) for text in texts]
        self.values = model.embed([token for text in texts for token in text])  # [n_tokens, width]

    def advance(self, layer: int) -> None:
        """Through one layer."""
        self.values = self._model.run(layer, self.values, self.lengths)


class StreamedModel:
    """An engine that never has more than some rows of its weights in memory."""

    def __init__(self, source: CalibrationSource, side: Side, *, threads: int = 0) -> None:
        """Raises ConversionError for what is not computed here."""
        self.model = ReferenceModel(source.tensors, source.metadata, threads=threads)
        self._side = side
        self._states: Floats | None = None  # [positions of all passages, width], the input of the last matrix
        self.step: Callable[[], None] = lambda: None  # called after each layer of an answer

    @property
    def side(self) -> Side:
        return self._side

    @property
    def n_vocab(self) -> int:
        return self.model.n_vocab

    def keep(self, hidden: HiddenStates, passages: Sequence[Passage]) -> None:
        """Take the states behind the last layer, of these passages, to make logits from."""
        ends = np.cumsum(hidden.lengths)
        places = [
            np.arange(end - length + passage.begin, end - length + passage.end)
            for end, length, passage in zip(ends, hidden.lengths, passages, strict=True)
        ]
        self._states = self.model.head_input(hidden.values[np.concatenate(places)])

    def logits(self, pieces: Sequence[Piece]) -> list[Floats]:
        if self._states is None:
            raise ValueError("[streamed model] no states: expected keep() before logits()")
        first, last = pieces[0], pieces[-1]
        rows = self.model.logits(self._states[first.place : last.place + last.n_positions])
        ends = np.cumsum([piece.n_positions for piece in pieces])[:-1]
        return np.split(rows, ends)

    def answers(
        self, prompts: Sequence[Sequence[int]], *, n_tokens: int, end_ids: frozenset[int]
    ) -> list[list[int]]:
        found: list[list[int]] = []
        for group in self._groups(prompts, n_tokens):
            found += self._answers_together(group, n_tokens=n_tokens, end_ids=end_ids)
        return found

    def n_groups(self, prompts: Sequence[Sequence[int]], n_tokens: int) -> int:
        """How often `answers` reads the model for each token, at most."""
        return sum(1 for _ in self._groups(prompts, n_tokens))

    def _groups(self, prompts: Sequence[Sequence[int]], n_tokens: int) -> Iterator[list[Sequence[int]]]:
        """Prompts whose keys and values fit together."""
        shape = self.model.shape
        most = _KEY_BYTES // (8 * shape.n_layers * shape.kv_width)  # tokens
        group: list[Sequence[int]] = []
        for prompt in prompts:
            if group and sum(map(len, group)) + len(prompt) + (len(group) + 1) * n_tokens > most:
                yield group
                group = []
            group.append(prompt)
        if group:
            yield group

    def _answers_together(
        self, prompts: Sequence[Sequence[int]], *, n_tokens: int, end_ids: frozenset[int]
    ) -> list[list[int]]:
        """A pass over all layers for each token, all texts in it."""
        found: list[list[int]] = [[] for _ in prompts]
        past = PastTokens(len(prompts))
        given: list[Sequence[int]] = list(prompts)
        going = list(range(len(prompts)))
        while going:
            last = self._last_states(given, past)
            rows = self.model.logits(self.model.head_input(last[going]))
            going = extended(found, going, list(rows[:, np.newaxis]), n_tokens=n_tokens, end_ids=end_ids)
            for place in range(len(prompts)):  # one that has ended brings nothing more
                given[place] = found[place][-1:] if place in going else []
        return found

    def _last_states(self, given: Sequence[Sequence[int]], past: PastTokens) -> Floats:
        """[texts, width] behind the last layer, of the last token of each; of a text without new ones, zeros."""
        lengths = [len(ids) for ids in given]
        hidden = self.model.embed([token for ids in given for token in ids])
        for layer in range(self.model.n_layers):
            hidden = self.model.run(layer, hidden, lengths, past=past)
            self.step()
        past.advance(lengths)
        last = np.zeros((len(given), self.model.width), np.float32)
        new = np.array(lengths) > 0
        last[new] = hidden[np.cumsum(lengths)[new] - 1]
        return last
