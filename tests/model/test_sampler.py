"""The C++ sampler against NumPy's statement of Hugging Face's semantics, and against transformers itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge._core import Sampler
from belle_edge.errors import ModelFormatError

Logits = NDArray[np.float32]
Probabilities = NDArray[np.float64]

N_DRAWS = 20_000
VOCAB_SIZE = 40


def random_logits(seed: int, n: int = VOCAB_SIZE) -> Logits:
    return np.random.default_rng(seed).normal(scale=2.0, size=n).astype(np.float32)


def softmax(scores: NDArray[np.float64]) -> Probabilities:
    weights = np.exp(scores - scores.max())
    return np.asarray(weights / weights.sum())


def reference(
    logits: Logits,
    *,
    history: list[int] | None = None,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    presence_penalty: float = 0.0,
    frequency_penalty: float = 0.0,
    logit_bias: dict[int, float] | None = None,
    banned: tuple[int, ...] = (),
) -> Probabilities:
    """The distribution that one draw follows, each filter written as its definition."""
    scores = logits.astype(np.float64)
    for token in set(history or []):
        count = (history or []).count(token)
        scores[token] *= repetition_penalty if scores[token] < 0 else 1 / repetition_penalty
        scores[token] -= presence_penalty + frequency_penalty * count
    for token, bias in (logit_bias or {}).items():
        scores[token] += bias
    scores[list(banned)] = -np.inf
    scores /= temperature
    if top_k:
        scores[scores < np.sort(scores)[-min(top_k, scores.size)]] = -np.inf
    if top_p < 1:
        order = np.argsort(-scores, kind="stable")
        before = np.concatenate([[0.0], np.cumsum(softmax(scores)[order])[:-1]])
        scores[order[before >= top_p]] = -np.inf
    if min_p:
        probabilities = softmax(scores)
        scores[probabilities < min_p * probabilities.max()] = -np.inf
    return softmax(scores)


def drawn(logits: Logits, options: dict[str, Any], history: list[int], n_draws: int) -> NDArray[np.int64]:
    """How often each token is the first choice of samplers with that history, one seed each."""
    counts = np.zeros(logits.size, dtype=np.int64)
    for seed in range(n_draws):
        sampler = Sampler(seed=seed, **options)
        sampler.accept(history)
        counts[sampler.sample(logits)] += 1
    return counts


def assert_follows(counts: NDArray[np.int64], expected: Probabilities) -> None:
    """Nothing outside the support, and Pearson's chi-square below what chance gives once in a million."""
    assert not counts[expected == 0].any(), (
        f"drawn although impossible: {np.flatnonzero(counts * (expected == 0))}"
    )
    frequent = expected * counts.sum() >= 5
    observed = np.append(counts[frequent], counts[~frequent].sum())
    wanted = np.append(expected[frequent], expected[~frequent].sum()) * counts.sum()
    possible = wanted > 0
    statistic = float(((observed - wanted)[possible] ** 2 / wanted[possible]).sum())
    freedom = max(1, int(possible.sum()) - 1)
    assert statistic < freedom + 5 * np.sqrt(2 * freedom) + 10, f"chi-square {statistic:.1f} for {freedom}"


# ---- greedy


def test_temperature_0_is_the_argmax() -> None:
    for seed in range(20):
        logits = random_logits(seed, 1000)
        assert Sampler(temperature=0.0, seed=seed).sample(logits) == int(logits.argmax())


def test_temperature_0_takes_the_lowest_id_of_a_tie() -> None:
    logits = np.zeros(100, dtype=np.float32)
    logits[[17, 50, 99]] = 3.0
    assert Sampler(temperature=0.0).sample(logits) == 17
    assert Sampler(temperature=0.0, banned=[17]).sample(logits) == 50
    assert Sampler(temperature=0.0).sample(np.full(100, -5.0, np.float32)) == 0


def test_temperature_0_ignores_the_filters_but_not_the_penalties() -> None:
    logits = np.array([1.0, 3.0, 2.9], dtype=np.float32)
    assert Sampler(temperature=0.0, top_k=1, top_p=0.1, min_p=0.9).sample(logits) == 1
    sampler = Sampler(temperature=0.0, presence_penalty=0.5)
    assert [sampler.sample(logits) for _ in range(3)] == [1, 2, 1]
    assert Sampler(temperature=0.0, logit_bias={0: 5.0}).sample(logits) == 0


