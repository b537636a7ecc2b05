"""Which BELLE a checkpoint is taken for, and what the output says about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest

from belle_edge.convert import convert
from belle_edge.convert.identity import Identity, identify
from belle_edge.convert.releases import TOKENIZER_HASHES
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.checkpoint_files import FolderFiles
from belle_edge.convert.sources.metadata_only import open_metadata
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


BLOOM_7B = {"hidden_size": 4096, "n_layer": 30}
LLAMA_7B = {"hidden_size": 4096, "num_hidden_layers": 32, "max_position_embeddings": 2048}
LLAMA_13B = {"hidden_size": 5120, "num_hidden_layers": 40, "max_position_embeddings": 2048}


@pytest.mark.parametrize(
    ("name", "architecture", "rows", "config", "family", "license"),
    [
        ("BELLE-7B-2M", "bloom", 250880, BLOOM_7B, "belle", "bigscience-bloom-rail-1.0"),
        ("BELLE-7B-0.2M", "bloom", 250880, BLOOM_7B, "belle", "bigscience-bloom-rail-1.0"),
        ("belle-7b-0.5m", "bloom", 250880, BLOOM_7B, "belle", "bigscience-bloom-rail-1.0"),
        ("BELLE-7B-gptq", "bloom", 250880, BLOOM_7B, "belle", "bigscience-bloom-rail-1.0"),
        ("BELLE-LLaMA-7B-2M", "llama", 32000, LLAMA_7B, "belle-llama", "other"),
        ("BELLE-LLaMA-7B-0.6M-enc", "llama", 32000, LLAMA_7B, "belle-llama", "other"),
        ("BELLE-LLaMA-7B-2M-gptq-enc", "llama", 32000, LLAMA_7B, "belle-llama", "other"),
        ("BELLE-LLaMA-13B-2M", "llama", 32000, LLAMA_13B, "belle-llama", "other"),
        ("BELLE-LLaMA-EXT-7B", "llama", 79458, LLAMA_7B, "belle-ext", "other"),
        ("BELLE-LLaMA-EXT-13B", "llama", 79458, LLAMA_13B, "belle-ext", "other"),
        (
            "BELLE-Llama2-13B-chat-0.4M",
            "llama",
            32000,
            {**LLAMA_13B, "max_position_embeddings": 4096},
            "belle-v2",
            "llama2",
        ),
    ],
)
def test_released_models(
    tmp_path: Path, name: str, architecture: str, rows: int, config: Any, family: str, license: str
) -> None:
    by_folder = identified(tmp_path, name, architecture, rows=rows, **config)
    assert (by_folder.family, by_folder.name, by_folder.confidence) == (family, name, "certain")
    assert by_folder.license is not None
    assert by_folder.license.id == license
    assert "research use only" in by_folder.license.name
    assert by_folder.base_model is not None
    assert by_folder.conflicts == ()
    assert bool(by_folder.warnings) == (family == "belle-ext")  # whose template is documented in two ways
    stored_name = {"_name_or_path": f"/home/someone/{name}"}
    by_config = identified(tmp_path, "checkpoint", architecture, rows=rows, **config, **stored_name)
    by_repo = identified(
        tmp_path, "0123abcd", architecture, rows=rows, repo_id=f"BelleGroup/{name}", **config
    )
    for found in (by_config, by_repo):
        assert (found.family, found.name, found.confidence) == (family, name, "certain")
        assert (found.license, found.base_model) == (by_folder.license, by_folder.base_model)
    assert by_repo.repo_id == f"BelleGroup/{name}"
    assert "/home" not in repr(by_config.evidence)


@pytest.mark.parametrize(
    ("name", "architecture", "rows", "config", "family", "confidence"),
    [
        ("belle-tiny-zh", "bloom", 8192, {}, "belle", "likely"),
        ("belle-llama-mine", "llama", 32001, {}, "belle-llama", "guess"),
        ("belle-mine", "llama", 79458, {}, "belle-ext", "likely"),
        ("belle-mine", "llama", 49953, {}, "belle-ext", "guess"),
        ("belle-llama2-mine", "llama", 32000, {}, "belle-v2", "guess"),
        ("belle-mine", "llama", 32000, {"max_position_embeddings": 4096}, "belle-v2", "guess"),
        ("bloomz-7b1-mt", "bloom", 250880, BLOOM_7B, None, "none"),
        ("bellevue", "bloom", 250880, {}, None, "none"),
        ("la-belle", "llama", 32000, LLAMA_7B, None, "none"),
        ("mine", "llama", 79458, LLAMA_7B, "belle-ext", "likely"),
    ],
)
def test_other_names(
    tmp_path: Path,
    name: str,
    architecture: str,
    rows: int,
    config: Any,
    family: str | None,
    confidence: str,
) -> None:
    found = identified(tmp_path, name, architecture, rows=rows, **config)
    assert (found.family, found.confidence) == (family, confidence)
    assert found.name is None
    assert found.license is None
    assert any("is a guess" in warning for warning in found.warnings) == (confidence == "guess")


@pytest.mark.parametrize(
    ("name", "architecture", "rows", "family", "reason"),
    [
        ("BELLE-LLaMA-7B-2M", "bloom", 250880, "belle", "the architecture is bloom"),
        ("BELLE-7B-2M", "llama", 32000, "belle-llama", "the architecture is llama"),
        ("BELLE-LLaMA-7B-2M", "llama", 79458, "belle-ext", "79,458 rows, it is extended"),
        ("BELLE-LLaMA-EXT-7B", "llama", 32000, "belle-llama", "32,000 rows, it is not extended"),
    ],
)
def test_a_name_does_not_override_the_weights(
    tmp_path: Path, name: str, architecture: str, rows: int, family: str, reason: str
) -> None:
    found = identified(tmp_path, name, architecture, rows=rows)
    assert (found.family, found.confidence) == (family, "guess")
    assert any(name in conflict and reason in conflict for conflict in found.conflicts)
    assert reason in found.warnings[0]
    assert found.name is None


def test_the_documents_of_a_checkpoint_count(tmp_path: Path) -> None:
    def found(files: dict[str, str], rows: int = 32000) -> Identity:
        folder = tmp_path / "a-model"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        checkpoint = Checkpoint(FolderFiles(folder), None, None, {}, {})
        identity = identify(checkpoint, architecture="llama", n_vocab_rows=rows)
        for name in files:
            (folder / name).unlink()
        return identity

    template = r"{{ 'Human: \n' + message + '\n\nAssistant: \n' }}"
    by_template = found({"tokenizer_config.json": json.dumps({"chat_template": template})})
    assert (by_template.family, by_template.confidence) == ("belle-v2", "likely")
    by_template = found(
        {"tokenizer_config.json": json.dumps({"chat_template": "Human: {x}Belle: "})}, rows=400
    )
    assert (by_template.family, by_template.confidence) == ("belle-ext", "likely")
    by_title = found({"README.md": "---\nlicense: other\n---\n# BELLE-LLaMA-7B-2M\n"})
    assert (by_title.family, by_title.confidence) == ("belle-llama", "certain")
    by_base = found(
        {"adapter_config.json": '{"base_model_name_or_path": "/x/BELLE-LLaMA-EXT-7B"}'}, rows=79458
    )
    assert (by_base.family, by_base.confidence) == ("belle-ext", "certain")
    compared = found({"README.md": "Better than BELLE-7B-2M and BELLE-LLaMA-7B-2M."})
    assert compared.family is None
    two = found(
        {
            "README.md": "# BELLE-LLaMA-7B-2M\n",
            "tokenizer_config.json": json.dumps({"chat_template": template}),
        }
    )
    assert two.confidence == "guess"
    assert len(two.conflicts) == 1


def test_file_names_without_a_config(tmp_path: Path) -> None:
    (tmp_path / "bloom7b-2m-4bit-128g.pt").write_bytes(b"not really")
    checkpoint = open_metadata(tmp_path / "bloom7b-2m-4bit-128g.pt")
    found = identify(checkpoint)
    assert (found.family, found.confidence, found.supported_by) == ("belle", "likely", ["file name"])
    assert found.license is not None
    encrypted = tmp_path / "BELLE-LLaMA-7B-2M-enc"
    encrypted.mkdir()
    (encrypted / f"pytorch_model.bin.{'0' * 64}.enc").write_bytes(b"?" * 64)
    found = identify(open_metadata(encrypted))
    assert (found.family, found.confidence) == ("belle-llama", "certain")
    assert found.supported_by == ["folder name", "file name"]


def test_metas_original_is_no_belle(tmp_path: Path) -> None:
    (tmp_path / "params.json").write_text('{"dim": 4096, "n_layers": 32, "n_heads": 32, "vocab_size": -1}')
    found = identify(open_metadata(tmp_path))
    assert (found.family, found.confidence) == (None, "none")
    assert {piece.found for piece in found.evidence} == {"llama", "hidden size 4096, 32 layers"}


def test_the_weights_count_more_than_the_config(
    make_bloom: Any, tmp_path: Path, edit_json: Callable[..., None]
) -> None:
    folder = make_bloom("belle-x")
    edit_json(folder / "config.json", architectures=["LlamaForCausalLM"], model_type="llama")
    found = identify(open_metadata(folder))
    assert (found.family, found.confidence) == ("belle", "guess")
    assert found.conflicts == ("config.json says llama, the weights are of bloom",)


def test_what_the_file_says_about_it(make_bloom: Any, tmp_path: Path) -> None:
    folder = make_bloom("belle-tiny")
    report = convert(folder, tmp_path / "out.gguf")
    assert (report.family, report.confidence) == ("belle", "likely")
    fields = gguf.GGUFReader(tmp_path / "out.gguf").fields
    assert fields["belle.identified.confidence"].contents() == "likely"
    assert fields["belle.identified.by"].contents() == ["folder name", "architecture"]
    convert(folder, tmp_path / "out.gguf", family="belle", force=True)
    fields = gguf.GGUFReader(tmp_path / "out.gguf").fields
    assert fields["belle.identified.confidence"].contents() == "given"
    assert fields["belle.identified.by"].contents() == ["--family"]


def test_known_tokenizers(test_data: Path) -> None:
    for name in ("llama/tokenizer.model", "chinese/merged_49953_tokenizer.model"):
        content = (test_data / "tokenizers" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() in TOKENIZER_HASHES


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
