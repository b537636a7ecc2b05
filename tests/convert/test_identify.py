"""Which BELLE a checkpoint is taken for, and what the output says about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import pytest

from belle_edge.convert import convert
from belle_edge.convert.identify import Identity, identify
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.files import FolderFiles
from belle_edge.errors import ConversionError


def identified(
    tmp_path: Path,
    name: str,
    architecture: str,
    *,
    rows: int = 32000,
    repo_id: str | None = None,
    **config: Any,
) -> Identity:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    checkpoint = Checkpoint(FolderFiles(folder), repo_id, None, config, {})
    return identify(checkpoint, architecture=architecture, n_vocab_rows=rows)


@pytest.mark.parametrize(
    ("name", "architecture", "family", "license"),
    [
        ("BELLE-7B-2M", "bloom", "belle", "bigscience-bloom-rail-1.0"),
        ("BELLE-7B-0.2M", "bloom", "belle", "bigscience-bloom-rail-1.0"),
        ("belle-7b-0.5m", "bloom", "belle", "bigscience-bloom-rail-1.0"),
        ("BELLE-LLaMA-7B-2M", "llama", "belle-llama", "other"),
        ("BELLE-LLaMA-7B-0.6M-enc", "llama", "belle-llama", "other"),
        ("BELLE-LLaMA-13B-2M", "llama", "belle-llama", "other"),
        ("BELLE-LLaMA-EXT-7B", "llama", "belle-ext", "other"),
        ("BELLE-LLaMA-EXT-13B", "llama", "belle-ext", "other"),
        ("BELLE-Llama2-13B-chat-0.4M", "llama", "belle-v2", "llama2"),
    ],
)
def test_released_models(tmp_path: Path, name: str, architecture: str, family: str, license: str) -> None:
    by_folder = identified(tmp_path, name, architecture)
    assert (by_folder.family, by_folder.name) == (family, name)
    assert by_folder.license is not None
    assert by_folder.license.id == license
    assert "research use only" in by_folder.license.name
    assert by_folder.base_model is not None
    assert by_folder.warnings == ()
    by_config = identified(tmp_path, "checkpoint", architecture, _name_or_path=f"/home/someone/{name}")
    by_repo = identified(tmp_path, "0123abcd", architecture, repo_id=f"BelleGroup/{name}")
    assert by_config == by_folder
    assert (by_repo.family, by_repo.name, by_repo.repo_id) == (family, name, f"BelleGroup/{name}")


@pytest.mark.parametrize(
    ("name", "architecture", "rows", "config", "family"),
    [
        ("belle-tiny-zh", "bloom", 8192, {}, "belle"),
        ("belle-llama-mine", "llama", 32001, {}, "belle-llama"),
        ("belle-mine", "llama", 79458, {}, "belle-ext"),
        ("belle-llama2-mine", "llama", 32000, {}, "belle-v2"),
        ("belle-mine", "llama", 32000, {"max_position_embeddings": 4096}, "belle-v2"),
        ("bloomz-7b1-mt", "bloom", 250880, {}, None),
        ("bellevue", "bloom", 250880, {}, None),
        ("la-belle", "llama", 32000, {}, None),
    ],
)
def test_other_names(
    tmp_path: Path, name: str, architecture: str, rows: int, config: Any, family: str | None
) -> None:
    found = identified(tmp_path, name, architecture, rows=rows, **config)
    assert found.family == family
    assert found.name is None
    assert found.license is None
    assert bool(found.warnings) == (architecture == "llama" and family is not None)


def test_family_overrides(make_bloom: Any, tmp_path: Path) -> None:
    folder = make_bloom("belle-tiny")
    assert convert(folder, dry_run=True).family == "belle"
    assert convert(folder, dry_run=True, family="belle-v2").family == "belle-v2"
    assert convert(folder, dry_run=True, family="none").family is None
    with pytest.raises(ConversionError, match="unknown family 'bella'"):
        convert(folder, dry_run=True, family="bella")


def test_model_card_gives_licence_and_base(make_bloom: Any, tmp_path: Path) -> None:
    folder = make_bloom()
    card = (
        "---\nlicense: other\nlicense_name: 'my terms'\nbase_model: org/base\ntags:\n- x\n---\nlicense: no\n"
    )
    (folder / "README.md").write_text(card)
    convert(folder, tmp_path / "out.gguf")
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    found = {key: field.contents() for key, field in reader.fields.items()}
    assert found["general.license"] == "other"
    assert found["general.license.name"] == "my terms"
    assert "general.license.link" not in found
    assert found["general.base_model.0.repo_url"] == "https://huggingface.co/org/base"
    assert found["general.name"] == "BLOOM 255K"


def test_cached_hub_snapshot_is_recognised(make_bloom: Any, tmp_path: Path) -> None:
    revision = "0123456789abcdef0123456789abcdef01234567"
    folder = tmp_path / "models--BelleGroup--BELLE-7B-2M" / "snapshots" / revision
    folder.parent.mkdir(parents=True)
    make_bloom().rename(folder)
    convert(folder, tmp_path / "out.gguf")
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    found = {key: field.contents() for key, field in reader.fields.items()}
    assert found["general.name"] == "BELLE-7B-2M"
    assert found["general.source.huggingface.repository"] == "BelleGroup/BELLE-7B-2M"
    assert found["general.source.url"] == "https://huggingface.co/BelleGroup/BELLE-7B-2M"
    assert found["general.base_model.0.name"] == "bloomz-7b1-mt"
    assert found["belle.source.revision"] == revision
