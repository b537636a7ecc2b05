"""Well-formed JSON of a checkpoint that holds something else than it should: refused in one line, or harmless."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from .checkpoints import write_bloom, write_checkpoint
from .outcomes import outcomes_of_commands

WRONG: dict[str, Any] = {
    "text": "text",
    "negative": -5,
    "huge": 2**40,
    "fraction": 0.5,
    "list": [1, 2],
    "object": {"a": 1},
    "null": None,
    "true": True,
}
OPTIONAL = [
    "rope_scaling",
    "rope_theta",
    "head_dim",
    "torch_dtype",
    "eos_token_id",
    "seq_length",
    "_name_or_path",
]
TOKENIZER: list[Sequence[str | int]] = [
    ("model",),
    ("model", "vocab"),
    ("model", "vocab", "a"),
    ("model", "merges"),
    ("model", "merges", 0),
    ("added_tokens",),
    ("added_tokens", 0),
    ("added_tokens", 0, "id"),
    ("added_tokens", 0, "content"),
    ("pre_tokenizer",),
    ("pre_tokenizer", "pretokenizers"),
    ("normalizer",),
    ("post_processor",),
]
SETTINGS = ["bos_token", "unk_token", "add_bos_token", "chat_template", "added_tokens_decoder", "temperature"]


def with_file(source: Path, folder: Path, name: str, content: Any) -> Path:
    """A checkpoint that shares all files but one with `source`."""
    folder.mkdir(parents=True)
    for path in source.iterdir():
        if path.name != name:
            (folder / path.name).hardlink_to(path)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def replaced(content: dict[str, Any], path: Sequence[str | int], value: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(content))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return dict(copy)


def convert_all(folders: Sequence[Path], out: Path) -> dict[str, str]:
    """folder → outcome; a file appears exactly where the conversion succeeded."""
    out.mkdir()
    names = [str(folder.relative_to(out.parent)).replace("/", "_") for folder in folders]
    outcomes = outcomes_of_commands(
        [
            ["convert", str(folder), "-o", str(out / f"{name}.gguf"), "--json", "--threads", "1"]
            for folder, name in zip(folders, names, strict=True)
        ]
    )
    complete = {name for name, outcome in zip(names, outcomes, strict=True) if outcome == "runs"}
    assert {path.name for path in out.iterdir()} == {f"{name}.gguf" for name in complete}
    return dict(zip(names, outcomes, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "bloom"])
def test_config(tmp_path: Path, architecture: str) -> None:
    pytest.importorskip("resource", reason="memory limits need POSIX")
    source = tmp_path / "source"
    if architecture == "llama":
        write_checkpoint(source, hidden=64, n_layers=1, n_heads=2)
    else:
        write_bloom(source)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    folders = [
        with_file(source, tmp_path / key / name, "config.json", {**config, key: value})
        for key in [*config, *OPTIONAL]
        for name, value in WRONG.items()
    ]
    outcomes = convert_all(folders, tmp_path / "out")
    assert {outcomes[f"hidden_size_{name}"] == "runs" for name in WRONG} == {False}
    assert str(2**40) in outcomes["hidden_size_huge"]


@pytest.mark.slow
def test_tokenizer_json_and_settings(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="memory limits need POSIX")
    source = write_bloom(tmp_path / "source")
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    folders = [
        with_file(
            source,
            tmp_path / "-".join(map(str, path)) / name,
            "tokenizer.json",
            replaced(tokenizer, path, value),
        )
        for path in TOKENIZER
        for name, value in WRONG.items()
    ]
    folders += [
        with_file(source, tmp_path / f"{file.partition('.')[0]}-{key}" / name, file, {key: value})
        for file in ("tokenizer_config.json", "generation_config.json")
        for key in SETTINGS
        for name, value in WRONG.items()
    ]
    outcomes = convert_all(folders, tmp_path / "out")
    assert {outcomes[f"model_{name}"] == "runs" for name in WRONG} == {False}
    assert "[tokenizer.json]" in outcomes["model-merges_negative"]