# ---- penalties, one at a time and exactly, through the argmax


@pytest.mark.parametrize("penalty", [0.5, 1.1, 2.0])
def test_repetition_penalty_divides_positive_and_multiplies_negative_logits(penalty: float) -> None:
    for value in (-2.0, -0.5, 0.0, 0.5, 2.0):
        penalized = value * penalty if value < 0 else value / penalty
        for offset, expected in ((-0.01, 0), (0.01, 1)):
            logits = np.array([value, penalized + offset, -99.0], dtype=np.float32)
            sampler = Sampler(temperature=0.0, repetition_penalty=penalty)
            sampler.accept([0, 0, 0])  # once or thrice is the same
            assert sampler.sample(logits) == expected


def test_presence_counts_once_and_frequency_counts_each() -> None:
    cases: list[tuple[dict[str, Any], float]] = [
        ({"presence_penalty": 0.7}, 0.7),
        ({"frequency_penalty": 0.7}, 2.1),
        ({"presence_penalty": -0.7}, -0.7),
        ({"presence_penalty": 0.5, "frequency_penalty": 0.25}, 1.25),
    ]
    for options, lowered_by in cases:
        for offset, expected in ((-0.01, 0), (0.01, 1)):
            logits = np.array([1.0, 1.0 - lowered_by + offset, -99.0], dtype=np.float32)
            sampler = Sampler(temperature=0.0, **options)
            sampler.accept([0, 0, 0])
            assert sampler.sample(logits) == expected


def test_choices_enter_the_history() -> None:
    sampler = Sampler(temperature=0.0, frequency_penalty=1.0)
    logits = np.array([2.5, 1.2, 0.0], dtype=np.float32)
    assert [sampler.sample(logits) for _ in range(5)] == [0, 0, 1, 0, 1]


def test_ids_outside_the_logits_are_left_alone() -> None:
    sampler = Sampler(temperature=0.0, banned=[100], logit_bias={200: 9.0}, repetition_penalty=1.5)
    sampler.accept([300])
    assert sampler.sample(np.array([1.0, 2.0], dtype=np.float32)) == 1


# ---- distributions

CASES: list[dict[str, Any]] = [
    {},
    {"temperature": 0.5},
    {"temperature": 3.0},
    {"top_k": 1},
    {"top_k": 5},
    {"top_k": 1000},
    {"top_p": 0.5},
    {"top_p": 0.9},
    {"top_p": 1e-6},
    {"min_p": 0.2},
    {"min_p": 1.0},
    {"top_k": 10, "top_p": 0.8},
    {"top_p": 0.9, "min_p": 0.1},
    {"temperature": 0.7, "top_k": 20, "top_p": 0.85, "min_p": 0.05},
    {"temperature": 2.0, "top_p": 0.7},
    {"banned": (0, 5, 7)},
    {"logit_bias": {3: 4.0, 4: -4.0}, "top_k": 8},
    {"logit_bias": {3: -np.inf}},
]


@pytest.mark.parametrize("case", range(len(CASES)), ids=[str(case) for case in CASES])
def test_draws_follow_the_reference(case: int) -> None:
    options, logits = CASES[case], random_logits(case)
    sampler = Sampler(seed=case, **options)
    counts = np.bincount([sampler.sample(logits) for _ in range(N_DRAWS)], minlength=logits.size)
    assert_follows(counts, reference(logits, **options))


@pytest.mark.parametrize(
    "options",
    [
        {"repetition_penalty": 1.5},
        {"repetition_penalty": 0.7, "top_k": 10},
        {"repetition_penalty": 1.2, "presence_penalty": 0.5, "frequency_penalty": 0.3, "top_p": 0.9},
        {
            "repetition_penalty": 1.3,
            "logit_bias": {2: 2.0},
            "banned": (9,),
            "temperature": 0.8,
            "min_p": 0.05,
        },
    ],
    ids=str,
)
def test_draws_with_a_history_follow_the_reference(options: dict[str, Any]) -> None:
    logits = random_logits(50)
    history = [2, 2, 2, int(logits.argmax()), int(logits.argmin()), 11, 11]
    counts = drawn(logits, options, history, N_DRAWS)
    assert_follows(counts, reference(logits, history=history, **options))


