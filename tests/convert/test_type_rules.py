"""Which type each matrix gets: mixes, rules of the user, and what stands in where rows do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest

from belle_edge.cli.main import main
from belle_edge.convert import ConversionReport, TypeRules, convert
from belle_edge.convert.type_mixes import NAMES, TYPES, mix_named
from belle_edge.errors import ConversionError

from .gptq_files import Recipe, make_packed, write_checkpoint

Make = Callable[..., Path]


def types_of(report: ConversionReport) -> dict[str, str]:
    return {tensor.name.removesuffix(".weight"): tensor.type for tensor in report.tensors}


def shapes_of(n_layers: int, *parts: str, tied: bool = False, width: int = 256) -> dict[str, tuple[int, ...]]:
    ends = ["token_embd.weight", *([] if tied else ["output.weight"])]
    names = [*ends, *(f"blk.{layer}.{part}.weight" for layer in range(n_layers) for part in parts)]
    return dict.fromkeys(names, (width, width))


def chosen(rules: TypeRules, shapes: dict[str, tuple[int, ...]], n_layers: int) -> dict[str, str]:
    return {name: choice.type for name, choice in rules.types_of(shapes, n_layers=n_layers).items()}


def test_names_in_any_spelling() -> None:
    for name in NAMES:
        for spelling in (name, name.upper(), name.replace("_", "-"), f" {name} "):
            assert TypeRules(spelling).type == name
    assert TypeRules("Q8_0", tensor_type="*.ffn_up=F16", head_type="BF16") == TypeRules(
        "q8_0", tensor_type={"*.ffn_up": "f16"}, head_type="bf16"
    )
    assert TypeRules(tensor_type=["a=b=f16"]).patterns == (("a=b", "f16"),)  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_mix_of_written_types(name: str) -> None:
    mix, pure = mix_named(name), mix_named(name, pure=True)
    assert {*mix.types, *pure.types} <= {*TYPES}
    assert pure.types == {pure.body} == {mix.body}
    assert mix.file_type in gguf.LlamaFileType.__members__
    assert pure.file_type in gguf.LlamaFileType.__members__
    json.dumps(TypeRules(name).to_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "q4_k_n"}, r"\[type\] unknown type 'q4_k_n'.*: expected one of f32, "),
        ({"type": "q8-1"}, r"\(did you mean q8_0\?\)"),
        ({"type": 8}, r"\[type\] unknown type 8: expected"),
        ({"head_type": "x"}, r"\[head_type\] unknown type 'x': expected one of f32, "),
        ({"embedding_type": "x"}, r"\[embedding_type\] unknown type"),
        ({"tensor_type": "*.ffn_up"}, r"\[tensor_type\] expected PATTERN=TYPE, as .*, got '\*.ffn_up'"),
        ({"tensor_type": "=f16"}, r"expected PATTERN=TYPE"),
        ({"tensor_type": ["*=f17"]}, r"\[tensor_type\] unknown type 'f17' \(did you mean f16\?\)"),
        ({"tensor_type": 5}, r"expected PATTERN=TYPE.*got 5"),
        ({"tensor_type": [5]}, r"expected PATTERN=TYPE.*got 5"),
    ],
)
def test_what_is_no_rule_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        TypeRules(**settings)


def test_the_last_rule_counts() -> None:
    shapes = shapes_of(3, "attn_q", "ffn_down")
    rules = TypeRules(
        "q4_0",
        tensor_type=["blk.*.ffn_down=q8_0", "blk.1.*=f16", "blk.[02].attn_?.weight=bf16"],
        head_type="f32",
        embedding_type="q4_1",
        pure=True,
    )
    found = chosen(rules, shapes, n_layers=3)
    assert found == {
        "token_embd.weight": "q4_1",
        "output.weight": "f32",
        "blk.0.attn_q.weight": "bf16",
        "blk.0.ffn_down.weight": "q8_0",
        "blk.1.attn_q.weight": "f16",
        "blk.1.ffn_down.weight": "f16",
        "blk.2.attn_q.weight": "bf16",
        "blk.2.ffn_down.weight": "q8_0",
    }
    by_name = TypeRules("q4_0", head_type="f32", tensor_type="output=f16")
    assert chosen(by_name, shapes, n_layers=3)["output.weight"] == "f16"


def test_an_embedding_that_is_the_output_too() -> None:
    shapes = shapes_of(1, "attn_qkv", tied=True)
    for settings in ({"head_type": "f16"}, {"embedding_type": "f16"}):
        found = chosen(TypeRules("q8_0", **settings), shapes, n_layers=1)  # type: ignore[arg-type]
        assert found == {"token_embd.weight": "f16", "blk.0.attn_qkv.weight": "q8_0"}
    with pytest.raises(ConversionError, match=r"in this model they are one matrix, token_embd.weight"):
        TypeRules(head_type="f16", embedding_type="f32").types_of(shapes, n_layers=1)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("blk.*.ffn_dwn", r"'blk\.\*\.ffn_dwn' matches no matrix of this model.*there are blk\.\*\.ffn_down"),
        ("blk.7.attn_q", r"there are blk\.\*\.attn_q, "),
        ("ffn", r"there are blk\.\*\.ffn_down, blk\.\*\.ffn_up"),
        ("output_norm", r"norms and biases are always f32"),
        ("zzzz", r"there are token_embd, output, blk"),
    ],
)
def test_a_pattern_that_matches_nothing(pattern: str, message: str) -> None:
    shapes = shapes_of(2, "attn_q", "ffn_down", "ffn_up")
    with pytest.raises(ConversionError, match=message):
        TypeRules(tensor_type=f"{pattern}=f16").types_of(shapes, n_layers=2)


def test_rules_on_the_command_line(
    make_llama: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = make_llama(), tmp_path / "out.gguf"
    capsys.readouterr()
    rules = ["--type", "Q8_0", "--tensor-type", "blk.*.ffn_down=f16", "--tensor-type", "blk.1.*=q4_1"]
    rules += ["--head-type", "BF16", "--embedding-type", "f32", "--json"]
    assert main(["convert", str(folder), "-o", str(out), *rules]) == 0
    report = json.loads(capsys.readouterr().out)
    stored = {tensor.name: tensor.tensor_type.name.lower() for tensor in gguf.GGUFReader(out).tensors}
    assert stored["output.weight"] == "bf16"
    assert stored["token_embd.weight"] == "f32"
    assert stored["blk.0.ffn_down.weight"] == "f16"
    assert {stored[f"blk.1.{part}.weight"] for part in ("attn_q", "ffn_down")} == {"q4_1"}
    assert stored["blk.0.attn_q.weight"] == report["type"] == "q8_0"
    by_type = {name: entry["bytes"] for name, entry in report["types"].items()}
    assert by_type["bf16"] == 400 * 64 * 2
    assert by_type["q4_1"] == sum(t["n_bytes"] for t in report["tensors"] if t["type"] == "q4_1")


def test_other_rules_are_another_conversion(make_llama: Make, tmp_path: Path) -> None:
    """What an interrupted conversion has written is of no use for other types."""
    folder, out = make_llama(), tmp_path / "out.gguf"

    def stop(event: Any) -> None:
        raise KeyboardInterrupt

    def begin() -> None:
        with pytest.raises(KeyboardInterrupt):
            convert(folder, out, type="q8_0", tensor_type="blk.1.*=f16", progress=stop, force=True)

    begin()
    for other in ({}, {"tensor_type": "blk.0.*=f16"}, {"tensor_type": "blk.1.*=f16", "head_type": "f16"}):
        with pytest.raises(ConversionError, match=r"another source or other options"):
            convert(folder, out, type="q8_0", resume=True, **other)  # type: ignore[arg-type]
        begin()
    convert(
        folder, out, type="q8_0", tensor_type=["*.attn_q=q4_0", "*.attn_q=q8_0", "blk.1.*=f16"], resume=True
    )
    convert(folder, tmp_path / "whole.gguf", type="q8_0", tensor_type="blk.1.*=f16")
    assert out.read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_a_rule_for_a_matrix_gives_its_codes_up(make_bloom: Make, tmp_path: Path) -> None:
    """A GPTQ matrix keeps its codes with any quantized --type, but not where a type is given for itself."""
    folder, packed = make_packed(make_bloom, tmp_path, Recipe())
    write_checkpoint(folder, packed.stored)
    report = convert(folder, dry_run=True, type="q8_0", tensor_type="blk.0.ffn_up=q8_0")
    found = types_of(report)
    assert (found["blk.0.ffn_up"], found["blk.1.ffn_up"], report.type) == ("q8_0", "q4_1", "q4_1")
