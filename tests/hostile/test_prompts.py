"""Prompts and ids that no model can take: a ValueError that says why, and the model goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import belle_edge

from .conftest import Completed, SmallModel

CONTEXT = 128  # of the small models


@pytest.fixture(scope="module", params=["llama", "bloom"])
def path(request: pytest.FixtureRequest, small_model: SmallModel) -> Path:
    return small_model(request.param, "q4_0")


@pytest.fixture(scope="module")
def model(path: Path) -> Iterator[belle_edge.Belle]:
    with belle_edge.Belle.load(path) as loaded:
        yield loaded


BAD_PROMPTS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "empty_ids": ([], {}, "empty|no token"),
    "id_below_0": ([1, -1], {}, "-1"),
    "id_past_the_end": ([1, 301], {}, "301"),
    "id_past_32_bits": ([2**40], {}, str(2**40)),
    "id_past_64_bits": ([2**70], {}, "token id"),
    "too_many_ids": ([5] * (CONTEXT + 1), {}, "128"),
    "too_long_text": ("the dog " * 500, {"raw": True}, "128"),
    "too_long_text_in_a_template": ("the dog " * 500, {}, "128"),
    "lone_surrogate": ("a\ud800b", {"raw": True}, "surrogate"),
    "lone_surrogate_in_a_template": ("a\ud800b", {}, "surrogate"),
    "no_answer": ("a", {"max_tokens": 0}, "max_tokens"),
}


@pytest.mark.parametrize("name", BAD_PROMPTS)
def test_bad_prompts(model: belle_edge.Belle, name: str) -> None:
    prompt, settings, message = BAD_PROMPTS[name]
    before = model.generate("the dog", max_tokens=4, temperature=0).token_ids
    with pytest.raises(ValueError, match=message):
        model.generate(prompt, **settings)
    assert model.generate("the dog", max_tokens=4, temperature=0).token_ids == before


def test_an_empty_text(small_model: SmallModel) -> None:
    """Without BOS there is nothing to begin with; BLOOM's tokenizer adds none."""
    model = belle_edge.Belle.load(small_model("bloom", "q4_0"))
    with model, pytest.raises(ValueError, match="empty"):
        model.generate("", raw=True)


def test_a_prompt_that_fills_the_context(model: belle_edge.Belle) -> None:
    """The answer ends where the context does; its last token needs no place, as nothing comes after it."""
    for n_free in (0, 1, 5):
        result = model.generate([5] * (CONTEXT - n_free), max_tokens=50, temperature=0)
        assert 1 <= result.completion_tokens <= n_free + 1


@pytest.mark.parametrize("ids", [[-1], [301], [2**31], [2**63]])
def test_ids_out_of_range_in_every_method(model: belle_edge.Belle, ids: list[int]) -> None:
    for method in (model.detokenize, model.logits, model.generate):
        with pytest.raises(ValueError, match=r"vocabulary|token id"):
            method(ids)


@pytest.mark.slow
def test_the_command_line(path: Path, belle: Callable[..., Completed], tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("the dog " * 500, encoding="utf-8")
    for arguments, message in (
        (("generate", path, "--file", long), "128"),
        (("generate", path, "a", "--context", str(10**9)), "context"),
        (("generate", path, "a", "--max-tokens", "0"), "--max-tokens"),
    ):
        done = belle(*arguments)
        assert (done.returncode, done.stdout) == (1, ""), (arguments, done)
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
