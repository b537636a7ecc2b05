"""The token loop of `generate`: several rows in step, each with its own sequence and sampler."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..backends.base import Backend, SamplerState, SequenceState
from ..text.tokenizer import StreamDecoder, Tokenizer
from .array_tensors import make_tensor
from .generation_config import GenerationConfig
from .logits import Hooks, Logits, LogitsPipeline


class StopFinder:
    """Looks for stop strings of any length in a growing text; one that begins in the prompt counts as well."""

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str], prompt: Sequence[int]) -> None:
        self._stops = stops
        self._decoder = StreamDecoder(tokenizer, skip_special=False, at_start=False)
        self._n_kept = max((len(stop) for stop in stops), default=1) - 1
        self._tail = ""  # the last characters before the newest token
        n_bytes = max((len(stop.encode()) for stop in stops), default=0)
        for token_id in (
            prompt[max(0, len(prompt) - n_bytes - 4) :] if stops else ()
        ):  # a token has a byte at least
            self.push(token_id)

    def push(self, token_id: int) -> bool:
        """Whether a stop string ends in what this token adds."""
        if not self._stops:
            return False
        n_old, text = len(self._tail), self._tail + self._decoder.push(token_id)
        found = any(text.find(stop, max(0, n_old - len(stop) + 1)) >= 0 for stop in self._stops)
        self._tail = text[max(0, len(text) - self._n_kept) :]
        return found


@dataclass
class Row:
    """One answer in the making."""

    sequence: SequenceState
    sampler: SamplerState
    ids: list[int]  # prompt without padding, and answer
    n_prompt: int
    n_fed: int  # of `ids`, how many the sequence holds
    stop: StopFinder
    done: bool = False


@dataclass
class Record:
    """What was asked to be kept of each step: float32 [n_rows, n_vocab], zeros for a row that had ended."""

    scores: list[Logits] = field(default_factory=list)
    logits: list[Logits] = field(default_factory=list)

    def add(
        self, n_rows: int, places: Sequence[int], raw: Sequence[Logits], scores: Sequence[Logits]
    ) -> None:
        for kept, values in ((self.logits, raw), (self.scores, scores)):
            step = np.zeros((n_rows, len(raw[0])), np.float32)
            step[list(places)] = values
            kept.append(step)


def start_rows(
    backend: Backend,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    config: GenerationConfig,
    *,
    plain: bool,
) -> list[Row]:
    """num_return_sequences rows for each prompt; they share the KV of the prompt but its last token.

    plain: the samplers do all that is done to logits.
    """
    n_copies = config.num_return_sequences or 1
    if n_copies > 1 and not config.do_sample:
        raise ValueError(
            "[generate] num_return_sequences: greedy answers are all the same; set do_sample=True"
        )
    seed = choose_seed(config)
    rows: list[Row] = []
    for prompt in prompts:
        shared = backend.new_sequence()
        n_shared = len(prompt) - 1 if n_copies > 1 else 0
        if n_shared:
            backend.forward([(shared, list(prompt[:n_shared]))], logits="none")
        for _ in range(n_copies):
            sampler = backend.new_sampler(config.params_of_call((seed + len(rows)) % 2**63, plain=plain))
            sampler.accept(list(prompt))
            sequence = shared.fork() if n_copies > 1 else shared
            stop = StopFinder(tokenizer, config.stops, prompt)
            rows.append(Row(sequence, sampler, list(prompt), len(prompt), n_shared, stop))
    return rows


def choose_seed(config: GenerationConfig) -> int:
    """The seed of a call: given, drawn from a given generator, or from the global state that `set_seed` sets."""
    if config.seed is not None:
        return int(config.seed)
    generator = config.generator
    if hasattr(generator, "integers"):  # NumPy's
        return int(generator.integers(0, 2**63))
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.randint(0, 2**63 - 1, (1,), generator=generator))
    return int(np.random.randint(0, 2**63 - 1, dtype=np.int64))


def decode_steps(
    backend: Backend,
    rows: Sequence[Row],
    config: GenerationConfig,
    hooks: Hooks,
    pipeline: LogitsPipeline,
    *,
    n_steps: int,
    record: Record,
) -> Iterator[list[int | None]]:
    """After each step: the token each row got, None for rows that had ended. At most `n_steps` steps."""
    begin = time.monotonic()
    for step in range(n_steps):
        places = [index for index, row in enumerate(rows) if not row.done]
        active = [rows[index] for index in places]
        if not pipeline.needed:
            batch = [(row.sequence, row.ids[row.n_fed :], row.sampler) for row in active]
            chosen = backend.forward_sample(batch, decode=step > 0)
        else:
            pairs = [(row.sequence, row.ids[row.n_fed :]) for row in active]
            raw = [logits[0] for logits in backend.forward(pairs, decode=step > 0)]
            scores = [
                pipeline(index, rows[index].ids, step, logits)
                for index, logits in zip(places, raw, strict=True)
            ]
            chosen = [row.sampler.sample(values) for row, values in zip(active, scores, strict=True)]
            if pipeline.records:
                record.add(len(rows), places, raw, [pipeline.reported(values) for values in scores])
        for row, token_id in zip(active, chosen, strict=True):
            row.n_fed = len(row.ids)
            row.ids.append(token_id)
            stopped = row.stop.push(token_id)
            row.done = token_id in config.eos_ids or stopped or _criteria_met(row, hooks)
        by_row = dict(zip(places, chosen, strict=True))
        yield [by_row.get(index) for index in range(len(rows))]
        late = config.max_time is not None and time.monotonic() - begin > config.max_time
        if late or all(row.done for row in rows):
            return


def _criteria_met(row: Row, hooks: Hooks) -> bool:
    ids = make_tensor([row.ids], hooks.kind) if hooks.criteria else None
    return any(bool(np.any(np.asarray(criterion(ids, None)))) for criterion in hooks.criteria)