def test_top_k_keeps_ties_with_the_last_one() -> None:
    logits = np.array([1.0, 3.0, 2.0, 2.0, 2.0, 0.0], dtype=np.float32)
    sampler = Sampler(top_k=2, seed=1)
    assert {sampler.sample(logits) for _ in range(500)} == {1, 2, 3, 4}


def test_top_p_takes_the_lowest_ids_of_a_tie() -> None:
    sampler = Sampler(top_p=0.5, seed=1)
    assert {sampler.sample(np.zeros(10, np.float32)) for _ in range(500)} == {0, 1, 2, 3, 4}


@pytest.mark.slow
def test_filters_work_over_a_large_vocabulary() -> None:
    """More candidates than are sorted at once."""
    logits = np.random.default_rng(5).normal(scale=0.3, size=2000).astype(np.float32)
    cases: list[dict[str, Any]] = [{"top_p": 0.6}, {"top_k": 900}, {"top_k": 900, "top_p": 0.5, "min_p": 0.3}]
    for options in cases:
        support = np.flatnonzero(reference(logits, **options))
        sampler = Sampler(seed=6, **options)
        chosen = {sampler.sample(logits) for _ in range(3000)}
        assert chosen <= set(support.tolist())
        assert len(chosen) > 0.75 * len(support)  # uniform draws would reach 93 % or more


# ---- transformers


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7},
        {"top_k": 7},
        {"top_p": 0.8},
        {"min_p": 0.1},
        {"repetition_penalty": 1.4},
        {"repetition_penalty": 1.1, "temperature": 0.6, "top_k": 30, "top_p": 0.85, "min_p": 0.02},
        {"temperature": 1.5, "top_k": 12, "top_p": 0.95},
    ],
    ids=str,
)
def test_candidates_and_probabilities_equal_those_of_transformers(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    classes = {
        "repetition_penalty": transformers.RepetitionPenaltyLogitsProcessor,
        "temperature": transformers.TemperatureLogitsWarper,
        "top_k": transformers.TopKLogitsWarper,
        "top_p": transformers.TopPLogitsWarper,
        "min_p": transformers.MinPLogitsWarper,
    }
    logits = random_logits(60)
    history = [1, 1, 5, int(logits.argmax()), int(logits.argmin())]
    scores = torch.from_numpy(logits.copy())[None]
    for name, processor in classes.items():  # in the order of transformers' generate()
        if name in options:
            scores = processor(options[name])(torch.tensor([history]), scores)
    expected = scores.double().softmax(-1)[0].numpy()
    np.testing.assert_allclose(reference(logits, history=history, **options), expected, atol=1e-6)
    counts = drawn(logits, options, history, N_DRAWS)
    assert_follows(counts, expected)
    assert set(np.flatnonzero(expected > 1e-3)) <= set(np.flatnonzero(counts))


# ---- seeds and copies


def test_the_same_seed_gives_the_same_choices() -> None:
    logits = random_logits(70, 500)
    one, two, other = Sampler(seed=1), Sampler(seed=1), Sampler(seed=2)
    choices = [[sampler.sample(logits) for _ in range(50)] for sampler in (one, two, other)]
    assert choices[0] == choices[1] != choices[2]
    largest = Sampler(seed=2**64 - 1)
    assert 0 <= largest.sample(logits) < 500


def test_a_copy_goes_on_alike_and_apart() -> None:
    logits = random_logits(71, 500)
    sampler = Sampler(seed=3, repetition_penalty=1.3)
    sampler.accept([int(logits.argmax())])
    for _ in range(5):
        sampler.sample(logits)
    copy = sampler.copy()
    ahead = [copy.sample(logits) for _ in range(20)]
    copy.accept([1, 2, 3])
    assert [sampler.sample(logits) for _ in range(20)] == ahead


# ---- refusals


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_nothing_left_to_choose_is_an_error(temperature: float) -> None:
    with pytest.raises(ValueError, match="banned"):
        Sampler(temperature=temperature, banned=range(10)).sample(random_logits(80, 10))
    with pytest.raises(ModelFormatError, match="weights are damaged"):
        Sampler(temperature=temperature).sample(np.full(10, np.nan, np.float32))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_infinite_logit_is_an_error(temperature: float) -> None:
    logits = np.array([1.0, np.inf, 2.0], dtype=np.float32)
    with pytest.raises(ModelFormatError, match="damaged"):
        Sampler(temperature=temperature).sample(logits)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_impossible_tokens_are_never_chosen(temperature: float) -> None:
    logits = np.array([-np.inf, 1.0, -np.inf, 2.0], dtype=np.float32)
    sampler = Sampler(temperature=temperature, seed=4)
    assert {sampler.sample(logits) for _ in range(200)} <= {1, 3}


INVALID = [
    {"temperature": -0.1},
    {"temperature": float("nan")},
    {"temperature": float("inf")},
    {"top_k": -1},
    {"top_p": 0.0},
    {"top_p": 1.01},
    {"top_p": float("nan")},
    {"min_p": -0.01},
    {"min_p": 1.5},
    {"min_p": float("nan")},
    {"repetition_penalty": 0.0},
    {"repetition_penalty": -1.0},
    {"repetition_penalty": float("inf")},
    {"presence_penalty": float("nan")},
    {"frequency_penalty": float("inf")},
    {"logit_bias": {1: float("nan")}},
]


@pytest.mark.parametrize("options", INVALID, ids=str)
def test_invalid_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Sampler(**options)


@pytest.mark.parametrize("shape", [(0,), (1, 5), ()])
def test_logits_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="n_vocab"):
        Sampler().sample(np.zeros(shape, np.float32))


