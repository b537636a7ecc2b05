"""Numbers of a comparison: those of a few lines of NumPy; what goes into them, piece by piece."""

from __future__ import annotations

import math

import numpy as np
import pytest

from belle_edge.errors import ModelFormatError
from belle_edge.quality.comparison import Histogram, Measures, Share
from belle_edge.quality.comparison.changed_answers import first_difference
from belle_edge.quality.comparison.meter import HISTOGRAM_EDGES, Meter
from belle_edge.quality.comparison.passages import Passage
from belle_edge.quality.comparison.pieces import pieces_of
from belle_edge.quality.comparison.verdict import verdict

N_VOCAB = 37
Floats = np.typing.NDArray[np.float32]


def passages(random: np.random.Generator) -> list[Passage]:
    """A window, a dialogue, a question alone."""
    ids = [random.integers(0, N_VOCAB, n).astype(np.int32) for n in (20, 15, 9)]
    return [
        Passage("a", "en", ids[0], 9, 19),
        Passage("b", "zh", ids[1], 4, 14, "asked", 4),
        Passage("b", "zh", ids[2], 0, 9, "asked alone", 8),
    ]


def logits(random: np.random.Generator, n: int) -> Floats:
    return (3 * random.standard_normal((n, N_VOCAB))).astype(np.float32)


def measured(read: list[Passage], expected: Floats, found: Floats) -> Meter:
    meter = Meter(read)
    for group in pieces_of(read, n_vocab=N_VOCAB):
        for piece in group:
            rows = slice(piece.place, piece.place + piece.n_positions)
            meter.add(piece, expected[rows], found[rows])
    return meter


def test_numbers_are_those_of_the_formulas(random: np.random.Generator) -> None:
    read = passages(random)
    n = sum(passage.n_positions for passage in read)
    expected, found = logits(random, n), logits(random, n)
    p, q = (
        np.exp(x.astype(float)) / np.exp(x.astype(float)).sum(1, keepdims=True) for x in (expected, found)
    )
    kl = (p * np.log(p / q)).sum(1)
    targets = np.concatenate([passage.targets for passage in read])
    scored = np.delete(np.arange(n), n - 1)  # nothing follows the question alone
    loss, reference_loss = -np.log(q[scored, targets]), -np.log(p[scored, targets])
    measures = measured(read, expected, found).languages()
    assert list(measures) == ["all", "en", "zh"]
    everything = measures["all"]
    assert everything.n_tokens == n
    for name, value in {
        "kl_mean": kl.mean(),
        "kl_error": kl.std(ddof=1) / math.sqrt(n),
        "kl_median": np.median(kl),
        "kl_99": np.percentile(kl, 99),
        "kl_max": kl.max(),
        "top1": (p.argmax(1) == q.argmax(1)).mean(),
        "top5": np.mean(
            [len({*a} & {*b}) / 5 for a, b in zip(np.argsort(-p)[:, :5], np.argsort(-q)[:, :5], strict=True)]
        ),
        "perplexity": np.exp(loss.mean()),
        "perplexity_error": np.exp(loss.mean()) * loss.std(ddof=1) / math.sqrt(n - 1),
        "reference_perplexity": np.exp(reference_loss.mean()),
        "ratio": np.exp((loss - reference_loss).mean()),
        "ratio_error": np.exp((loss - reference_loss).mean())
        * (loss - reference_loss).std(ddof=1)
        / math.sqrt(n - 1),
    }.items():
        assert getattr(everything, name) == pytest.approx(value, rel=1e-9), name
    assert measures["en"].kl_mean == pytest.approx(kl[:10].mean())
    assert sum(everything.kl_histogram.counts) == n
    assert everything.kl_histogram.counts[-1] == (kl >= HISTOGRAM_EDGES[-1]).sum()


