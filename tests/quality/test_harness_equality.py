"""Each request of lm-eval is answered as its `hf` model answers it from the same weights, in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle

from .harness_models import PAIRS, PROMPTS, TEXTS, asked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["bloom", "llama"])
def models(
    request: pytest.FixtureRequest,
    checkpoint: Callable[[str], Path],
    converted: Callable[[str, str], Path],
    torch: Any,
) -> Iterator[tuple[Any, Any]]:
    """(ours, lm-eval's own)."""
    pytest.importorskip("lm_eval")
    from lm_eval.models.huggingface import HFLM

    from belle_edge.quality.harness import BelleLM

    with Belle.load(converted(request.param, "f32"), threads=1, family="belle-llama") as belle:
        hf = HFLM(
            pretrained=str(checkpoint(request.param)),
            dtype="float32",
            device="cpu",
            max_length=belle.context,
            batch_size=1,  # so that an answer ends at its own stop string, not at a neighbour's
        )
        hf.model.generation_config.max_new_tokens = None  # a default that would overrule max_gen_toks
        yield BelleLM(belle), hf


def test_loglikelihood(models: tuple[Any, Any]) -> None:
    ours, theirs = (
        model.loglikelihood(asked("loglikelihood", *PAIRS), disable_tqdm=True) for model in models
    )
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]
    assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=1e-3, rel=0)


def test_loglikelihood_rolling(models: tuple[Any, Any]) -> None:
    requests = asked("loglikelihood_rolling", *((text,) for text in TEXTS))
    ours, theirs = (model.loglikelihood_rolling(requests, disable_tqdm=True) for model in models)
    assert ours == pytest.approx(theirs, abs=1e-3, rel=2e-7)  # theirs are sums of thousands in float32


def test_generate_until(models: tuple[Any, Any]) -> None:
    ours, theirs = (
        model.generate_until(asked("generate_until", *PROMPTS), disable_tqdm=True) for model in models
    )
    assert ours == theirs


def test_chat_templates(models: tuple[Any, Any]) -> None:
    ours, theirs = models
    theirs.tokenizer.chat_template = ours.chat_template(True)
    turns = [
        {"role": "system", "content": "简短地回答。"},
        {"role": "user", "content": "你好"},
        {"role": "assistant", "content": "你好！"},
        {"role": "user", "content": " 再见 "},
        {"role": "assistant", "content": " 好的"},
    ]
    for history, opened in ((turns[:2], True), (turns[1:4], True), (turns, False), (turns[1:3], False)):
        text = ours.apply_chat_template(history, add_generation_prompt=opened)
        assert text == theirs.apply_chat_template(history, add_generation_prompt=opened)
        assert ours.tok_encode(text) == theirs.tok_encode(text)
