"""Perplexity: the rule against a simple reference, the engines against each other, bounds, what a command says."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import Belle
from belle_edge.cli.main import main
from belle_edge.quality.perplexity import token_losses
from belle_edge.quality.perplexity.estimate import LossSums
from belle_edge.quality.perplexity.text_perplexity import measure, read_material
from belle_edge.quality.texts.scored_text import ScoredText
from belle_edge.quality.texts.text_files import text_files

CONTEXT = 32
TEXT = (
    "北京是中国的首都，也是一座有三千多年历史的古城。\nHuman: 请介绍上海。\n\nAssistant:上海在长江入海口。\n"
    * 12
)


@dataclass(frozen=True)
class Expected:
    """What the rule says, written down as plainly as it can be."""

    perplexity: float
    error: float
    running: list[float]


def reference(model: Belle, text: str, n_context: int) -> Expected:
    """llama.cpp's rule: each window by itself, losses of the tokens behind its middle one."""
    ids = model.tokenize(text)
    losses: list[float] = []
    running = []
    for begin in range(0, len(ids) - n_context + 1, n_context):
        window = ids[begin : begin + n_context]
        if model.tokenizer.vocabulary.add_bos:
            window[0] = int(model.tokenizer.vocabulary.bos_id or 0)
        logits = model.logits(window).astype(np.float64)
        for place in range(n_context // 2, n_context - 1):
            probabilities = np.exp(logits[place] - logits[place].max())
            losses.append(-math.log(probabilities[window[place + 1]] / probabilities.sum()))
        running.append(math.exp(sum(losses) / len(losses)))
    mean = sum(losses) / len(losses)
    variance = sum(loss**2 for loss in losses) / len(losses) - mean**2
    perplexity = math.exp(mean)
    return Expected(perplexity, perplexity * math.sqrt(variance / (len(losses) - 1)), running)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["bloom", "llama"])
def model(request: pytest.FixtureRequest, converted: Callable[[str, str], Path]) -> Iterator[Belle]:
    """One that adds no BOS, and one that does."""
    with Belle.load(converted(request.param, "q8_0"), threads=1) as model:
        yield model


def measured(model: Belle, path: Path, *, context: int = CONTEXT) -> list[float]:
    """[perplexity, its error, the perplexity after each window …]"""
    material = read_material(model, text_files([str(path)])[0], context=context)
    running: list[float] = []
    estimate = measure(model, material, progress=lambda step: running.append(step.estimate.perplexity))
    assert estimate.error is not None
    return [estimate.perplexity, estimate.error, *running]


def test_the_rule(model: Belle, data: Path) -> None:
    expected = reference(model, TEXT.removesuffix("\n"), CONTEXT)
    perplexity, error, *running = measured(model, data)
    assert len(expected.running) > 5
    assert perplexity == pytest.approx(expected.perplexity, rel=1e-6)
    assert error == pytest.approx(expected.error, rel=1e-5)
    assert running == pytest.approx(expected.running, rel=1e-6)


