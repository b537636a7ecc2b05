"""`belle-edge info`: this machine, and what a file holds and needs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

import belle_edge
from belle_edge.convert import convert
from belle_edge.convert.type_mixes import DEFAULT_TYPE
from belle_edge.text.prompts import FAMILIES

from ..model.gguf_models import random_llama

Converted = Callable[[str, str], Path]
Belle = Callable[..., Any]


def test_this_machine(belle: Belle) -> None:
    report = json.loads(belle("info", "--json").stdout)
    assert report["version"] == belle_edge.__version__
    assert report["isa"] in {tier["name"] for tier in report["tiers"] if tier["supported"]}
    text = belle("info").stdout
    assert f"{report['isa']:<12}active" in text
    assert "available" in text


def test_the_tier_can_be_forced(belle: Belle) -> None:
    assert json.loads(belle("info", "--json", BELLE_ISA="scalar").stdout)["isa"] == "scalar"
    done = belle("info", BELLE_ISA="nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "scalar" in done.stderr  # the choices are listed


def test_a_file(belle: Belle, model: Path, research_only: Path) -> None:
    report = json.loads(belle("info", model, "--context", "100", "--json").stdout)
    assert (report["architecture"], report["family"]) == ("bloom", "belle")
    assert report["shape"]["n_layers"] == 4
    assert sum(entry["bytes"] for entry in report["types"].values()) < report["size_bytes"]
    assert 4.5 <= report["bits_per_weight"] < 5
    assert report["preset"]["temperature"] == 0.35
    assert report["kv_cache"]["tokens"] == 100
    assert report["kv_cache"]["bytes"] == 128 * report["kv_cache"]["bytes_per_token"]  # whole pages of 32
    text = belle("info", model).stdout
    assert f" at {report['bits_per_weight']:.2f} bits" in text
    assert "q4_0" in text
    assert "licence       apache-2.0" in text
    assert "research" in belle("info", research_only).stdout


@pytest.mark.slow
def test_memory_agrees_with_the_engine(belle: Belle, converted: Converted) -> None:
    for name, kind in (("llama", "f32"), ("bloom", "q4_0"), ("bloom", "f32")):
        path = converted(name, kind)
        report = json.loads(belle("info", path, "--json").stdout)
        with belle_edge.Belle.load(path) as loaded:
            assert report["memory"]["weights"] == loaded.details["weight_bytes"]
            assert report["kv_cache"]["type"] == loaded.details["kv_type"]
            assert report["kv_cache"]["bytes_per_token"] == loaded.details["kv_bytes_per_token"]
            assert report["shape"]["vocab_size"] == loaded.config["vocab_size"]
            sequence = loaded.backend.new_sequence()  # holds its pages
            loaded.backend.forward([(sequence, [5] * loaded.context)], logits="none")
            assert report["memory"]["kv"] == loaded.details["kv_bytes"]


def test_memory_with_another_cache(belle: Belle, converted: Converted) -> None:
    path = converted("bloom", "f32")
    f32 = json.loads(belle("info", path, "--json", "--context", "64").stdout)["memory"]
    f16 = json.loads(belle("info", path, "--json", "--context", "64", "--kv", "f16").stdout)["memory"]
    assert (f32["kv_type"], f16["kv_type"]) == ("f32", "f16")
    assert f32["kv"] == 2 * f16["kv"]
    assert f32["total"] - f16["total"] == f16["kv"]
    q8 = json.loads(belle("info", path, "--json", "--context", "64", "--kv", "q8").stdout)["memory"]
    assert q8["kv"] == 64 * q8["kv_bytes_per_token"]
    with belle_edge.Belle.load(path, kv="q8") as loaded:
        assert loaded.details["kv_type"] == q8["kv_type"] == "q8"
        assert loaded.details["kv_bytes_per_token"] == q8["kv_bytes_per_token"]


def test_template(belle: Belle, model: Path, converted: Converted) -> None:
    assert belle("info", model, "--template").stdout == FAMILIES["belle"].chat_template + "\n"
    done = belle("info", converted("llama", "f32"), "--template")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no chat template" in done.stderr
    assert "needs a GGUF file" in belle("info", "--template").stderr


def test_verbose_lists_tensors_and_provenance(belle: Belle, model: Path) -> None:
    text = belle("info", model, "--verbose").stdout
    assert "blk.3.ffn_down.weight" in text
    assert "256 x 1024" in text
    assert "belle.family" in text
    assert "blk.3" not in belle("info", model).stdout


@pytest.mark.slow
def test_the_forms_of_activations(belle: Belle, model: Path) -> None:
    assert "activations" not in belle("info", model).stdout
    text = belle("info", model, "--verbose", BELLE_ISA="scalar").stdout
    assert "activations   block32, the only form of tier scalar" in text
    tiers = [tier for tier in json.loads(belle("info", "--json").stdout)["tiers"] if tier["supported"]]
    wide = [tier for tier in tiers if len(tier["activation_forms"]) > 1]
    if not wide:
        pytest.skip("no tier here has another form (BELLE_EMULATE_AMX=1 builds one)")
    isa, forms = wide[0]["name"], wide[0]["activation_forms"]
    done = belle("info", model, "--verbose", BELLE_ISA=isa, BELLE_ACTIVATIONS="")
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("  blk.*.")]
    assert [line[:2] for line in lines] == [
        [f"blk.*.{name}.weight", "q4_0"] for name in ("attn_qkv", "attn_output", "ffn_up", "ffn_down")
    ]
    for line in lines:
        counts = re.findall(r"(\d+) ([a-z]+\d+)\b", " ".join(line[2 : line.index("weights")]))
        assert sum(int(count) for count, _ in counts) == 4
        assert {form for _, form in counts} <= set(forms)
        assert {"weights", *forms} <= set(line)
    if wide[0]["prompt_attention"] != "float32":
        assert f"block32: {wide[0]['prompt_attention']}" in done.stdout
    read_ahead = [line for line in done.stdout.splitlines() if line.startswith("read ahead")]
    assert len(read_ahead) == 1
    assert "one token 9,216 bytes, several 9,216 bytes (the default" in read_ahead[0]
    given = belle("info", model, "--verbose", BELLE_ISA=isa, BELLE_ACTIVATIONS=forms[-1]).stdout
    assert "BELLE_ACTIVATIONS names the form" in given


def test_a_file_of_several_types(belle: Belle, tmp_path: Path) -> None:
    """Named as llama.cpp names it, where the file says so; the types by bytes."""
    model = random_llama(hidden=256, feed_forward=256)
    q6_k = gguf.GGMLQuantizationType.Q6_K
    model.raw = {"blk.0.ffn_down.weight": (q6_k, np.zeros((256, 210), np.uint8))}
    del model.tensors["blk.0.ffn_down.weight"]
    unnamed = model.write(tmp_path / "unnamed.gguf", "q8_0")
    model.extra = {"general.file_type": int(gguf.LlamaFileType.MOSTLY_Q4_K_M)}
    path = model.write(tmp_path / "mixed.gguf", "q8_0")
    report = json.loads(belle("info", path, "--json").stdout)
    assert (report["file_type"], report["mixed"]) == ("q4_k_m", True)
    assert report["types"]["q6_k"] == {"tensors": 1, "weights": 256 * 256, "bytes": 256 * 210}
    lines = belle("info", path).stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("weights  "))
    assert lines[at].endswith(" bits, q4_k_m, mixed")
    assert [line.split()[0] for line in lines[at + 1 : at + 4]] == ["q8_0", "q6_k", "f32"]
    assert " bits, mixed\n" in belle("info", unnamed).stdout


@pytest.mark.parametrize(
    "settings", [{}, {"type": "q4_0"}, {"type": "iq4_xs"}, {"type": "q4_k_m"}, {"pure": True}]
)
def test_the_mix_of_a_file(
    belle: Belle, checkpoint: Callable[[str], Path], tmp_path: Path, settings: dict[str, Any]
) -> None:
    """By its matrices: llama.cpp has one number for iq4_xs and our default."""
    convert(checkpoint("bloom"), tmp_path / "model.gguf", **settings)
    report = json.loads(belle("info", tmp_path / "model.gguf", "--json").stdout)
    mix = None if "pure" in settings else settings.get("type", DEFAULT_TYPE)
    assert (report["mix"], report["mixed"]) == (mix, mix is not None)
    assert f" bits, {mix or 'iq4_xs'}" in belle("info", tmp_path / "model.gguf").stdout
