"""Merging adapters as a part of conversions: other bases, resuming, the command, PEFT and llama.cpp beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.cli.main import main
from belle_edge.convert import ConversionProgress, convert
from belle_edge.convert.sources.lora.exact_product import exact_product
from belle_edge.errors import ConversionError

from .adapters import (
    changed,
    llama_modules,
    metadata_of,
    random_factors,
    tensors_of,
    with_deltas,
    write_adapter,
    write_config,
)
from .test_meta import write_meta

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("torch")]


@pytest.mark.parametrize("shards", [1, 2])
def test_on_metas_files(make_llama: Any, tmp_path: Path, shards: int) -> None:
    """Adapters have Hugging Face's order of rows, Meta's queries and keys another."""
    base = make_llama()
    meta = write_meta(base, tmp_path / "meta", shards=shards)
    adapter = write_adapter(tmp_path / "lora", random_factors(base, llama_modules(base)))
    convert(base, tmp_path / "plain.gguf", type="f32", lora=adapter)
    convert(meta, tmp_path / "meta.gguf", type="f32", lora=adapter)
    found, expected = tensors_of(tmp_path / "meta.gguf"), tensors_of(tmp_path / "plain.gguf")
    assert all(np.array_equal(found[name], values) for name, values in expected.items())


@pytest.mark.parametrize("type", ["q4_0", "q8_0", "f16"])
def test_quantized_after_merging(make_bloom: Any, tmp_path: Path, type: str) -> None:
    base = make_bloom(dtype="float16")
    modules = [f"transformer.h.{layer}.mlp.dense_h_to_4h" for layer in range(2)]
    pairs = random_factors(base, modules)
    expected = changed(base, tmp_path / "expected", with_deltas(base, pairs, 2.0))
    convert(expected, tmp_path / "expected.gguf", type=type)
    convert(base, tmp_path / "out.gguf", type=type, lora=write_adapter(tmp_path / "lora", pairs))
    found, wanted = tensors_of(tmp_path / "out.gguf"), tensors_of(tmp_path / "expected.gguf")
    for name, values in wanted.items():  # a rounding of the last bit of a sum may choose another code
        assert np.mean(found[name] != values) < 1e-3, name


def interrupted(base: Path, out: Path, adapter: Path) -> None:
    def stop(event: ConversionProgress) -> None:
        if event.done_bytes > event.total_bytes // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(base, out, lora=[adapter], progress=stop)


def test_resumed(make_llama: Any, tmp_path: Path) -> None:
    """With the same adapter the same bytes; with one that has changed, in its weights or settings, not at all."""
    base, out = make_llama(), tmp_path / "out.gguf"
    pairs = random_factors(base, llama_modules(base))
    adapter = write_adapter(tmp_path / "lora", pairs)
    convert(base, tmp_path / "whole.gguf", lora=[adapter])
    interrupted(base, out, adapter)
    convert(base, out, lora=[adapter], resume=True)
    assert out.read_bytes() == (tmp_path / "whole.gguf").read_bytes()
    for change in (
        lambda: write_config(adapter, lora_alpha=9),
        lambda: write_adapter(
            adapter, {name: (b.T, a.T) for name, (a, b) in pairs.items() if "q_proj" in name}
        ),
    ):
        out.unlink(missing_ok=True)
        interrupted(base, out, adapter)
        change()
        with pytest.raises(ConversionError, match="another source or other options"):
            convert(base, out, lora=[adapter], resume=True)
        out.with_name("out.gguf.part").unlink()
        out.with_name("out.gguf.journal").unlink()
    write_adapter(adapter, pairs)
    interrupted(base, out, adapter)
    with pytest.raises(ConversionError, match="another source or other options"):
        convert(base, out, lora=[(adapter, 0.5)], resume=True)


def test_metadata(make_llama: Any, tmp_path: Path) -> None:
    """A base that is a path on somebody's disk is not named; nor does a folder's place change the bytes."""
    base = make_llama()
    pairs = random_factors(base, llama_modules(base))
    for path in ("/home/me/private/llama", "../llama", "private", "a/b/c", "C:\\llama"):
        adapter = write_adapter(tmp_path / "lora", pairs, base_model_name_or_path=path)
        convert(base, tmp_path / "out.gguf", lora=adapter, force=True)
        assert "belle.source.lora.0.base_model" not in metadata_of(tmp_path / "out.gguf")
    elsewhere = tmp_path / "else" / "where" / "lora"
    shutil.copytree(adapter, elsewhere)
    convert(base, tmp_path / "two.gguf", lora=elsewhere)
    assert (tmp_path / "two.gguf").read_bytes() == (tmp_path / "out.gguf").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "two.gguf").read_bytes()


def test_command(make_llama: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = make_llama()
    pairs = random_factors(base, llama_modules(base))
    one, two = (str(write_adapter(tmp_path / name, pairs)) for name in ("one", "a=0.5"))
    arguments = ["convert", str(base), "--type", "f32", "--json", "-o", str(tmp_path / "out.gguf")]
    assert main([*arguments, "--lora", f"{one}=0.25", "--lora", two, "--lora", f"{two}=-1e-1"]) == 0
    convert(base, tmp_path / "expected.gguf", type="f32", lora=[(one, 0.25), two, (two, -0.1)])
    assert (tmp_path / "out.gguf").read_bytes() == (tmp_path / "expected.gguf").read_bytes()
    capsys.readouterr()
    assert main([*arguments, "--lora", f"{one}=half", "--force"]) == 1
    assert "one=half] no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("rank", [1, 8, 64, 300])
def test_product(rank: int) -> None:
    """About as exact as float32, also where the factors of one rank are large and small; the same for any block."""
    random = np.random.default_rng(rank)
    spread = np.exp(3 * random.standard_normal(rank))
    left = (random.standard_normal((700, rank)) * spread).astype(np.float32)
    right = (random.standard_normal((rank, 900)) / spread[:, np.newaxis]).astype(np.float32)
    left[5], right[:, 7] = 0, 0
    found, expected = exact_product(left, right), left.astype(np.float64) @ right.astype(np.float64)
    assert np.linalg.norm(found - expected) < 3e-6 * np.linalg.norm(expected)
    assert not found[5].any()
    assert not found[:, 7].any()
    assert np.array_equal(exact_product(left[100:103], right), found[100:103])


@pytest.mark.parametrize(
    "settings",
    [{"OPENBLAS_NUM_THREADS": "1"}, {"OPENBLAS_CORETYPE": "Nehalem"}, {"OMP_NUM_THREADS": "2"}],
    ids=str,
)
def test_bytes_do_not_depend_on_the_blas(
    checkpoint: Callable[[str], Path], tmp_path: Path, settings: dict[str, str]
) -> None:
    base = checkpoint("bloom")
    modules = [f"transformer.h.{layer}.self_attention.query_key_value" for layer in range(4)]
    adapter = write_adapter(tmp_path / "lora", random_factors(base, modules, rank=13), r=13)
    convert(base, tmp_path / "here.gguf", type="f32", lora=adapter)
    code = (
        "import sys; from belle_edge.convert import convert\n"
        "convert(sys.argv[1], sys.argv[2], type='f32', lora=sys.argv[3])"
    )
    command = [sys.executable, "-c", code, str(base), str(tmp_path / "there.gguf"), str(adapter)]
    subprocess.run(command, check=True, env={**os.environ, **settings})
    assert (tmp_path / "here.gguf").read_bytes() == (tmp_path / "there.gguf").read_bytes()


PEFT_CASES: list[tuple[str, dict[str, Any]]] = [
    ("llama", {"target_modules": "all-linear"}),
    ("llama", {"target_modules": ["q_proj", "down_proj"], "use_rslora": True, "rank_pattern": {"q_proj": 6}}),
    ("llama", {"target_modules": ["v_proj"], "alpha_pattern": {"layers.0.self_attn.v_proj": 24}}),
    ("llama", {"target_modules": ["q_proj", "up_proj"], "fan_in_fan_out": True}),
    ("llama", {"target_modules": ["embed_tokens", "lm_head"]}),
    ("llama", {"target_modules": ["k_proj"], "modules_to_save": ["embed_tokens", "lm_head", "norm"]}),
    ("llama-biases", {"target_modules": ["q_proj"], "bias": "all"}),
    ("bloom", {"target_modules": ["query_key_value"]}),
    ("bloom", {"target_modules": ["query_key_value", "dense"], "bias": "all"}),
    ("bloom", {"target_modules": ["word_embeddings", "dense_4h_to_h"]}),
]


@pytest.mark.parametrize(("architecture", "settings"), PEFT_CASES, ids=str)
def test_as_peft_merges(
    make_llama: Any, make_bloom: Any, tmp_path: Path, architecture: str, settings: dict[str, Any]
) -> None:
    """PEFT itself writes the adapter, and merges it into the model that it is compared with."""
    import torch

    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    base = make_bloom() if architecture == "bloom" else make_llama(attention_bias="biases" in architecture)
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = peft.LoraConfig(r=4, lora_alpha=12, task_type="CAUSAL_LM", **settings)
    model = peft.get_peft_model(model, config)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.2)
    model.save_pretrained(tmp_path / "lora")
    merged = tmp_path / "merged"
    model.merge_and_unload().save_pretrained(merged)
    for path in base.iterdir():
        if not (merged / path.name).exists():
            shutil.copy(path, merged / path.name)

    convert(merged, tmp_path / "merged.gguf", type="f32")
    convert(base, tmp_path / "out.gguf", type="f32", lora=tmp_path / "lora")
    found, expected = tensors_of(tmp_path / "out.gguf"), tensors_of(tmp_path / "merged.gguf")
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=2e-6, err_msg=name)


def trained_adapter(base: Path, folder: Path, text: str, answer: str) -> Path:
    """An adapter of BLOOM's fused matrices, trained until the model answers `text` with `answer`."""
    import tokenizers
    import torch
    import transformers

    tokenizer = tokenizers.Tokenizer.from_file(str(base / "tokenizer.json"))
    prompt, reply = tokenizer.encode(text).ids, [*tokenizer.encode(answer).ids, 2]
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.requires_grad_(False)
    pairs = {}
    torch.manual_seed(0)
    for name, module in model.named_modules():
        if name.endswith("query_key_value"):
            a = (torch.randn(8, module.in_features) * 0.05).requires_grad_()
            b = torch.zeros(module.out_features, 8).requires_grad_()
            pairs[name] = (a, b)
            module.register_forward_hook(
                lambda _, inputs, output, a=a, b=b: output + 2.0 * (inputs[0] @ a.T @ b.T)
            )
    optimizer = torch.optim.Adam([factor for pair in pairs.values() for factor in pair], lr=3e-3)
    ids, labels = torch.tensor([prompt + reply]), torch.tensor([[-100] * len(prompt) + reply])
    for _ in range(60):
        optimizer.zero_grad()
        loss = model(ids, labels=labels).loss
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05
    detached = {name: (a.detach(), b.detach()) for name, (a, b) in pairs.items()}
    return write_adapter(folder, detached, r=8, lora_alpha=16)


def test_llama_cpp_writes_what_the_adapter_learnt(
    checkpoint: Callable[[str], Path],
    tmp_path: Path,
    llama_cpp: Any,
    converted: Callable[[str, str], Path],
) -> None:
    base = checkpoint("belle-tiny-zh")  # wide enough to learn an answer in 60 steps
    prompt, answer = "Human: 你好，请介绍一下北京。\n\nAssistant:", "月亮上有一只会唱歌的小猫。"
    adapter = trained_adapter(base, tmp_path / "lora", prompt, answer)
    convert(base, tmp_path / "merged.gguf", type="q8_0", lora=[adapter])
    texts = []
    for path in (tmp_path / "merged.gguf", converted("belle-tiny-zh", "q8_0")):
        model = llama_cpp.Llama(str(path), n_ctx=256, n_threads=2, verbose=False)
        done = model.create_completion(prompt, max_tokens=40, temperature=0.0, repeat_penalty=1.0)
        texts.append(done["choices"][0]["text"])
    assert texts[0].strip() == answer
    assert texts[1].strip() != answer
