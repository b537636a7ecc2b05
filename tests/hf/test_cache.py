"""Folders and hub ids are converted once: into a cache that survives damage, changes and two processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge.convert.type_mixes import DEFAULT_TYPE
from belle_edge.hf import AutoModelForCausalLM, AutoTokenizer

from ..hub.stand_in import serve

pytestmark = pytest.mark.slow
LOAD = """
import sys
from belle_edge.convert.type_mixes import DEFAULT_TYPE
from belle_edge.hf import AutoModelForCausalLM, AutoTokenizer
name = sys.argv[1]
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForCausalLM.from_pretrained(name, quantization="q8_0")
print(model.generate(**tokenizer("Once upon a time", return_tensors="np"), max_new_tokens=5).tolist())
"""


@pytest.fixture
def folder(checkpoint: Callable[[str], Path], tmp_path: Path) -> Path:
    """A private copy of the small LLaMA checkpoint."""
    copy = tmp_path / "stories"
    shutil.copytree(checkpoint("llama"), copy)
    return copy


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BELLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(name: Path, **options: Any) -> Any:
    return AutoModelForCausalLM.from_pretrained(name, **options)


def entries(cache: Path) -> dict[Path, int]:
    """Converted files and when they were written."""
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*.gguf")}


def answer(model: Any) -> list[list[int]]:
    rows: list[list[int]] = model.generate([[1, 403, 407, 261, 378]], max_new_tokens=8).tolist()
    return rows


def test_converted_once(folder: Path, cache: Path) -> None:
    first = answer(load(folder, torch_dtype="float16", device_map="auto", trust_remote_code=True))
    made = entries(cache)
    assert len(made) == 1
    assert answer(load(folder)) == first
    assert entries(cache) == made
    load(folder, quantization="f32")
    load(folder, load_in_8bit=True)
    assert {path.name.split("-")[1] for path in entries(cache)} == {DEFAULT_TYPE, "f32", "q8_0"}


def test_a_changed_source_is_converted_again(folder: Path, cache: Path) -> None:
    load(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-6}))
    load(folder)
    os.utime(folder / "model.safetensors", ns=(1, 1))
    load(folder)
    assert len(entries(cache)) == 3


@pytest.mark.parametrize("damage", ["cut", "header", "no note", "foreign note"])
def test_a_damaged_entry_is_made_again(folder: Path, cache: Path, damage: str) -> None:
    expected = answer(load(folder))
    (path,) = entries(cache)
    whole, note = path.read_bytes(), path.with_suffix(".json")
    if damage == "cut":
        path.write_bytes(whole[:-100])
    elif damage == "header":
        path.write_bytes(b"\xff" * 64 + whole[64:])
    elif damage == "no note":
        note.unlink()
    else:
        note.write_text("[]")
    assert answer(load(folder)) == expected
    assert path.read_bytes() == whole


def test_a_failed_conversion_leaves_nothing(folder: Path, cache: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        load(folder)
    assert not entries(cache)
    assert AutoTokenizer.from_pretrained(folder)("a")["input_ids"]  # needs no weights


def test_two_processes_convert_once(folder: Path, cache: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", LOAD, str(folder)], stdout=subprocess.PIPE, text=True)
        for _ in "12"
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs[0] == outputs[1]
    assert len(entries(cache)) == 1


def test_generation_config_of_the_folder(folder: Path) -> None:
    settings = {"eos_token_id": [2, 426], "max_length": 12, "repetition_penalty": 1.5, "pad_token_id": 7}
    (folder / "generation_config.json").write_text(json.dumps({**settings, "transformers_version": "4.28"}))
    model = load(folder, quantization="f32")
    assert model.generation_config.eos_ids == [2, 426]
    assert model.generation_config.padding_id == 7
    assert len(answer_row := model.generate([[1, 403, 407, 261, 378]])[0]) <= 12
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    assert theirs.generate(torch.tensor([[1, 403, 407, 261, 378]]))[0].tolist() == answer_row.tolist()


def test_gguf_folders(folder: Path, tmp_path: Path, cache: Path) -> None:
    for kind in ("q4_0", "q8_0"):
        load(folder, quantization=kind)
    ggufs = tmp_path / "ggufs"
    ggufs.mkdir()
    for path in entries(cache):
        shutil.copy(path, ggufs / f"stories.{path.name.split('-')[1].upper()}.gguf")
    assert answer(load(ggufs, quantization="q8_0")) == answer(load(folder, quantization="q8_0"))
    assert answer(load(ggufs, gguf_file="stories.Q4_0.gguf")) == answer(load(folder, quantization="q4_0"))
    with pytest.raises(ValueError, match=r"choose one: stories\.Q4_0\.gguf, stories\.Q8_0\.gguf"):
        load(ggufs, quantization="f16")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"config\.json and weights"):
        load(tmp_path / "empty")


def test_hub_id(folder: Path, cache: Path, tmp_path: Path) -> None:
    """Downloaded and converted once; the tokenizer alone fetches no weights; without the hub all still works."""
    repo_id = "someone/stories"
    tokenizer_only = (
        "import sys; from belle_edge.hf import AutoTokenizer; AutoTokenizer.from_pretrained(sys.argv[1])"
    )
    with serve(repo_id, folder) as hub:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "hub-home"),
            "NO_PROXY": "*",
        }

        def run(code: str) -> str:
            done = subprocess.run(
                [sys.executable, "-c", code, repo_id],
                capture_output=True,
                text=True,
                timeout=120,
                env=environment,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        run(tokenizer_only)
        assert "model.safetensors" not in hub.fetched()
        first = run(LOAD)
        assert "model.safetensors" in hub.fetched()
        made = entries(cache)
        assert run(LOAD) == first
        assert entries(cache) == made
        assert hub.fetched().count("model.safetensors") == 1
    assert run(LOAD) == first