def test_the_bound_on_logits_changes_nothing(
    model: Belle, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = measured(model, data)
    n_vocab = int(model.config["vocab_size"])
    shapes: list[int] = []

    def watched(rows: NDArray[np.float32], targets: NDArray[np.int32]) -> NDArray[np.float64]:
        shapes.append(len(rows))
        return plain(rows, targets)

    plain = token_losses.row_losses
    monkeypatch.setattr(token_losses, "row_losses", watched)
    monkeypatch.setattr(token_losses, "_LOGIT_BYTES", 3 * 4 * n_vocab)
    monkeypatch.setattr(token_losses, "_BATCH_TOKENS", 2 * CONTEXT)
    assert measured(model, data) == pytest.approx(before, rel=1e-12)
    assert max(shapes) == 1  # three rows for two texts
    monkeypatch.setattr(token_losses, "_LOGIT_BYTES", 4 * n_vocab)  # one row for two texts
    assert measured(model, data) == pytest.approx(before, rel=1e-12)
    monkeypatch.setattr(token_losses, "_LOGIT_BYTES", 3 * 4 * n_vocab)
    monkeypatch.setattr(token_losses, "_BATCH_TOKENS", 0)
    assert measured(model, data) == pytest.approx(before, rel=1e-12)
    assert max(shapes) == 3


def test_texts_fill_batches_and_long_ones_go_alone(model: Belle) -> None:
    lengths = (600, 424, 1, 2000, 5)
    texts = [ScoredText(np.zeros(n, dtype=np.int32), 1) for n in lengths]
    found = [[len(text.ids) for text in batch] for batch in token_losses.batches(model.backend, texts)]
    assert found == [[600, 424], [1], [2000], [5]]
    assert list(token_losses.batches(model.backend, [])) == []


@pytest.mark.slow
def test_both_engines(llama_cpp: Any, converted: Callable[[str, str], Path], data: Path) -> None:
    found = {}
    for backend in ("native", "llama.cpp"):
        with Belle.load(converted("bloom", "f32"), backend=backend, threads=1) as model:
            found[backend] = measured(model, data)
            assert found[backend][0] == pytest.approx(
                reference(model, TEXT.removesuffix("\n"), CONTEXT).perplexity, rel=1e-4
            )
    assert found["llama.cpp"] == pytest.approx(found["native"], rel=1e-3)


def test_answers_alone_are_scored(converted: Callable[[str, str], Path], tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    asked = [("介绍北京。", "北京是首都。"), ("你好", ""), ("你好", "你好！")]
    values = [
        *({"instruction": question, "output": answer} for question, answer in asked),
        {"text": "今天晴。"},
    ]
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values), encoding="utf-8")
    with Belle.load(converted("bloom", "q8_0"), threads=1) as model:
        material = read_material(model, text_files([str(path)])[0])
        assert (len(material.texts), material.n_left_out, material.n_whole) == (3, 1, 1)
        estimate = measure(model, material, progress=lambda step: None)
        losses = []
        for question, answer in (asked[0], asked[2]):
            before = model.chat_format.encode(model.tokenizer, [{"role": "user", "content": question}])
            ids = [*before, *model.tokenizer.encode(answer, add_bos=False, add_eos=False)]
            losses += _losses(model, ids, len(before))
        losses += _losses(model, model.tokenizer.encode("今天晴。", add_eos=False), 1)
    assert estimate.n_scored == len(losses)
    assert estimate.loss == pytest.approx(np.mean(losses), rel=1e-6)


def _losses(model: Belle, ids: list[int], first: int) -> list[float]:
    logits = model.logits(ids).astype(np.float64)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return [-float(logits[place - 1, ids[place]]) for place in range(first, len(ids))]


def test_the_error_needs_two_losses_that_differ() -> None:
    sums = LossSums()
    with pytest.raises(ValueError, match="no token was scored"):
        sums.estimate()
    sums.add(np.array([1.0]))
    assert sums.estimate().error is None
    sums.add(np.array([1.0]))
    assert sums.estimate().error is None
    sums.add(np.array([4.0]))
    estimate = sums.estimate()
    assert estimate.perplexity == pytest.approx(math.exp(2))
    assert estimate.error == pytest.approx(math.exp(2) * math.sqrt((18 / 3 - 4) / 2))


def test_what_the_command_says(
    converted: Callable[[str, str], Path], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(converted("bloom", "q8_0"))
    options = ["perplexity", model, "--data", str(data), "--context", str(CONTEXT), "--chunks", "9"]
    assert main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "text.txt: 9 windows of 32 tokens; the second half of each is scored"
    assert lines[1].count(",") == 8
    assert lines[2].startswith("[9]")
    assert main([*options, "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    (text,) = report["texts"]
    assert (report["engine"], text["n_texts"], text["n_scored"]) == ("native", 9, 9 * 15)
    assert lines[3].startswith(f"perplexity {text['perplexity']:.4f} ± {text['error']:.5f} over 135 tokens")
    assert lines[2] == f"[9]{text['running'][8]:.4f},"
    assert text["running"][8] == text["perplexity"]


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("太短。", [], "tokens are too few: windows of 256 tokens need at least 512"),
        ('{"messages": [{"role": "user", "content": "?"}]}', [], "line 1: expected an answer to score"),
        ('{"instruction": "?", "output": ""}', [], "nothing to score in its 1 records"),
        ('{"instruction": "?"}', [], "line 1: expected"),
        (TEXT, ["--context", "3"], "at least 4 tokens"),
        (TEXT, ["--context", "1000000"], "context"),
        (TEXT, ["--chunks", "0"], "--chunks"),
    ],
)
def test_what_is_wrong_is_one_line(
    converted: Callable[[str, str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    options: list[str],
    expected: str,
) -> None:
    path = tmp_path / ("d.jsonl" if content.startswith("{") else "d.txt")
    path.write_text(content, encoding="utf-8")
    assert main(["perplexity", str(converted("bloom", "q8_0")), "--data", str(path), *options]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert expected in said.err
