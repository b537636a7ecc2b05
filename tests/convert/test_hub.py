"""Hub ids, against a local stand-in for the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import pytest

from ..hub.stand_in import COMMIT, serve
from .ggml_files import write_ggml
from .gptq_files import copy_metadata, write_checkpoint

pytest.importorskip("huggingface_hub")

REPO = "BelleGroup/BELLE-7B-2M"


def run(
    source: str, out: Path, *options: str, endpoint: str, cache: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    code = "import sys; from belle_edge.cli.main import main; sys.exit(main(['convert', *sys.argv[1:]]))"
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    return subprocess.run(
        [sys.executable, "-c", code, source, "-o", str(out), "--json", *options],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **settings, **environment},
    )


def test_hub_id(make_bloom: Any, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder, cache = make_bloom(), tmp_path / "cache"
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    with serve(REPO, folder) as hub:
        endpoint = hub.url
        done = run(REPO, tmp_path / "out.gguf", endpoint=endpoint, cache=cache)
        assert done.returncode == 0, done.stderr
        unknown = run("BelleGroup/nothing", tmp_path / "no.gguf", endpoint=endpoint, cache=cache)
    assert "model.safetensors" in hub.fetched()
    assert "pytorch_model.bin" not in hub.fetched()
    assert json.loads(done.stdout)["family"] == "belle"
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    found = {key: field.contents() for key, field in reader.fields.items()}
    assert found["general.name"] == "BELLE-7B-2M"
    assert found["general.source.huggingface.repository"] == REPO
    assert found["belle.source.revision"] == COMMIT
    assert unknown.returncode == 1
    assert unknown.stderr.startswith(
        "belle-edge: error: [BelleGroup/nothing] no such folder here, and no such model"
    )

    offline = run(REPO, tmp_path / "two.gguf", endpoint=endpoint, cache=cache)  # the server is gone by now
    assert offline.returncode == 0, offline.stderr
    assert (tmp_path / "two.gguf").read_bytes() == (tmp_path / "out.gguf").read_bytes()
    nothing = run(REPO, tmp_path / "no.gguf", endpoint=endpoint, cache=tmp_path / "other")
    assert nothing.returncode == 1
    assert nothing.stderr.count("\n") == 1
    assert "the hub cannot be reached" in nothing.stderr
    assert "HF_ENDPOINT" in nothing.stderr


def test_gptq_files_of_the_hub(packed_bloom: Any, tmp_path: Path) -> None:
    """One .pt file is the checkpoint; of several one has to be chosen."""
    source, packed = packed_bloom
    folder, cache = tmp_path / "repository", tmp_path / "cache"
    copy_metadata(source, folder)
    write_checkpoint(folder, packed, "bloom7b-2m-4bit-128g.pt")
    (folder / "optimizer.pt").write_bytes(b"not weights")
    with serve("BelleGroup/BELLE-7B-gptq", folder) as hub:
        done = run("BelleGroup/BELLE-7B-gptq", tmp_path / "out.gguf", endpoint=hub.url, cache=cache)
    assert done.returncode == 0, done.stderr
    assert "optimizer.pt" not in hub.fetched()
    write_checkpoint(folder, packed, "bloom7b-2m-8bit-128g.pt")
    with serve("BelleGroup/BELLE-7B-gptq", folder) as hub:
        done = run(
            "BelleGroup/BELLE-7B-gptq", tmp_path / "no.gguf", endpoint=hub.url, cache=tmp_path / "other"
        )
    assert done.returncode == 1
    assert "2 files of weights: bloom7b-2m-4bit-128g.pt, bloom7b-2m-8bit-128g.pt; fetch one" in done.stderr
    assert hub.fetched() == []


def test_chat_belle_of_the_hub(make_llama: Any, tmp_path: Path) -> None:
    """Its repository has one file from before GGUF, and no configuration."""
    write_ggml(make_llama(), tmp_path / "repository" / "belle-model.bin", version="ggjt v1", type="q4_0")
    with serve("BelleGroup/ChatBELLE-int4", tmp_path / "repository") as hub:
        done = run(
            "BelleGroup/ChatBELLE-int4", tmp_path / "out.gguf", endpoint=hub.url, cache=tmp_path / "cache"
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["family"] == "belle-llama"


def test_a_tokenizer_of_the_hub(packed_bloom: Any, tmp_path: Path) -> None:
    """Without the weights there."""
    source, packed = packed_bloom
    path = write_checkpoint(tmp_path / "downloads", packed, "bloom7b-2m-4bit-128g.pt")
    options = ("--tokenizer", "bigscience/bloomz-7b1-mt")
    with serve("bigscience/bloomz-7b1-mt", source) as hub:
        done = run(str(path), tmp_path / "out.gguf", *options, endpoint=hub.url, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert "tokenizer.json" in hub.fetched()
    assert "model.safetensors" not in hub.fetched()
