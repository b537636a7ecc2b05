"""`generate_batch`: every member equals the same prompt alone, and what all share is computed once."""

from __future__ import annotations

import pytest

from belle_edge import Belle, SamplingParams
from belle_edge.generation.batch import common_prefix

PROMPTS = [
    "你好",
    "用一句话介绍北京。",
    "列举三种水果。",
    "春天",
    "写一个关于猫的句子，要有颜色。",
    "1+1等于几？",
]


@pytest.mark.parametrize("max_batch", [1, 3, 16])
@pytest.mark.parametrize(
    "sampling", [{"temperature": 0}, {"seed": 7, "temperature": 1.2, "top_k": 50}], ids=str
)
def test_members_equal_the_prompts_alone(tiny_zh: Belle, max_batch: int, sampling: dict[str, float]) -> None:
    batch = tiny_zh.generate_batch(PROMPTS, max_tokens=20, max_batch=max_batch, **sampling)
    for index, (prompt, got) in enumerate(zip(PROMPTS, batch, strict=True)):
        own = {**sampling, "seed": 7 + index} if "seed" in sampling else sampling
        alone = tiny_zh.generate(prompt, max_tokens=20, **own)
        assert (got.text, got.token_ids, got.finish_reason, got.prompt_tokens) == (
            alone.text,
            alone.token_ids,
            alone.finish_reason,
            alone.prompt_tokens,
        )


def test_members_of_both_architectures_equal_the_prompts_alone(tiny: Belle) -> None:
    prompts = [[5, 6, *range(20, 20 + 9 * index)] for index in range(5)]
    batch = tiny.generate_batch(prompts, raw=True, seed=2, temperature=3.0, max_tokens=30, max_batch=4)
    alone = [
        tiny.generate(prompt, raw=True, seed=2 + index, temperature=3.0, max_tokens=30)
        for index, prompt in enumerate(prompts)
    ]
    assert [r.token_ids for r in batch] == [r.token_ids for r in alone]


def test_finished_members_leave_and_waiting_ones_enter(tiny: Belle, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, real = [], tiny.backend.forward_sample

    def counted(batch, **options):
        sizes.append([len(ids) for _, ids, _ in batch])
        return real(batch, **options)

    monkeypatch.setattr(tiny.backend, "forward_sample", counted)
    prompts = [[3 + index] * (index + 1) for index in range(7)]
    results = tiny.generate_batch(prompts, raw=True, max_tokens=9, max_batch=3, seed=1, temperature=2.0)
    assert max(len(step) for step in sizes) == 3
    assert any(1 in step and max(step) > 1 for step in sizes), "prefill and decode share a pass"
    assert sum(map(sum, sizes)) == sum(r.prefilled_tokens for r in results) + sum(
        r.completion_tokens - (r.finish_reason != "stop") for r in results
    )


def test_what_all_prompts_share_is_computed_once(tiny_zh: Belle) -> None:
    results = tiny_zh.generate_batch(PROMPTS, max_tokens=2, temperature=0)
    ids = [tiny_zh.chat_format.encode(tiny_zh.tokenizer, [{"role": "user", "content": p}]) for p in PROMPTS]
    n_shared = common_prefix(ids)
    assert n_shared >= 1, "the template's own beginning"
    assert [r.prefilled_tokens for r in results] == [
        len(prompt) - (n_shared if index else 0) for index, prompt in enumerate(ids)
    ]
    samples = tiny_zh.generate_batch(["你好"] * 4, max_tokens=8, seed=1, temperature=1.5)
    assert [r.prefilled_tokens for r in samples] == [samples[0].prompt_tokens, 1, 1, 1]
    assert len({r.text for r in samples}) > 1


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [([], 0), ([[1, 2]], 1), ([[1, 2, 3], [1, 2, 4]], 2), ([[1, 2], [1, 2]], 1), ([[1], [1, 2]], 0)],
)
def test_common_prefix(prompts: list[list[int]], expected: int) -> None:
    assert common_prefix(prompts) == expected


