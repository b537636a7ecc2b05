"""The one reader of JSON: what it takes, what it refuses and how it says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from belle_edge.errors import BelleError, ConversionError, bounded, excerpt
from belle_edge.strict_json import JsonError, parse

REFUSED = {
    "deep list": ("[" * 128 + "]" * 128, "127 levels"),
    "deep object": ('{"a":' * 5000 + "1" + "}" * 5000, "127 levels"),
    "very deep": ("[" * 1_000_000, "levels|Expecting"),
    "nan": ('{"a": NaN}', "NaN is no JSON value"),
    "infinity": ("-Infinity", "-Infinity is no JSON value"),
    "out of range": ("1e999", "out of range"),
    "long number": ("9" * 5000, "5000 digits"),
    "two values": ('{"a": 1, "b": 2, "a": 3}', "'a' comes twice, with different values"),
    "surrogate": (r'["\ud800"]', "not valid Unicode"),
    "surrogate key": (r'{"\udfff": 1}', "not valid Unicode"),
    "utf-16": ('{"a": 1}'.encode("utf-16"), "UTF-16"),
    "utf-16 without mark": ('{"a": 1}'.encode("utf-16-le"), "UTF-16"),
    "gbk": ('{"a": "中文"}'.encode("gbk"), r"byte 0xd6 at 7 \(GBK"),
    "empty": ("", "Expecting value"),
    "more": ("{} {}", "Extra data"),
    "control character": ('"\n"', "control character"),
    "many": ("[" + "[]," * (2 << 20) + "[]]", "objects and arrays"),
}
TAKEN: dict[str, tuple[bytes | str, Any]] = {
    "byte order mark": (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    "equal values": ('{"a": [1], "a": [1]}', {"a": [1]}),
    "pair of surrogates": (r'"\ud83d\ude00"', "😀"),
    "127 levels": ("[" * 127 + "]" * 127, json.loads("[" * 127 + "]" * 127)),
    "large number": ("1000000000000000019884624838656", 1000000000000000019884624838656),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    content, message = REFUSED[name]
    with pytest.raises(JsonError, match=message) as caught:
        parse(content)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    content, expected = TAKEN[name]
    assert parse(content) == expected


def test_limits() -> None:
    with pytest.raises(JsonError, match="at most 10 bytes"):
        parse(b"[1, 2, 3, 4]", max_bytes=10)
    with pytest.raises(JsonError, match="'a' comes twice"):
        parse('{"a": 1, "a": 1}', unique_keys=True)
    assert parse("[NaN]", allow_nan=True) != [None]


@pytest.mark.parametrize(
    "value", ["x" * 10**6, [[["a"] * 1000] * 1000] * 1000, {"a" * 10**5: 1}, 10**300, b"\0" * 10**6]
)
def test_excerpts_are_short(value: Any) -> None:
    assert len(excerpt(value)) <= 200


def test_messages_are_bounded_at_both_ends() -> None:
    message = str(ConversionError("[config.json] " + "x" * 10**6 + ": download it again"))
    assert len(message) <= 2000
    assert message.startswith("[config.json] x")
    assert message.endswith("x: download it again")
    assert str(BelleError("short")) == "short" == bounded("short")


NESTED = "[" * 100_000 + "]" * 100_000
FILES = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "model.safetensors.index.json",
    "quantize_config.json",
]


@pytest.mark.parametrize("name", FILES)
def test_nested_files_are_named(tmp_path: Path, name: str) -> None:
    from belle_edge.convert import convert

    from .checkpoints import write_bloom

    folder = write_bloom(tmp_path / "source")
    if name == "model.safetensors.index.json":  # read only where the weights are in shards
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / name).write_text(NESTED)
    with pytest.raises(ConversionError, match=rf"^\[{name}\] damaged JSON: .*levels"):
        convert(folder, dry_run=True)


def test_a_small_file_of_gigabytes(tmp_path: Path) -> None:
    from belle_edge.convert import convert

    from .checkpoints import write_bloom

    folder = write_bloom(tmp_path / "source")
    with (folder / "tokenizer_config.json").open("wb") as file:
        file.truncate(8 << 30)  # takes no disk space
    with pytest.raises(ConversionError, match=r"^\[tokenizer_config.json\] expected at most 256 MB"):
        convert(folder, dry_run=True)