@pytest.mark.parametrize("ids", [[-1], [2**40], [1.5], [[1]]], ids=str)
def test_history_of_bad_ids(ids: list[Any]) -> None:
    with pytest.raises(ValueError, match="token id"):
        Sampler().accept(ids)


def words_of(allowed: list[int], n_vocab: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    bits = np.zeros((n_vocab + 31) // 32 * 32, np.uint8)
    bits[allowed] = 1
    return np.packbits(bits, bitorder="little").view(np.uint32)


@pytest.mark.parametrize("n_vocab", [1, 31, 32, 33, 100, 1000])
@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {}, {"top_k": 3}, {"top_p": 0.1}, {"min_p": 1.0}])
def test_what_is_not_allowed_is_never_chosen(n_vocab: int, settings: dict[str, Any]) -> None:
    """Whatever the filters would have kept; and once only."""
    rng = np.random.default_rng(n_vocab)
    logits = rng.normal(size=n_vocab).astype(np.float32)
    sampler = Sampler(**settings)
    for allowed in ([n_vocab - 1], [0], sorted({0, n_vocab // 2, n_vocab - 1})):
        sampler.allow(words_of(allowed, n_vocab))
        chosen = sampler.sample(logits)
        assert chosen in allowed
        if settings.get("temperature") == 0.0:
            assert chosen == max(allowed, key=lambda token_id: logits[token_id])
    free = Sampler(temperature=0.0)
    free.allow(words_of([0], n_vocab))
    assert free.sample(logits) == 0
    assert free.sample(logits) == int(logits.argmax())


def test_allowed_tokens_are_drawn_as_if_there_were_no_others() -> None:
    logits = np.random.default_rng(0).normal(size=200).astype(np.float32)
    allowed = [3, 64, 65, 120, 199]
    restricted, small = (Sampler(seed=7, top_p=0.9, temperature=0.7) for _ in range(2))
    for _ in range(50):
        restricted.allow(words_of(allowed, 200))
        assert restricted.sample(logits) == allowed[small.sample(logits[allowed])]


def test_nothing_that_is_allowed() -> None:
    sampler = Sampler(temperature=0.0, banned=[1])
    for words in (words_of([], 40), words_of([1], 40), np.zeros(0, np.uint32)):  # what has no word has no bit
        sampler.allow(words)
        with pytest.raises(ValueError, match="no token may come next"):
            sampler.sample(np.zeros(40, np.float32))
    with pytest.raises(TypeError):
        sampler.allow(np.zeros(2, np.int64))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected uint32"):
        sampler.allow(np.zeros((2, 2), np.uint32))