def test_each_prompt_its_own_settings(tiny_zh: Belle) -> None:
    params = [
        SamplingParams(seed=5, temperature=1.0),
        SamplingParams(temperature=0),
        SamplingParams(seed=5, top_k=3),
    ]
    batch = tiny_zh.generate_batch(PROMPTS[:3], params=params, max_tokens=12)
    alone = [tiny_zh.generate(p, params=s, max_tokens=12) for p, s in zip(PROMPTS, params, strict=False)]
    assert [r.text for r in batch] == [r.text for r in alone]
    scored = tiny_zh.generate_batch(
        PROMPTS[:2],
        params=[SamplingParams(temperature=0, top_logprobs=2), SamplingParams(temperature=0)],
        max_tokens=3,
    )
    assert scored[1].logprobs is None
    assert [len(token.top) for token in scored[0].logprobs or ()] == [2] * scored[0].completion_tokens


def test_nothing_is_computed_for_a_batch_with_a_mistake(tiny: Belle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny.backend, "forward_sample", None)
    for prompts, settings, message in (
        ([[1], []], {}, "prompt 1: .*empty"),
        ([[1], [1] * 129], {}, "prompt 1: .*129 tokens"),
        ([[1]], {"max_batch": 0}, "max_batch"),
        ([[1]], {"max_tokens": 0}, "max_tokens"),
        ([[1]], {"params": [SamplingParams()] * 2}, "expected 1, one per prompt, got 2"),
        ("text", {}, "list of prompts"),
    ):
        with pytest.raises(ValueError, match=message):
            tiny.generate_batch(prompts, raw=True, **settings)  # type: ignore[arg-type]
    assert tiny.generate_batch([], raw=True) == []


def test_generators_and_progress(tiny: Belle) -> None:
    prompts = [[3 + index] * (index + 1) for index in range(5)]
    seen: list[tuple[int, int]] = []
    results = tiny.generate_batch(
        (prompt for prompt in prompts),
        raw=True,
        params=(SamplingParams(temperature=0) for _ in prompts),
        max_tokens=4,
        max_batch=2,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, 5) for done in range(1, 6)]
    expected = tiny.generate_batch(prompts, raw=True, max_tokens=4, temperature=0)
    assert [result.token_ids for result in results] == [result.token_ids for result in expected]


def test_one_bad_prompt_does_not_lose_the_others(tiny: Belle) -> None:
    prompts = [[5, 6], [], [7, 8, 9], [10**9], [5]]
    seen: list[tuple[int, int]] = []
    results = tiny.generate_batch(
        prompts,
        raw=True,
        max_tokens=6,
        seed=3,
        errors="return",
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert [type(result).__name__ for result in results] == [
        "Generation",
        "ValueError",
        "Generation",
        "ValueError",
        "Generation",
    ]
    assert "prompt 1: " in str(results[1])
    assert "outside the vocabulary" in str(results[3])
    for index in (0, 2, 4):
        alone = tiny.generate(prompts[index], raw=True, max_tokens=6, seed=3 + index)
        assert results[index].token_ids == alone.token_ids  # type: ignore[union-attr]
    assert seen == [(3, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("max_batch", [2, 16])
def test_an_answer_that_fails_while_it_is_written(tiny: Belle, max_batch: int) -> None:
    """Penalties that overflow are found by the sampler only, in a pass that it shares with others."""
    good = SamplingParams(seed=1, temperature=1.5)
    bad = SamplingParams(frequency_penalty=-3e38, presence_penalty=-3e38)
    prompts = [[5, 6], [7, 7, 7], [8, 9], [5]]
    params = [good, bad, good, good]
    with pytest.raises(ValueError, match="penalty"):
        tiny.generate_batch(prompts, raw=True, params=params, max_tokens=6, max_batch=max_batch)
    results = tiny.generate_batch(
        prompts, raw=True, params=params, max_tokens=6, max_batch=max_batch, errors="return"
    )
    assert isinstance(results[1], ValueError)
    for index in (0, 2, 3):
        alone = tiny.generate(prompts[index], raw=True, params=good, max_tokens=6)
        assert results[index].token_ids == alone.token_ids  # type: ignore[union-attr]


def test_settings_of_the_whole_call_are_raised_whatever_errors_says(tiny: Belle) -> None:
    for settings in ({"max_tokens": 0}, {"max_batch": 0}, {"temprature": 1}, {"top_p": 7.0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            tiny.generate_batch([[5]], raw=True, errors="return", **settings)  # type: ignore[call-overload]
    for value in ("ignore", None, True):
        with pytest.raises(ValueError, match="errors: expected 'raise' or 'return'"):
            tiny.generate_batch([[5]], raw=True, errors=value)  # type: ignore[call-overload]
