"""Every setting of transformers' is done, the same anyway, warned about or refused; and docs/HF.md says which."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.demo import checkpoint_path
from belle_edge.hf import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from belle_edge.hf.causal_lm import HfModel
from belle_edge.hf.loading_options import DTYPES
from belle_edge.hf.loading_options import REFUSED as REFUSED_ON_LOADING
from belle_edge.hf.support import ALL, DONE, REFUSED, SAME_ANSWER, WARNED
from belle_edge.hf.tokenizer_options import DONE_IN_CALLS, REFUSED_IN_CALLS, SAME_IN_CALLS

from ..api.tiny_models import write_tiny_model
from .conftest import Pair

pytestmark = pytest.mark.slow  # loads transformers

IDS = [[5, 6, 7]]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "HF.md"
CLASSES = {"Done": DONE, "Same answer": SAME_ANSWER, "Warned": WARNED.keys(), "Refused": REFUSED.keys()}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("settings") / "m.gguf", "llama")


@pytest.fixture(scope="module")
def model(path: Path) -> HfModel:
    return AutoModelForCausalLM.from_pretrained(path)


# ---- every name is in one class


def test_every_field_of_the_installed_transformers_is_in_one_class() -> None:
    transformers = pytest.importorskip("transformers", minversion="5")
    names = {name for name in vars(transformers.GenerationConfig()) if name != "_original_object_hash"}
    parameters = set(inspect.signature(transformers.GenerationMixin.generate).parameters)
    names |= parameters - {"self", "kwargs", *inspect.signature(HfModel.generate).parameters}
    for name in names:
        assert sum(name in members for members in CLASSES.values()) == 1, name
    assert len(ALL) == sum(map(len, CLASSES.values()))


def test_every_argument_of_a_tokenizer_is_in_one_class() -> None:
    base = pytest.importorskip("transformers.tokenization_utils_base")
    names = set(inspect.signature(base.PreTrainedTokenizerBase.__call__).parameters) - {"self", "kwargs"}
    for name in names:
        assert sum(name in members for members in (DONE_IN_CALLS, SAME_IN_CALLS, REFUSED_IN_CALLS)) == 1, name


def test_the_page_says_the_same() -> None:
    text = PAGE.read_text(encoding="utf-8")
    section = text[text.index("## Settings of") : text.index("## A forward pass")]
    parts = re.split(r"^\*\*(Done|Same answer|Warned|Refused)\*\*", section, flags=re.MULTILINE)
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        first = [line.split("|")[1] for line in body.splitlines() if line.startswith("| `")]
        listed = re.findall(r"`(\w+)`", " ".join(first) if first else body)
        assert sorted(listed) == sorted(CLASSES[title]), title
    rest = text[text.index("## The tokenizer") :]
    for name in (DONE_IN_CALLS | SAME_IN_CALLS | REFUSED_IN_CALLS.keys()) - {"text"}:
        assert f"`{name}`" in rest, name


# ---- each class does what it says


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(model: HfModel, name: str) -> None:
    sample = {"do_sample": True, "max_new_tokens": 2}
    with pytest.raises(ValueError, match=rf"{name}=.*not implemented"):
        model.generate(IDS, **sample, **{name: 4})
    for neutral in (None, *REFUSED[name]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.generate(IDS, **sample, **{name: neutral})


@pytest.mark.parametrize("name", sorted(WARNED))
def test_warned(model: HfModel, name: str) -> None:
    with pytest.warns(UserWarning, match=rf"{name}=.*no effect: "):
        model.generate(IDS, max_new_tokens=2, **{name: 4})


@pytest.mark.parametrize("name", sorted(SAME_ANSWER - {"_from_model_config"}))
def test_same_answer(model: HfModel, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = model.generate(IDS, max_new_tokens=3, **{name: 4})
    assert np.asarray(same).tolist() == np.asarray(model.generate(IDS, max_new_tokens=3)).tolist()


@pytest.mark.parametrize("name", ["temperature", "top_k", "top_p", "min_p", "typical_p"])
def test_sampling_settings_of_a_greedy_call_are_warned_about(model: HfModel, name: str) -> None:
    value = 3 if name == "top_k" else 0.5
    for given in ({name: value}, {"generation_config": {name: value}}):
        with pytest.warns(UserWarning, match=rf"{name}=.*without do_sample=True"):
            model.generate(IDS, max_new_tokens=1, **given)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("max_new_token", "did you mean 'max_new_tokens'"),
        ("max_tokens", "write max_new_tokens=…"),
        ("n_ctx", "write context=… on loading"),
        ("frobnicate", "known: "),
    ],
)
def test_unknown_names(model: HfModel, name: str, advice: str) -> None:
    for call in (
        lambda: model.generate(IDS, **{name: 3}),
        lambda: model.generate(IDS, generation_config={name: 3}),
        lambda: GenerationConfig(**{name: 3}),
        lambda: setattr(GenerationConfig(), name, 3),
    ):
        with pytest.raises(ValueError, match=f"'{name}'.*{advice}"):
            call()


def test_numpy_numbers_and_arrays(model: HfModel) -> None:
    model.generate(IDS, max_new_tokens=1, do_sample=True, num_beams=np.int64(1), typical_p=np.float32(1.0))
    for value in (np.array([[1, 2], [3, 4]]), True):
        with pytest.raises(ValueError, match="num_beams"):
            model.generate(IDS, num_beams=value)


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("BELLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(checkpoint_path(), tmp_path / "belle-demo")
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    exec(code, {})


# ---- the model's own file


@pytest.mark.parametrize(
    "stated",
    [
        {"num_beams": 4},
        {"penalty_alpha": 0.6},
        {"watermarking_config": {"bias": 5.0}},
        {"guidance_scale": 2.0},
    ],
)
def test_a_file_that_asks_for_more_loads(path: Path, stated: dict[str, Any]) -> None:
    model = HfModel(path, generation_config={**stated, "chat_format": "chatml"})
    (name,) = stated
    assert getattr(model.generation_config, name) == stated[name]
    with pytest.raises(ValueError, match=f"{name}=.*{name}=None where"):
        model.generate(IDS, max_new_tokens=2)
    assert np.asarray(model.generate(IDS, max_new_tokens=2, **{name: None})).shape[0] == 1
    setattr(model.generation_config, name, None)
    model.generate(IDS, max_new_tokens=2)


def test_a_file_may_say_how_to_sample(path: Path) -> None:
    model = HfModel(path, generation_config={"temperature": 0.6, "top_p": 0.9, "typical_p": 0.9})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.generate(IDS, max_new_tokens=2)
    with pytest.raises(ValueError, match="typical_p"):
        model.generate(IDS, max_new_tokens=2, do_sample=True)


def test_generation_config_objects(model: HfModel, tmp_path: Path) -> None:
    config = GenerationConfig(num_beams=4, max_new_tokens=3)
    assert (config.num_beams, config.top_k, config.to_dict()) == (
        4,
        None,
        {"num_beams": 4, "max_new_tokens": 3},
    )
    assert copy.deepcopy(config) == config == pickle.loads(pickle.dumps(config)) != GenerationConfig()
    assert "num_beams=4" in repr(config)
    changed = copy.copy(config)
    changed.num_beams = None
    assert config.num_beams == 4
    with pytest.raises(AttributeError):
        _ = config.nothing
    transformers = pytest.importorskip("transformers", minversion="5")
    before = model.generation_config
    model.generation_config = transformers.GenerationConfig(max_new_tokens=2)
    assert np.asarray(model.generate(IDS)).shape == (1, 5)
    model.generation_config = before
    with pytest.raises(ValueError, match="generation_config"):
        model.generation_config = 5
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "generation_config.json").write_text(json.dumps({"top_k": 7}))
    assert GenerationConfig.from_pretrained(tmp_path).top_k == 7


# ---- loading, the tokenizer


def test_arguments_of_from_pretrained(path: Path) -> None:
    for auto in (AutoModelForCausalLM, AutoTokenizer):
        for name, neutral in REFUSED_ON_LOADING.items():
            for value in neutral:
                auto.from_pretrained(path, **{name: value, "trust_remote_code": True})
            with pytest.raises(ValueError, match=f"{name}='x' is not implemented here"):
                auto.from_pretrained(path, **{name: "x"})
        with pytest.raises(ValueError, match="did you mean 'revision'"):
            auto.from_pretrained(path, revison="main")
        assert auto.from_pretrained(path, device_map="auto", **dict.fromkeys(DTYPES, "float16"))
    with pytest.raises(ValueError, match=r"n_ctx.*context=…"):
        AutoModelForCausalLM.from_pretrained(path, n_ctx=5)
    tokenizer = AutoTokenizer.from_pretrained(
        path, pad_token="</s>", model_max_length=3, truncation_side="left", chat_template="x"
    )
    assert (tokenizer.pad_token_id, tokenizer.chat_template) == (2, "x")
    assert tokenizer("abcdef", truncation=True)["input_ids"] == tokenizer("abcdef")["input_ids"][-3:]


@pytest.mark.parametrize("name", sorted(REFUSED_IN_CALLS))
def test_refused_by_the_tokenizer(path: Path, name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(path)
    with pytest.raises(ValueError, match=name):
        tokenizer("a", **{name: {"a": 1} if name == "tokenizer_kwargs" else True})
    for neutral in (None, *REFUSED_IN_CALLS[name]):
        assert tokenizer("a", **{name: neutral}) == tokenizer("a")


def test_other_arguments_of_the_tokenizer(path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(path)
    assert tokenizer(["a", "abc"], return_length=True)["length"] == [
        len(row) for row in tokenizer(["a", "abc"])["input_ids"]
    ]
    assert tokenizer("a", return_attention_mask=None) == tokenizer("a", verbose=False)
    for name, value in (("padding", "longst"), ("truncation", "some"), ("paddin", True), ("max_tokens", 3)):
        with pytest.raises(ValueError, match=name):
            tokenizer("a", **{name: value})
    with pytest.raises(ValueError, match=r"skip_special_token'.*did you mean"):
        tokenizer.decode([5], skip_special_token=True)
    with pytest.warns(UserWarning, match="clean_up_tokenization_spaces"):
        tokenizer.decode([5], clean_up_tokenization_spaces=True)
    assert tokenizer.decode([5], clean_up_tokenization_spaces=False) == tokenizer.decode([5])
    messages = [{"role": "user", "content": "a"}]
    for name in ("continue_final_message", "return_assistant_tokens_mask", "sanitize_control_tokens"):
        with pytest.raises(ValueError, match=name):
            tokenizer.apply_chat_template(messages, **{name: True})
    one = tokenizer.apply_chat_template(messages, tokenize=False)
    assert tokenizer.apply_chat_template([messages, messages], tokenize=False) == [one, one]


def test_the_pipeline_of_transformers(bloom: Pair) -> None:
    transformers = pytest.importorskip("transformers", minversion="5")
    before = copy.copy(bloom.model.generation_config)
    run = transformers.pipeline("text-generation", model=bloom.model, tokenizer=bloom.tokenizer)
    prompt = "Human: 你好\n\nAssistant:"
    (made,) = run(prompt, max_new_tokens=8, do_sample=False)  # its own default samples
    rows = bloom.model.generate(bloom.tokenizer(prompt, return_tensors="pt"), max_new_tokens=8)
    assert made["generated_text"] == bloom.tokenizer.decode(rows[0], skip_special_tokens=True)
    with pytest.raises(ValueError, match="num_beams"):
        run(prompt, max_new_tokens=8, num_beams=3)
    assert bloom.model.generation_config == before
