"""The written tokenizer is the source's: which file counts, BOS, spaces, added tokens, what ends a generation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from belle_edge._core import GgufFile
from belle_edge.convert import convert
from belle_edge.convert.gguf_tokenizer import TokenizerTables
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.checkpoint_files import FolderFiles
from belle_edge.convert.tokenizer_tables import check_tables, read_tokenizer
from belle_edge.text.tokenizer import Tokenizer
from belle_edge.verification.contents import verify_contents

LLAMA = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


@pytest.fixture
def folder(tmp_path: Path, llama_tokenizer: bytes) -> Path:
    """tokenizer.model and a configuration."""
    path = tmp_path / "source"
    path.mkdir()
    (path / "tokenizer.model").write_bytes(llama_tokenizer)
    (path / "config.json").write_text('{"model_type": "llama"}')
    return path


def settings(folder: Path, **values: Any) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps({**LLAMA, "add_bos_token": True, **values}))


def saved(folder: Path, *tokens: Any, target: str = "saved") -> tuple[Path, Any]:
    """(the folder as transformers saves it again, its tokenizer loaded from there)."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(list(tokens))
    path = folder.parent / target
    tokenizer.save_pretrained(path)
    (path / "config.json").write_text('{"model_type": "llama"}')
    return path, transformers.AutoTokenizer.from_pretrained(path)


def tables_of(folder: Path, n_rows: int = 420, **config: Any) -> TokenizerTables:
    tables = read_tokenizer(Checkpoint(FolderFiles(folder), None, None, config, {}), n_vocab_rows=n_rows)
    check_tables(tables)
    return tables


def tokenizer_of(tables: TokenizerTables) -> Tokenizer:
    return Tokenizer.from_metadata(tables.metadata())