def test_first_words_and_worst_prompts(random: np.random.Generator) -> None:
    read = passages(random)
    expected = logits(random, 29)
    found = expected.copy()
    found[10] = -expected[10]  # the dialogue's first word
    found[20] += logits(random, 1)[0]  # within the question, which is no answer
    meter = measured(read, expected, found)
    assert meter.first_words() == Share(1, 2)
    (worst, kl), (other, none) = meter.worst_prompts()
    assert (worst, other, none) == (1, 2, 0.0)
    assert kl > 0.1


def test_positions_without_numbers_count_as_uniform(random: np.random.Generator) -> None:
    read = passages(random)[:1]
    expected = logits(random, 10)
    found = expected.copy()
    found[3, 5] = np.nan
    found[4] = np.inf
    measures = measured(read, expected, found).languages()["all"]
    p = np.exp(expected[4].astype(float)) / np.exp(expected[4].astype(float)).sum()
    assert measures.n_broken == 2
    assert measures.top1 == 0.8
    assert measures.kl_max == pytest.approx(
        max(math.log(N_VOCAB) + (x * np.log(x)).sum() for x in (p, softmax(expected[3])))
    )
    assert verdict(measures, Share(0, 0)).level == "damaged"
    with pytest.raises(ModelFormatError, match="not finite"):
        measured(read, found, expected)


def softmax(row: Floats) -> np.typing.NDArray[np.float64]:
    values = np.exp(row.astype(float))
    return np.asarray(values / values.sum())


def test_an_enormous_loss_is_an_infinite_perplexity(random: np.random.Generator) -> None:
    read = passages(random)[:1]
    expected = logits(random, 10)
    measures = measured(read, expected, 1e5 * expected).languages()["all"]
    assert math.isinf(measures.perplexity)
    assert math.isfinite(measures.kl_mean)


def test_pieces_cover_all_positions_within_their_bounds(
    random: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("belle_edge.quality.comparison.pieces.LOGIT_BYTES", 4 * N_VOCAB * 4)
    read = passages(random)
    groups = list(pieces_of(read, n_vocab=N_VOCAB))
    assert all(sum(piece.n_positions for piece in group) <= 4 for group in groups)
    pieces = [piece for group in groups for piece in group]
    assert [piece.place for piece in pieces] == list(
        np.cumsum([0, *(piece.n_positions for piece in pieces)])[:-1]
    )
    for index, passage in enumerate(read):
        own = [piece for piece in pieces if piece.index == index]
        assert [p for piece in own for p in range(piece.begin, piece.end)] == list(
            range(passage.begin, passage.end)
        )
        assert [piece.is_last for piece in own] == [False] * (len(own) - 1) + [True]


def of(*, kl: float = 0.0, largest: float = 0.0, ratio: float = 1.0, broken: int = 0) -> Measures:
    histogram = Histogram((1.0,), (1, 0))
    return Measures(10, kl, 0, kl, kl, largest, histogram, 1, 1, ratio, 0, 1.0, 0, 0, broken)


@pytest.mark.parametrize(
    ("measures", "first_words", "level"),
    [
        (of(), Share(40, 40), "identical"),
        (of(kl=1e-5, largest=0.005), Share(0, 0), "identical"),
        (of(), Share(39, 40), "close"),
        (of(kl=1e-5, largest=0.05), Share(40, 40), "close"),
        (of(kl=0.01), Share(38, 40), "close"),
        (of(kl=0.01), Share(37, 40), "changed"),
        (of(kl=0.1), Share(40, 40), "changed"),
        (of(kl=0.1, ratio=1.6), Share(40, 40), "damaged"),
        (of(kl=0.6), Share(40, 40), "damaged"),
        (of(kl=0.1), Share(10, 40), "damaged"),
        (of(broken=1), Share(40, 40), "damaged"),
    ],
)
def test_the_rule_of_the_verdict(measures: Measures, first_words: Share, level: str) -> None:
    found = verdict(measures, first_words)
    assert (found.level, found.n, found.of) == (level, first_words.changed, first_words.of)


def test_where_answers_differ() -> None:
    assert first_difference("你好", "你好") is None
    assert first_difference("你好", "您好") == 0
    assert first_difference("ab", "abc") == 2


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)
