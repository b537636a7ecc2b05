"""`belle-edge identify` of a hub id against a local stand-in: metadata is fetched, weights are not."""

from __future__ import annotations

import json

import pytest

from .conftest import Run
from .stand_in import serve


@pytest.mark.slow
def test_no_weights_are_fetched(command: Run) -> None:
    config = {"model_type": "bloom", "vocab_size": 250880, "n_layer": 30, "n_embed": 4096}
    files = {
        "config.json": json.dumps(config).encode(),
        "README.md": b"# Some title",
        "pytorch_model.bin": bytes(1_000_000),
    }
    with serve("BelleGroup/BELLE-7B-2M", files) as hub:
        done = command(hub.url, "identify", "BelleGroup/BELLE-7B-2M", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["family"], report["confidence"], report["name"]) == ("belle", "certain", "BELLE-7B-2M")
    assert sorted(hub.fetched()) == ["README.md", "config.json"]


@pytest.mark.slow
def test_an_encrypted_repository_is_known_by_its_names(command: Run) -> None:
    name = f"pytorch_model.bin.{'a' * 64}.enc"
    with serve("someone/a-copy", {name: bytes(1000), "LICENSE": b"x"}) as hub:
        done = command(hub.url, "identify", "someone/a-copy")
    assert done.returncode == 0, done.stderr
    assert "family        belle-llama (guess)" in done.stdout
    assert "1 file in BELLE's encrypted form" in done.stdout
    assert hub.fetched() == ["LICENSE"]
