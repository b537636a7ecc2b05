"""Whole comparisons: a file with itself, with its folder, rounded, damaged; the float model's answers and layers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from belle_edge import Belle
from belle_edge.convert import convert
from belle_edge.convert.reference import PastTokens, ReferenceModel
from belle_edge.convert.sources.gguf.gguf_source import open_gguf
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.errors import ConversionError, ModelFormatError
from belle_edge.quality.comparison import Candidate, Comparison, Share
from belle_edge.quality.comparison.compare_options import CompareOptions
from belle_edge.quality.comparison.comparing import compare

from ..model.gguf_models import GgufModel, random_bloom, random_llama

Made = Callable[[str, str], Path]
OPTIONS = CompareOptions(max_tokens=1500, worst=2, answer_tokens=8, family="belle", threads=1)


def only(reference: Path, candidate: Path, options: CompareOptions = OPTIONS, **more: Any) -> Candidate:
    (found,) = compare(reference, [candidate], options=options, **more).comparison.candidates
    return found


@pytest.fixture(scope="module")
def damaged(checkpoint: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF of the bundled model, one layer's weights overwritten with noise; its checksums are right."""
    folder = tmp_path_factory.mktemp("damaged")
    shutil.copytree(checkpoint("bloom"), folder / "m")
    tensors = load_file(folder / "m" / "model.safetensors")
    random = np.random.default_rng(1)
    for name, values in tensors.items():
        if ".h.1." in name or name.startswith("h.1."):
            noise = random.standard_normal(values.shape) * max(float(values.std()), 0.1)
            tensors[name] = noise.astype(values.dtype)
    save_file(tensors, folder / "m" / "model.safetensors", metadata={"format": "pt"})
    convert(folder / "m", folder / "damaged.gguf", type="q4_0", family="belle")
    return folder / "damaged.gguf"


def test_verdicts_differ_rightly(converted: Made, damaged: Path, checkpoint: Callable[[str], Path]) -> None:
    same, rounded = converted("bloom", "f32"), converted("bloom", "q4_0")
    found = compare(checkpoint("bloom"), [same, rounded, damaged], options=OPTIONS)
    comparison = found.comparison
    first, second, third = comparison.candidates
    assert [one.verdict.level for one in comparison.candidates] == ["identical", "changed", "damaged"]
    assert first.languages["all"].kl_max < 1e-6
    assert first.first_words.changed == 0
    assert max(layer.error for layer in first.layers) < 1e-5
    assert 1e-3 < second.languages["all"].kl_mean < 0.1 < third.languages["all"].kl_mean
    assert third.layers[0].error < 0.1 < third.layers[1].error
    assert [texts.language for texts in comparison.texts] == ["zh", "en", "other"]
    assert list(first.languages) == ["all", "zh", "en", "other"]
    assert Comparison.from_json(comparison.to_json()) == comparison
    assert (comparison.reference.kind, comparison.reference.engine) == ("checkpoint", "reference")
    assert (second.side.name, second.side.type, second.side.engine) == (rounded.name, "q4_0", "native")
    assert str(rounded.parent) not in comparison.to_json()
    assert [stage.name for stage in found.stages][:2] == ["layers", "next tokens"]


def test_a_file_with_itself(converted: Made) -> None:
    path = converted("bloom", "q4_0")
    found = only(path, path)
    everything = found.languages["all"]
    assert found.verdict.level == "identical"
    assert (everything.kl_max, everything.top1, everything.top5) == (0, 1, 1)
    assert everything.perplexity == everything.reference_perplexity
    assert all(layer.error == 0 for layer in found.layers)
    assert all(prompt.first_difference is None and prompt.answer for prompt in found.worst)


