"""`belle-edge identify`: what it says, to people and to scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Belle = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint without weights."""
    path = tmp_path / "BELLE-LLaMA-EXT-7B"
    path.mkdir()
    config = {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 79458}
    (path / "config.json").write_text(json.dumps(config))
    return path


def test_for_people(belle: Belle, folder: Path) -> None:
    done = belle("identify", folder)
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "model         BELLE-LLaMA-EXT-7B",
        "family        belle-ext (certain): BELLE-LLaMA-EXT-7B and -13B (extended Chinese vocabulary)",
        r'prompt        "Human: {x}\n\nBelle: "',
        r'stops         ["EOS", "\nHuman:"]',
        "special ids   bos 1, eos 2, unk 0, pad 0 (as published)",
        "base model    Meta/LLaMA",
        "  6  folder name: BELLE-LLaMA-EXT-7B → belle-ext",
        "  5  vocabulary: 79,458 rows: BELLE-LLaMA-EXT's → belle-ext",
    ):
        assert line in done.stdout.splitlines()
    assert "documented with two templates" in done.stdout
    assert "--family NAME` overrides" in done.stdout


@pytest.mark.slow
def test_for_scripts(belle: Belle, folder: Path) -> None:
    report = json.loads(belle("identify", folder, "--json").stdout)
    assert (report["family"], report["confidence"]) == ("belle-ext", "certain")
    assert report["preset"] == {
        "temperature": 0.5,
        "top_k": 30,
        "top_p": 0.85,
        "repetition_penalty": 1.2,
    }
    assert report["license"]["name"].startswith("LLaMA licence of Meta")
    assert {piece["source"] for piece in report["evidence"]} == {
        "folder name",
        "architecture",
        "vocabulary",
        "shape",
    }
    given = json.loads(belle("identify", folder, "--json", "--family", "belle-llama").stdout)
    assert (given["family"], given["confidence"]) == ("belle-llama", "given")
    assert given["prompt"] == "Human: {x} \n\nAssistant: "


@pytest.mark.slow
def test_an_unknown_model_is_an_answer(belle: Belle, checkpoint: Callable[[str], Path]) -> None:
    source = checkpoint("llama")
    done = belle("identify", source)
    assert (done.returncode, done.stderr) == (0, "")
    assert "family        none: not a known BELLE" in done.stdout
    report = json.loads(belle("identify", source, "--json").stdout)
    assert (report["family"], report["confidence"], report["prompt"]) == (None, "none", None)
    assert report["special_ids"] == {"bos": 1, "eos": 2, "unk": 0, "pad": None}


@pytest.mark.slow
def test_what_is_no_source(belle: Belle, model: Path, tmp_path: Path) -> None:
    for source, text in ((model, "belle-edge info"), (tmp_path / "nothing", "no such file or folder")):
        done = belle("identify", source)
        assert (done.returncode, done.stdout) == (1, "")
        assert text in done.stderr
