"""`Belle` on real small models: text, tokens, logits, limits, threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge import Belle, SamplingParams
from belle_edge.text.prompts import FAMILIES

Converted = Callable[[str, str], Path]
QUESTION = "列举三种水果。"


def test_stories_reproduce_the_golden_text(converted: Converted, test_data: Path) -> None:
    golden = test_data / "models/stories260K"
    ids = json.loads((golden / "greedy_ids_from_BOS.json").read_text())
    with Belle.load(converted("stories260K/hf", "f32")) as model:
        result = model.generate("", raw=True, temperature=0, max_tokens=len(ids) - 1)
        assert list(result.token_ids) == ids[1:]
        assert str(result) == (golden / "greedy_golden.txt").read_text()
        assert (result.finish_reason, result.prompt_tokens) == ("length", 1)
        assert model.detokenize(ids) == str(result)


def test_a_continuation_keeps_its_leading_space(stories: Belle) -> None:
    the = stories.tokenizer.vocabulary.tokens.index("▁the")
    result = stories.generate("Once upon", raw=True, temperature=0, max_tokens=2, logit_bias={the: 1000.0})
    assert result.text == " the the"


def test_a_stream_is_the_same_text(tiny_zh: Belle) -> None:
    stream = tiny_zh.stream(QUESTION, seed=5, max_tokens=40)
    with pytest.raises(RuntimeError, match="not finished"):
        _ = stream.result
    pieces = list(stream)
    assert all(pieces)
    assert "".join(pieces) == stream.result.text == tiny_zh.generate(QUESTION, seed=5, max_tokens=40).text
    assert not any("\ufffd" in piece for piece in pieces)
    assert stream.result.completion_tokens == len(stream.result.token_ids) <= 40


def test_prompts_go_through_the_template(tiny_zh: Belle) -> None:
    prompt = f"Human: {QUESTION}\n\nAssistant:"
    plain = tiny_zh.generate(prompt, raw=True, temperature=0, max_tokens=30)
    assert tiny_zh.generate(QUESTION, temperature=0, max_tokens=30).token_ids == plain.token_ids
    ids = tiny_zh.tokenize(prompt)
    assert tiny_zh.generate(ids, raw=True, temperature=0, max_tokens=30).token_ids == plain.token_ids
    assert plain.prompt_tokens == len(ids)


def test_temperature_zero_is_the_argmax(tiny_zh: Belle) -> None:
    result = tiny_zh.generate(QUESTION, temperature=0, max_tokens=12)
    ids = tiny_zh.chat_format.encode(tiny_zh.tokenizer, [{"role": "user", "content": QUESTION}])
    for token_id in result.token_ids:
        assert int(np.argmax(tiny_zh.logits(ids, last_only=True)[0])) == token_id
        ids.append(token_id)
    penalised = tiny_zh.generate(QUESTION, temperature=0, repetition_penalty=5.0, max_tokens=40)
    assert penalised.token_ids != result.token_ids


def test_seeds(tiny_zh: Belle) -> None:
    def text(seed: int | None) -> str:
        return tiny_zh.generate(QUESTION, seed=seed, temperature=1.5, top_k=0, top_p=1.0, max_tokens=20).text

    assert text(1) == text(1)
    assert len({text(None) for _ in range(4)}) > 1


def test_stop_strings_end_the_text(tiny_zh: Belle) -> None:
    whole = tiny_zh.generate(QUESTION, temperature=0, max_tokens=30)
    stop = whole.text[3:5]
    result = tiny_zh.generate(QUESTION, temperature=0, max_tokens=30, stop=[stop])
    assert result.finish_reason == "stop_string"
    assert result.text == whole.text[: whole.text.index(stop)]


def test_params_and_single_settings(tiny_zh: Belle) -> None:
    params = SamplingParams(temperature=0.7, seed=3)
    first = tiny_zh.generate(QUESTION, params=params, max_tokens=10)
    assert first.token_ids == tiny_zh.generate(QUESTION, params=params, seed=3, max_tokens=10).token_ids
    banned = tiny_zh.generate(QUESTION, params=params, banned=first.token_ids[:1], max_tokens=10)
    assert first.token_ids[0] not in banned.token_ids
    with pytest.raises(ValueError, match="unknown setting 'temprature'"):
        tiny_zh.generate(QUESTION, temprature=0.5)


def test_logits(stories: Belle) -> None:
    ids = stories.tokenize("Once upon a time")
    logits = stories.logits(ids)
    assert (logits.dtype, logits.shape) == (np.float32, (len(ids), 512))
    last = stories.logits(ids, last_only=True)
    assert last.shape == (1, 512)
    np.testing.assert_allclose(last[0], logits[-1], rtol=1e-5, atol=1e-5)
    for bad in ([], [512], [-1], [1] * 513):
        with pytest.raises(ValueError, match=r"\S"):
            stories.logits(bad)


def test_tokenize_and_detokenize(tiny_zh: Belle, stories: Belle) -> None:
    assert tiny_zh.detokenize(tiny_zh.tokenize(QUESTION)) == QUESTION
    assert stories.tokenize("x")[0] == 1
    assert stories.tokenize("x", add_bos=False) == stories.tokenize("x")[1:]
    assert tiny_zh.tokenize("</s>", parse_special=True) == [2] != tiny_zh.tokenize("</s>")


def test_the_context_ends_a_generation(converted: Converted) -> None:
    with Belle.load(converted("llama", "f32"), context=16) as model:
        result = model.generate("Once upon a time", raw=True, temperature=0, max_tokens=500)
        assert result.finish_reason == "length"
        assert result.prompt_tokens + result.completion_tokens == 17  # the last token is never fed
        with pytest.raises(ValueError, match="the context holds 16"):
            model.generate("Once upon a time " * 5, raw=True)


def test_the_trained_context_is_usable_to_its_end(stories: Belle) -> None:
    result = stories.generate([1] * 510, raw=True, temperature=0, max_tokens=50)
    assert result.completion_tokens in (1, 2, 3)
    assert result.finish_reason in ("length", "stop")


def test_empty_prompts(tiny_zh: Belle) -> None:
    with pytest.raises(ValueError, match="prompt is empty"):
        tiny_zh.generate("", raw=True)
    assert tiny_zh.generate("", max_tokens=2).prompt_tokens > 0  # the template has text of its own


def test_a_file_without_a_template_is_refused_with_advice(stories: Belle) -> None:
    """The same at each door: a text is never sent raw without having been asked for."""
    for refused in (
        lambda: stories.generate("Once"),
        lambda: stories.stream("Once"),
        lambda: stories.generate_batch(["Once"]),
        lambda: stories.conversation(),
        lambda: stories.chat([{"role": "user", "content": "Once"}]),
    ):
        with pytest.raises(ValueError, match=r"no chat template.*family.*chat_template.*raw=True"):
            refused()
    assert stories.generate("Once", raw=True, temperature=0, max_tokens=3).text
    ids = stories.tokenize("Once")
    assert stories.generate(ids, temperature=0, max_tokens=3).text  # ids are used as they are


def test_the_caller_may_know_the_family_or_the_template(converted: Callable[[str, str], Path]) -> None:
    path = converted("llama", "f32")
    family = FAMILIES["belle-v2"]
    with Belle.load(path, family="belle-v2") as model:
        assert model.chat_format.template == family.chat_template
        assert model.chat_format.preset == family.preset
        ids = model.chat_format.encode(model.tokenizer, [{"role": "user", "content": "x"}])
        assert ids[0] != model.tokenizer.vocabulary.bos_id  # which belle-v2 has none of
    template = "{{ bos_token }}Q: {{ messages[-1]['content'] }} A:"
    with Belle.load(path, family="belle", chat_template=template) as model:
        assert model.chat_format.stop_strings == ("\nHuman:",)
        asked = model.generate("Once", temperature=0, max_tokens=3)
        ids = model.tokenize(
            "<s>Q: Once A:", add_bos=False, parse_special=True
        )  # no space of its own after BOS
        raw = model.generate(ids, temperature=0, max_tokens=3)
        assert (asked.token_ids, asked.prompt_tokens) == (raw.token_ids, raw.prompt_tokens)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "bele"}, "family: expected one of belle, .*got 'bele'"),
        ({"family": ["belle"]}, "family"),
        ({"chat_template": ""}, "chat_template: expected the text"),
        ({"chat_template": 3}, "chat_template: expected the text"),
        ({"chat_template": "{% if %}"}, "broken at line 1"),
        ({"chat_template": "{{ raise_exception('no') }}"}, "no"),
    ],
)
def test_formats_that_cannot_be(converted: Callable[[str, str], Path], options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Belle.load(converted("llama", "f32"), **options)


def test_threads_share_a_model(tiny_zh: Belle) -> None:
    questions = [QUESTION, "生成一个关于春天的句子。", "列举三种水果。", "你好"]
    alone = [tiny_zh.generate(text, seed=9, max_tokens=25).text for text in questions]
    together: dict[int, str] = {}

    def work(index: int) -> None:
        together[index] = tiny_zh.generate(questions[index], seed=9, max_tokens=25).text

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[index] for index in range(len(questions))] == alone


def test_a_stream_may_be_left_early(tiny_zh: Belle) -> None:
    stream = tiny_zh.stream(QUESTION, temperature=0, max_tokens=30)
    next(stream)
    stream.close()
    assert list(stream) == []
    with pytest.raises(RuntimeError):
        _ = stream.result


def test_a_closed_model_says_so(converted: Converted) -> None:
    model = Belle.load(converted("llama", "f32"))
    model.close()
    model.close()
    with pytest.raises(ValueError, match="closed"):
        model.generate("x", raw=True)


def test_arguments_of_load_are_checked(converted: Converted, tmp_path: Path) -> None:
    path = converted("llama", "f32")
    for arguments, message in (
        ({"backend": "nothing"}, "unknown backend 'nothing'"),
        ({"threads": 0}, "threads"),
        ({"context": 0}, "context"),
        ({"context": 513}, "expected 1 to 512"),
        ({"kv": "q3"}, "q3"),
        ({"isa": "nothing"}, "nothing"),
    ):
        with pytest.raises(ValueError, match=message):
            Belle.load(path, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is a folder"):
        Belle.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        Belle.load(tmp_path / "none.gguf")
    with pytest.raises(ValueError, match="max_tokens"):
        Belle.load(path).generate("x", raw=True, max_tokens=0)


def test_the_engine_is_chosen(converted: Converted) -> None:
    with Belle.load(converted("llama", "f32"), isa="scalar", threads=1, kv="f16") as model:
        assert (model.details["isa"], model.details["threads"], model.details["kv_type"]) == (
            "scalar",
            1,
            "f16",
        )
        assert model.config["n_kv_heads"] == 4
        assert model.generate("Once upon", raw=True, temperature=0, max_tokens=3).completion_tokens == 3


@pytest.mark.slow
def test_ids_equal_transformers(converted: Converted, checkpoint: Callable[[str], Path]) -> None:
    transformers = pytest.importorskip("transformers")
    folder = checkpoint("belle-tiny-zh")
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    with Belle.load(converted("belle-tiny-zh", "q4_0")) as model:
        for item in json.loads((folder / "val.json").read_text(encoding="utf-8")):
            text = item["instruction"] + item["output"]
            assert model.tokenize(text) == theirs(text, add_special_tokens=False)["input_ids"]