def test_a_richer_tokenizer_json_counts(folder: Path) -> None:
    settings(folder)
    path, reference = saved(folder)
    content = json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))
    n_tokens = len(content["model"]["vocab"])
    content["model"]["vocab"] |= {"xq": n_tokens}
    content["model"]["merges"] = [["x", "q"], *content["model"]["merges"]]
    (path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    (path / "tokenizer.model").write_bytes((folder / "tokenizer.model").read_bytes())
    reference = type(reference).from_pretrained(path)
    tables = tables_of(path)
    assert any("tokenizer.json is taken" in warning for warning in tables.warnings)
    assert tokenizer_of(tables).encode("xq xq") == reference("xq xq")["input_ids"]
    assert n_tokens in reference("xq xq")["input_ids"]


def test_a_tokenizer_json_that_agrees_brings_no_warning(folder: Path) -> None:
    settings(folder)
    path, _ = saved(folder)
    (path / "tokenizer.model").write_bytes((folder / "tokenizer.model").read_bytes())
    tables = tables_of(path)
    assert tables.warnings == []
    assert tables.comparison is not None
    assert (tables.comparison.n_different, tables.comparison.n_texts > 30) == (0, True)


@pytest.mark.parametrize("stated", [True, False, None])
def test_bos_of_the_post_processor(folder: Path, stated: bool | None) -> None:
    settings(folder, add_bos_token=stated)
    path, reference = saved(folder)
    assert "add_bos_token" not in (path / "tokenizer_config.json").read_text()
    tables = tables_of(path)
    assert tables.add_bos is bool(stated)
    assert tokenizer_of(tables).encode("ab") == reference("ab")["input_ids"]


def test_bos_that_nothing_states_is_a_warning(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(LLAMA))
    tables = tables_of(folder)
    assert tables.add_bos
    assert any("nothing says whether BOS" in warning for warning in tables.warnings)


@pytest.mark.parametrize("legacy", [True, False, None])
def test_spaces_and_added_tokens(folder: Path, legacy: bool | None) -> None:
    from transformers import AddedToken

    settings(folder, **({} if legacy is None else {"legacy": legacy}))
    tokens = [
        AddedToken("<both>", lstrip=True, rstrip=True),
        AddedToken("<left>", lstrip=True, special=True),
        "<no>",
    ]
    path, _ = saved(folder, *tokens)
    content = json.loads((path / "tokenizer_config.json").read_text())
    (path / "tokenizer_config.json").write_text(json.dumps(content | ({"legacy": True} if legacy else {})))
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(path)
    tables = tables_of(path)
    assert tables.comparison is not None
    assert tables.comparison.n_different == 0
    assert tables.space_prefix == ("always" if legacy else "first")
    tokenizer = tokenizer_of(tables)
    for text in ("a  <both> \n b", "a <left> b", "a <no> b<no>b", " a", "<s> a</s>b", "<both>", "  <left>"):
        assert tokenizer.encode(text, parse_special=True) == reference(text)["input_ids"], text
    assert any("lstrip" in warning for warning in tables.llama_cpp_warnings())


@pytest.mark.parametrize("step", [{"type": "NFKC"}, {"type": "Lowercase"}])
def test_normalizers_that_are_left_out_are_warned_about(folder: Path, step: dict[str, str]) -> None:
    settings(folder)
    path, _ = saved(folder)
    content = json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))
    (path / "tokenizer.json").write_text(json.dumps(content | {"normalizer": step}), encoding="utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    tables = tables_of(path)
    assert any(f"normalizer '{step['type']}'" in warning for warning in tables.warnings)
    assert tables.comparison is not None
    assert tables.comparison.first is not None


@pytest.mark.parametrize("flag", ["remove_extra_whitespaces", "treat_whitespace_as_suffix"])
def test_flags_of_a_sentencepiece_model_are_warned_about(folder: Path, flag: str) -> None:
    from sentencepiece import sentencepiece_model_pb2 as protocol

    settings(folder)
    model = protocol.ModelProto.FromString((folder / "tokenizer.model").read_bytes())
    part = model.normalizer_spec if flag.startswith("remove") else model.trainer_spec
    setattr(part, flag, True)
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    assert any(flag in warning and "space" in warning for warning in tables_of(folder).warnings)


@pytest.mark.parametrize(
    ("generation", "config", "ends"),
    [
        ({"eos_token_id": [2, 300, 301, 302]}, {}, [300, 301, 302]),
        ({"eos_token_id": 300}, {"eos_token_id": [2, 301]}, [300]),
        ({}, {"eos_token_id": [2, 301]}, [301]),
        ({}, {"eos_token_id": 301}, []),
        ({"eos_token_id": [1, 2, 9999]}, {}, []),
    ],
)
def test_everything_that_ends_a_generation(
    folder: Path, generation: dict[str, Any], config: dict[str, Any], ends: list[int]
) -> None:
    settings(folder)
    (folder / "generation_config.json").write_text(json.dumps(generation))
    tables = tables_of(folder, **config)
    assert tables.end_ids == ends
    assert tokenizer_of(tables).vocabulary.end_ids == {2, *ends}
    warned = any(
        "llama.cpp reads three" in warning or "are no tokens" in warning for warning in tables.warnings
    )
    assert warned is (len(ends) > 2 or "9999" in json.dumps(generation))


def test_a_difference_is_recorded_and_known_to_verify(
    make_llama: Any, tmp_path: Path, edit_json: Any
) -> None:
    from sentencepiece import sentencepiece_model_pb2 as protocol

    folder = make_llama()
    model = protocol.ModelProto.FromString((folder / "tokenizer.model").read_bytes())
    model.normalizer_spec.remove_extra_whitespaces = True
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    report = convert(folder, tmp_path / "out.gguf")
    comparison = report.to_dict()["tokenizer"]
    assert comparison["n_different"] > 0
    assert comparison["first"]["expected"] != comparison["first"]["found"]
    assert any("test texts get other ids" in warning for warning in report.warnings)
    file = GgufFile(str(tmp_path / "out.gguf"))
    assert file.get("belle.tokenizer.different_texts") == comparison["n_different"]
    assert file.get("belle.tokenizer.compared_texts") == comparison["n_texts"]
    found = verify_contents(tmp_path / "out.gguf", against=folder)
    assert found.problems == []
    assert any("the conversion said so" in note for note in found.notes)
