"""The token loop of `generate`: several rows in step, each with its own sequence and sampler."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends.base import Backend, SamplerState, SequenceState
from .generation_config import GenerationConfig
from .tensors import TensorKind, make_tensor

_STOP_WINDOW = 32  # tokens: a stop string is looked for in the text of the last ones


@dataclass
class Row:
    """One answer in the making."""

    sequence: SequenceState
    sampler: SamplerState
    ids: list[int]  # prompt without padding, and answer
    n_prompt: int
    n_fed: int  # of `ids`, how many the sequence holds
    done: bool = False


@dataclass
class Hooks:
    """Callables of the user, as in transformers: (ids [1, n_tokens], scores [1, n_vocab]) -> scores, or stop?"""

    processors: Sequence[Callable[[Any, Any], Any]] = ()
    criteria: Sequence[Callable[[Any, Any], Any]] = ()
    kind: TensorKind = "pt"


def start_rows(backend: Backend, prompts: Sequence[Sequence[int]], config: GenerationConfig) -> list[Row]:
    """num_return_sequences rows for each prompt; they share the KV of the prompt but its last token."""
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
            sampler = backend.new_sampler(config.sampling_params((seed + len(rows)) % 2**63))
            sampler.accept(list(prompt))
            sequence = shared.fork() if n_copies > 1 else shared
            rows.append(Row(sequence, sampler, list(prompt), len(prompt), n_shared))
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
    *,
    n_steps: int,
    n_steps_without_end: int,
    text_of: Callable[[Sequence[int]], str],
) -> Iterator[list[int | None]]:
    """After each step: the token each row got, None for rows that had ended. At most `n_steps` steps.

    n_steps_without_end: steps at the start in which no EOS may be chosen. text_of: text of ids, to find stop
    strings.
    """
    eos_ids = config.eos_ids
    stops = [config.stop_strings] if isinstance(config.stop_strings, str) else config.stop_strings or []
    plain = not (hooks.processors or config.no_repeat_ngram_size)
    for step in range(n_steps):
        active = [row for row in rows if not row.done]
        may_end = step >= n_steps_without_end
        if plain and may_end:
            batch = [(row.sequence, row.ids[row.n_fed :], row.sampler) for row in active]
            chosen = backend.forward_sample(batch, decode=step > 0)
        else:
            pairs = [(row.sequence, row.ids[row.n_fed :]) for row in active]
            logits = backend.forward(pairs, decode=step > 0)
            banned = [] if may_end else eos_ids
            chosen = [
                row.sampler.sample(_processed(row, scores[0], banned, config, hooks))
                for row, scores in zip(active, logits, strict=True)
            ]
        for row, token_id in zip(active, chosen, strict=True):
            row.n_fed = len(row.ids)
            row.ids.append(token_id)
            tail = text_of(row.ids[max(row.n_prompt, len(row.ids) - _STOP_WINDOW) :]) if stops else ""
            row.done = token_id in eos_ids or any(stop in tail for stop in stops) or _criteria_met(row, hooks)
        by_row = dict(zip(map(id, active), chosen, strict=True))
        yield [by_row.get(id(row)) for row in rows]
        if all(row.done for row in rows):
            return


def _processed(
    row: Row, scores: NDArray[np.float32], banned: Sequence[int], config: GenerationConfig, hooks: Hooks
) -> NDArray[np.float32]:
    """Logits [n_vocab] after the settings that the samplers do not know, and the user's own processors."""
    scores = np.array(scores, dtype=np.float32)
    for token_id in [*banned, *_ngram_ends(row.ids, config.no_repeat_ngram_size or 0)]:
        scores[token_id] = -np.inf
    for processor in hooks.processors:
        ids, before = make_tensor([row.ids], hooks.kind), scores
        scores = np.asarray(processor(ids, make_tensor(scores[None], hooks.kind)), dtype=np.float32)[0]
        if _has_wrong(scores) and not _has_wrong(before):  # else the sampler would suspect the weights
            raise ValueError(
                f"[generate] logits_processor: {type(processor).__name__} returned NaN or +inf: "
                "a token is ruled out by -inf"
            )
    return scores


def _has_wrong(scores: NDArray[np.float32]) -> bool:
    return bool(np.any(np.isnan(scores) | (scores == np.inf)))


def _ngram_ends(ids: Sequence[int], size: int) -> set[int]:
    """Tokens that would repeat an n-gram of `size` tokens that `ids` holds already."""
    if not 0 < size <= len(ids):
        return set()
    start = list(ids[len(ids) - size + 1 :])
    return {ids[at + size - 1] for at in range(len(ids) - size + 1) if list(ids[at : at + size - 1]) == start}


def _criteria_met(row: Row, hooks: Hooks) -> bool:
    ids = make_tensor([row.ids], hooks.kind) if hooks.criteria else None
    return any(bool(np.any(np.asarray(criterion(ids, None)))) for criterion in hooks.criteria)
