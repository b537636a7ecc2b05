"""The work of one comparison: layers side by side, next tokens, answers; each model computed once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ...memory import open_file
from ...text.vocabulary import Vocabulary
from .changed_answers import AnswerText, worst_prompt
from .compare_defaults import ANSWERS, LAYERS, LOGITS
from .compare_options import CompareOptions, Progress, Stage
from .layer_errors import Beginning, LayerStates, SideBySide, beginnings
from .meter import Meter
from .opened_models import STREAMED, OpenedModel, float_model, open_loaded, open_streamed
from .passages import Passage
from .pieces import pieces_of
from .result import ALL, Candidate, LayerError
from .streamed_model import StreamedModel
from .verdict import verdict
from .vocabularies import common_rows


@dataclass
class _Measured:
    """A candidate, before the reference's answers are there."""

    opened: OpenedModel
    n_common: int  # tokens that it and the reference have
    meter: Meter
    worst: Sequence[tuple[int, float]] = ()  # (index of the passage, KL)
    answers: Sequence[str] = ()  # to these


class ComparisonRun:
    """One reference and its texts."""

    def __init__(
        self, reference: OpenedModel, passages: Sequence[Passage], options: CompareOptions, progress: Progress
    ) -> None:
        self._reference, self._passages = reference, passages
        self._options, self._progress = options, progress
        self._text = AnswerText(reference.tokenizer, reference.chat_format)
        self.stages: list[Stage] = []

    def candidates(self, reference: str | Path, paths: Sequence[str | Path]) -> list[Candidate]:
        """All of them, in order. Raises as `compare`."""
        common = [self._common_rows(path) for path in paths]
        streamed = [self._streamed(path) for path in paths]
        errors = self._layers(reference, paths, streamed)
        # The states of a float reference are kept, so that loaded candidates need not be in memory together.
        at_once = len(paths) if self._reference.streamed is None else 1
        measured: list[_Measured] = []
        for start in range(0, len(paths), at_once):
            part = slice(start, start + at_once)
            measured += self._measured(paths[part], streamed[part], common[part])
        answers = self._reference_answers(measured)
        return [self._candidate(one, layers, answers) for one, layers in zip(measured, errors, strict=True)]

    def _common_rows(self, path: str | Path) -> int:
        """Tokens that a candidate and the reference have."""
        file = open_file(path)
        other = Vocabulary.from_metadata(file)
        return common_rows(self._reference.tokenizer.vocabulary, other, name=Path(file.path).name)

    def _streamed(self, path: str | Path) -> OpenedModel | None:
        """A candidate as a float model, where that is asked for."""
        if self._options.backend != STREAMED:
            return None
        return open_streamed(path, family=self._options.family, threads=self._options.threads)

    def _layers(
        self, reference: str | Path, paths: Sequence[str | Path], streamed: Sequence[OpenedModel | None]
    ) -> list[tuple[LayerError, ...]]:
        """Errors of each candidate's layers; float models keep what comes out of the last one."""
        chosen = beginnings(self._passages)
        mine = self._states(reference, self._reference, chosen)
        others = [self._states(path, opened, chosen) for path, opened in zip(paths, streamed, strict=True)]
        side_by_side = SideBySide(mine, others)
        n_tokens = max((len(states.hidden.values) for states in side_by_side.models), default=0)
        with self._stage(LAYERS, n_tokens):
            for layer in side_by_side.layers():
                self._progress(LAYERS, layer + 1, side_by_side.n_layers)
        for opened, states in zip((self._reference, *streamed), (mine, *others), strict=True):
            if opened is not None and opened.streamed is not None and states is not None:
                opened.streamed.keep(states.hidden, self._passages)
        return side_by_side.errors()

    def _states(
        self, path: str | Path, opened: OpenedModel | None, chosen: Sequence[Beginning]
    ) -> LayerStates | None:
        """Of a float model on all tokens; of the weights of a GGUF on a few."""
        if opened is not None and opened.streamed is not None:
            return LayerStates.of_all(opened.streamed.model, self._passages, chosen)
        model = float_model(path, threads=self._options.threads)
        return None if model is None else LayerStates.of_beginnings(model, chosen)

    def _measured(
        self, paths: Sequence[str | Path], streamed: Sequence[OpenedModel | None], common: Sequence[int]
    ) -> list[_Measured]:
        """Candidates that are in memory together, with their own answers. common: rows of each that count."""
        with ExitStack() as stack:
            found = []
            for path, opened, n_common in zip(paths, streamed, common, strict=True):
                ready = opened or self._loaded(path)
                stack.callback(ready.close)
                found.append(_Measured(ready, n_common, Meter(self._passages)))
            self._compare_logits(found)
            for one in found:
                one.worst = self._worst(one.meter)
                one.answers = self._answers(one.opened, [index for index, _ in one.worst])
            return found

    def _loaded(self, path: str | Path) -> OpenedModel:
        options = self._options
        return open_loaded(path, options.backend, family=options.family, threads=options.threads or None)

    def _compare_logits(self, candidates: Sequence[_Measured]) -> None:
        """Every position: the reference's logits, and those of each candidate in turn."""
        n_positions = sum(passage.n_positions for passage in self._passages)
        done = 0
        with self._stage(LOGITS, sum(len(passage.ids) for passage in self._passages)):
            for group in pieces_of(self._passages, n_vocab=self._reference.engine.n_vocab):
                expected = self._reference.engine.logits(group)
                for one in candidates:
                    n = one.n_common
                    for piece, mine, its in zip(
                        group, expected, one.opened.engine.logits(group), strict=True
                    ):
                        one.meter.add(piece, mine[:, :n], its[:, :n])
                done += sum(piece.n_positions for piece in group)
                self._progress(LOGITS, done, n_positions)

    def _worst(self, meter: Meter) -> list[tuple[int, float]]:
        """The prompts that are shown; their answers have room behind them."""
        longest = self._reference.context - self._options.answer_tokens
        found = meter.worst_prompts()
        fitting = [pair for pair in found if len(self._passages[pair[0]].prompt_ids) <= longest]
        return fitting[: self._options.worst]

    def _answers(self, opened: OpenedModel, indices: Sequence[int]) -> list[str]:
        """Greedy answers to these passages' prompts."""
        n_tokens = self._options.answer_tokens
        if not n_tokens or not indices:
            return []
        prompts = [self._passages[index].prompt_ids for index in indices]
        end_ids = self._reference.tokenizer.vocabulary.end_ids
        with self._stage(ANSWERS, n_tokens * len(prompts)):
            if opened.streamed is not None:
                opened.streamed.step = self._steps(opened.streamed, prompts)
            found = opened.engine.answers(prompts, n_tokens=n_tokens, end_ids=end_ids)
        return [self._text(ids) for ids in found]

    def _steps(self, model: StreamedModel, prompts: Sequence[Sequence[int]]) -> Callable[[], None]:
        """Counts layers of a float model that writes answers."""
        n_tokens = self._options.answer_tokens
        total = model.model.n_layers * n_tokens * model.n_groups(prompts, n_tokens)
        counted = count(1)
        return lambda: self._progress(ANSWERS, next(counted), total)

    def _reference_answers(self, candidates: Sequence[_Measured]) -> dict[int, str]:
        """Of the reference, to every prompt that is shown; all of them together."""
        indices = sorted({index for one in candidates for index, _ in one.worst})
        return dict(zip(indices, self._answers(self._reference, indices), strict=False))

    def _candidate(
        self, one: _Measured, layers: tuple[LayerError, ...], answers: Mapping[int, str]
    ) -> Candidate:
        languages, first_words = one.meter.languages(), one.meter.first_words()
        worst = [
            worst_prompt(
                self._passages[index], kl, (answers[index], one.answers[place]) if one.answers else None
            )
            for place, (index, kl) in enumerate(one.worst)
        ]
        return Candidate(
            side=one.opened.side,
            languages=languages,
            first_words=first_words,
            layers=layers,
            worst=tuple(worst),
            verdict=verdict(languages[ALL], first_words),
        )

    @contextmanager
    def _stage(self, name: str, n_tokens: int) -> Iterator[None]:
        begin = time.monotonic()
        self._progress(name, 0, 1)
        yield
        self.stages.append(Stage(name, n_tokens, time.monotonic() - begin))
