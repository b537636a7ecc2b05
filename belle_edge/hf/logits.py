"""What generation settings do to logits before a token is chosen, in transformers' order, and to reported scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .array_tensors import TensorKind, make_tensor, to_lists
from .generation_config import GenerationConfig
from .word_lists import Bias

Logits = NDArray[np.float32]


@dataclass
class Hooks:
    """Callables of the user, as in transformers: (ids [1, n_tokens], scores [1, n_vocab]) -> scores, or stop?"""

    processors: Sequence[Callable[[Any, Any], Any]] = ()
    criteria: Sequence[Callable[[Any, Any], Any]] = ()
    kind: TensorKind = "pt"


@dataclass(frozen=True)
class Shape:
    """Where an answer stands in the tensors of a call."""

    n_width: int  # tokens of a prompt, with its padding
    n_limit: int  # tokens of prompt and answer at most
    n_free: int  # tokens of prompt and answer before which EOS may not come
    n_copies: int  # answers to one prompt
    n_vocab: int


class LogitsPipeline:
    """The settings that the engine's samplers do not know, with those that act between them.

    Where it is `needed` it also does the sampler's repetition penalty and bans, whose place is in the middle.
    """

    def __init__(self, config: GenerationConfig, hooks: Hooks, shape: Shape) -> None:
        """ValueError for ids outside the vocabulary."""
        self._config, self._hooks, self._shape = config, hooks, shape
        words = [word for word in config.bad_words_ids or [] if word not in [[eos] for eos in config.eos_ids]]
        self._bad_words: Bias = [(word, -np.inf) for word in words]
        self._bias: Bias = config.sequence_bias or []
        self.records = bool(config.return_dict_in_generate and (config.output_scores or config.output_logits))
        self.needed = bool(
            hooks.processors
            or self.records
            or self._bad_words
            or self._bias
            or config.no_repeat_ngram_size
            or config.begin_suppress_tokens
            or config.forced_bos_token_id is not None
            or config.forced_eos_ids
            or config.prefix_allowed_tokens_fn
            or shape.n_free > shape.n_width
        )
        named = {"suppress_tokens": config.suppress_tokens or []}
        named["begin_suppress_tokens"] = config.begin_suppress_tokens or []
        named["bad_words_ids"] = [token_id for word in words for token_id in word]
        named["sequence_bias"] = [token_id for word, _ in self._bias for token_id in word]
        named["forced_eos_token_id"] = config.forced_eos_ids
        named["forced_bos_token_id"] = (
            [] if config.forced_bos_token_id is None else [config.forced_bos_token_id]
        )
        for name, ids in named.items():
            self._check_ids(name, ids)

    def __call__(self, index: int, ids: Sequence[int], n_answer: int, logits: Logits) -> Logits:
        """New logits [n_vocab] for row `index`, whose prompt and answer are `ids`, `n_answer` of them the answer's."""
        config, shape = self._config, self._shape
        scores = _biased(np.array(logits, np.float32), ids, self._bias)
        scores = _penalized(scores, ids, config.repetition_penalty or 1.0)
        scores[list(_ngram_ends(ids, config.no_repeat_ngram_size or 0))] = -np.inf
        scores = _biased(scores, ids, self._bad_words)
        length = shape.n_width + n_answer
        if length < shape.n_free:
            scores[config.eos_ids] = -np.inf
        if config.prefix_allowed_tokens_fn is not None:
            scores = _only(scores, self._allowed(index, ids), scores)
        if config.forced_bos_token_id is not None and length == 1:
            scores = _only(scores, [config.forced_bos_token_id], np.zeros_like(scores))
        if config.forced_eos_ids and length == shape.n_limit - 1:
            scores = _only(scores, config.forced_eos_ids, np.zeros_like(scores))
        scores[config.suppress_tokens or []] = -np.inf
        begin = shape.n_width + (shape.n_width == 1 and config.forced_bos_token_id is not None)
        if length == begin:
            scores[config.begin_suppress_tokens or []] = -np.inf
        return self._by_the_user(ids, scores)

    def reported(self, scores: Logits) -> Logits:
        """As transformers reports scores: with temperature, top-k, top-p and min-p where they act."""
        config = self._config
        if config.do_sample:
            top_k = 50 if config.top_k is None else config.top_k
            scores = scores / np.float32(1.0 if config.temperature is None else config.temperature)
            if 0 < top_k < len(scores):
                scores = np.where(scores < np.partition(scores, -top_k)[-top_k], -np.inf, scores)
            if config.top_p is not None and config.top_p < 1:
                order = np.argsort(scores, kind="stable")
                dropped = np.cumsum(_softmax(scores)[order]) <= 1 - config.top_p
                dropped[-1] = False
                scores = scores.copy()
                scores[order[dropped]] = -np.inf
            if config.min_p:
                probabilities = _softmax(scores)
                scores = np.where(probabilities < config.min_p * probabilities.max(), -np.inf, scores)
        if config.renormalize_logits:
            highest = scores.max()
            scores = scores - (highest + np.log(np.exp(scores - highest).sum()))
        return np.asarray(scores, np.float32)

    def _check_ids(self, name: str, ids: Iterable[int]) -> None:
        for token_id in ids:
            if not 0 <= token_id < self._shape.n_vocab:
                raise ValueError(
                    f"[generate] {name}: id {token_id} is outside the vocabulary of {self._shape.n_vocab} entries"
                )

    def _allowed(self, index: int, ids: Sequence[int]) -> list[int]:
        (row,) = make_tensor([list(ids)], self._hooks.kind)
        allowed = to_lists(self._config.prefix_allowed_tokens_fn(index // self._shape.n_copies, row))
        self._check_ids("prefix_allowed_tokens_fn", allowed)
        if not allowed:
            raise ValueError("[generate] prefix_allowed_tokens_fn returned no token: one has to be allowed")
        return [int(token_id) for token_id in allowed]

    def _by_the_user(self, ids: Sequence[int], scores: Logits) -> Logits:
        for processor in self._hooks.processors:
            rows, before = make_tensor([list(ids)], self._hooks.kind), scores
            made = processor(rows, make_tensor(scores[None].copy(), self._hooks.kind))
            scores = np.asarray(made, dtype=np.float32)[0]
            if _has_wrong(scores) and not _has_wrong(before):  # else the sampler would suspect the weights
                raise ValueError(
                    f"[generate] logits_processor: {type(processor).__name__} returned NaN or +inf: "
                    "a token is ruled out by -inf"
                )
        return scores


def _penalized(scores: Logits, ids: Sequence[int], penalty: float) -> Logits:
    if penalty != 1:
        seen = np.unique(np.asarray(ids, np.int64))
        values = scores[seen]
        scores[seen] = np.where(values < 0, values * np.float32(penalty), values / np.float32(penalty))
    return scores


def _biased(scores: Logits, ids: Sequence[int], bias: Bias) -> Logits:
    """With each word's bias on its last token, where the others came just before."""
    for word, value in bias:
        n_before = len(word) - 1
        if n_before == 0 or list(ids[-n_before:]) == word[:-1]:
            scores[word[-1]] += np.float32(value)
    return scores


def _only(scores: Logits, allowed: Sequence[int], values: Logits) -> Logits:
    kept = np.full_like(scores, -np.inf)
    kept[list(allowed)] = values[list(allowed)]
    return kept


def _softmax(scores: Logits) -> NDArray[np.float32]:
    weights = np.exp(scores - scores.max())
    return np.asarray(weights / weights.sum(), np.float32)


def _has_wrong(scores: Logits) -> bool:
    return bool(np.any(np.isnan(scores) | (scores == np.inf)))


def _ngram_ends(ids: Sequence[int], size: int) -> set[int]:
    """Tokens that would repeat an n-gram of `size` tokens that `ids` holds already."""
    if not 0 < size <= len(ids):
        return set()
    start = list(ids[len(ids) - size + 1 :])
    return {ids[at + size - 1] for at in range(len(ids) - size + 1) if list(ids[at : at + size - 1]) == start}