def test_a_folder_and_its_f32_file_are_the_same_reference(
    converted: Made, checkpoint: Callable[[str], Path]
) -> None:
    rounded = converted("bloom", "q4_0")
    of_folder = only(checkpoint("bloom"), rounded)
    of_file = only(converted("bloom", "f32"), rounded)
    for name, measures in of_folder.languages.items():
        other = of_file.languages[name]
        assert measures.kl_mean == pytest.approx(other.kl_mean, rel=1e-3)
        assert measures.reference_perplexity == pytest.approx(other.reference_perplexity, rel=1e-4)
        assert measures.perplexity == pytest.approx(other.perplexity, rel=1e-6)
    assert of_folder.layers == of_file.layers
    assert of_folder.first_words == of_file.first_words
    assert [replace(prompt, kl=0) for prompt in of_folder.worst] == [
        replace(prompt, kl=0) for prompt in of_file.worst
    ]


def test_answers_are_those_that_the_model_gives(converted: Made, checkpoint: Callable[[str], Path]) -> None:
    """Also of the float model, which keeps its keys and values."""
    found = only(checkpoint("bloom"), converted("bloom", "f32"), replace(OPTIONS, worst=4))
    with Belle.load(converted("bloom", "f32")) as model:
        for prompt in found.worst:
            answer = model.generate(prompt.prompt, max_tokens=8, temperature=0, repetition_penalty=1).text
            assert prompt.reference_answer == prompt.answer
            assert prompt.answer is not None
            assert prompt.answer.strip() == answer.strip()


def test_a_streamed_candidate_needs_no_engine(converted: Made, checkpoint: Callable[[str], Path]) -> None:
    """Its numbers are those of the dequantized weights, which the engine rounds activations beside."""
    options = replace(OPTIONS, backend="reference")
    streamed = only(checkpoint("bloom"), converted("bloom", "q4_0"), options)
    loaded = only(checkpoint("bloom"), converted("bloom", "q4_0"))
    assert streamed.side.engine == "reference"
    assert streamed.layers == loaded.layers
    assert streamed.languages["all"].kl_mean == pytest.approx(loaded.languages["all"].kl_mean, rel=0.2)
    assert only(checkpoint("bloom"), converted("bloom", "f32"), options).languages["all"].kl_max < 1e-9


def test_candidates_that_llama_cpp_runs(converted: Made, llama_cpp: Any) -> None:
    """Its passes are larger than the cache of a model with a context of 256."""
    path = converted("bloom", "f32")
    found = only(path, path, replace(OPTIONS, backend="llama.cpp"))
    assert (found.verdict.level, found.side.engine) == ("identical", "llama.cpp")
    assert found.languages["all"].kl_max < 1e-4
    assert [prompt.first_difference for prompt in found.worst] == [None, None]


def test_answers_can_be_left_out(converted: Made) -> None:
    path = converted("bloom", "q4_0")
    found = only(path, path, replace(OPTIONS, answer_tokens=0))
    assert [(prompt.answer, prompt.reference_answer) for prompt in found.worst] == [(None, None)] * 2
    assert only(path, path, replace(OPTIONS, worst=0)).worst == ()


def test_running_text_has_no_first_words(converted: Made, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("今天是星期五。" * 400, encoding="utf-8")
    found = only(converted("bloom", "f32"), converted("bloom", "q4_0"), data=[str(path)])
    assert (found.first_words, found.worst) == (Share(0, 0), ())
    assert list(found.languages) == ["all", "zh"]


def test_optimized_files_need_no_special_case(
    checkpoint: Callable[[str], Path], converted: Made, tmp_path: Path
) -> None:
    """Scales of columns are taken up by norms, so that what comes out of a layer stays comparable."""
    path = tmp_path / "optimized.gguf"
    convert(checkpoint("llama"), path, type="q8_0", optimize="fast")
    options = replace(OPTIONS, family=None, answer_tokens=0)
    optimized = only(checkpoint("llama"), path, options)
    plain = only(checkpoint("llama"), converted("llama", "q8_0"), options)
    for one, other in zip(optimized.layers, plain.layers, strict=True):
        assert one.error < 1.5 * other.error < 0.1


@pytest.mark.parametrize("make", [random_bloom, random_llama])
def test_tokens_behind_kept_ones_are_what_they_are_in_a_whole_text(
    make: Callable[[], GgufModel], tmp_path: Path
) -> None:
    path = make().write(tmp_path / "m.gguf")
    model = ReferenceModel.of(open_gguf(path, SourceOptions()), threads=2)
    random = np.random.default_rng(2)
    texts = [random.integers(0, model.n_vocab, n).tolist() for n in (9, 4, 17)]
    whole, lengths = model.embed(np.concatenate(texts)), [9, 4, 17]
    for layer in range(model.n_layers):
        whole = model.run(layer, whole, lengths)
    past, got = PastTokens(3), [np.empty((0, model.width), np.float32)] * 3
    for cuts in (((0, 5), (0, 4), (0, 1)), ((5, 6), (4, 4), (1, 16)), ((6, 9), (4, 4), (16, 17))):
        parts = [text[begin:end] for text, (begin, end) in zip(texts, cuts, strict=True)]
        new = [len(part) for part in parts]
        hidden = model.embed(np.concatenate(parts).astype(np.intp))
        for layer in range(model.n_layers):
            hidden = model.run(layer, hidden, new, past=past)
        past.advance(new)
        pieces = np.split(hidden, np.cumsum(new)[:-1])
        got = [np.concatenate(pair) for pair in zip(got, pieces, strict=True)]
    assert np.concatenate(got).tobytes() == whole.tobytes()


def test_what_cannot_be_compared(converted: Made, checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    path = converted("bloom", "q4_0")
    with pytest.raises(ConversionError, match="only models with the same vocabulary"):
        only(path, converted("llama", "q8_0"))
    with pytest.raises(ConversionError, match="a candidate is a GGUF file: convert it first"):
        only(path, checkpoint("bloom"))
    with pytest.raises(ValueError, match="unknown backend 'torch'"):
        replace(OPTIONS, backend="torch")
    broken = tmp_path / "broken.gguf"
    content = bytearray(path.read_bytes())
    content[-5000] ^= 1
    broken.write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"broken\.gguf"):
        only(path, broken)


def test_progress_reaches_its_end(converted: Made, checkpoint: Callable[[str], Path]) -> None:
    told: list[tuple[str, int, int]] = []
    compare(
        checkpoint("bloom"),
        [converted("bloom", "q4_0")],
        options=OPTIONS,
        progress=lambda *event: told.append(event),
    )
    assert [event for event in told if event[1] == 0]
    ends = {stage: (done, total) for stage, done, total in told}
    assert ends["layers"][0] == ends["layers"][1] > 0
    assert ends["next tokens"][0] == ends["next tokens"][1] > 0
    assert 0 < ends["answers"][0] <= ends["answers"][1]


def test_the_float_model_is_transformers(
    checkpoint: Callable[[str], Path], converted: Made, torch: Any, tmp_path: Path
) -> None:
    """KL of a rounded file against transformers' logits on the same ids is what the comparison says."""
    from transformers import AutoModelForCausalLM

    from belle_edge.divergence import kl_divergence, log_softmax

    data = tmp_path / "a.jsonl"
    data.write_text(json.dumps({"text": "请告诉我日本的首都。日本的首都是东京。"}) + "\n", encoding="utf-8")
    found = only(checkpoint("bloom"), converted("bloom", "q4_0"), data=[str(data)])
    original = AutoModelForCausalLM.from_pretrained(checkpoint("bloom"), dtype=torch.float32)
    with Belle.load(converted("bloom", "q4_0"), threads=1) as model, torch.inference_mode():
        ids = model.tokenize("请告诉我日本的首都。日本的首都是东京。")
        expected = original(torch.tensor([ids])).logits[0].numpy()
        got = model.logits(ids)
    n = min(expected.shape[1], got.shape[1])
    kl = kl_divergence(log_softmax(expected[:-1, :n]), log_softmax(got[:-1, :n]))
    assert found.languages["all"].n_tokens == len(kl)
    assert found.languages["all"].kl_mean == pytest.approx(float(kl.mean()), rel=1e-3)
    assert found.languages["all"].kl_max == pytest.approx(float(kl.max()), rel=1e-3)
