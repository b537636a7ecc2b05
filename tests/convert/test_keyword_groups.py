"""The arguments of `convert`: keywords and groups say the same, and what is wrong is named."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from belle_edge.convert import ConversionReport, Optimization, SourceOptions, TrimRequest, TypeRules, convert
from belle_edge.convert.keyword_groups import ConversionSettings, groups_of
from belle_edge.convert.optimize.optimization import OptimizationSettings
from belle_edge.convert.sources.gptq.stored_zeros import ZERO_OFFSETS
from belle_edge.convert.sources.lora.merging import AdapterOption
from belle_edge.convert.sources.opening_options import SourceSettings
from belle_edge.convert.trim.request import TrimSettings
from belle_edge.convert.type_mixes import NAMES, TYPES
from belle_edge.convert.type_rules import TypeSettings
from belle_edge.errors import ConversionError

Make = Callable[..., Path]


def predicted(folder: Path, **settings: object) -> dict[str, object]:
    report: ConversionReport = convert(folder, dry_run=True, **settings)  # type: ignore[arg-type]
    return {**report.to_dict(), "seconds": 0}


def test_groups_and_keywords_say_the_same(make_bloom: Make, tmp_path: Path) -> None:
    folder, corpus = make_bloom(), tmp_path / "corpus.txt"
    corpus.write_text("a few words", encoding="utf-8")
    by_name = predicted(
        folder, tokenizer=folder, vocab="en", vocab_from=corpus, type="q8_0", tensor_type="*.ffn_up=q4_0"
    )
    grouped = predicted(
        folder,
        type=TypeRules("q8_0", tensor_type=[("*.ffn_up", "q4_0")]),
        source=SourceOptions(tokenizer=folder),
        trim=TrimRequest(("en",), (corpus,)),
    )
    assert by_name == grouped
    assert by_name["vocabulary"] is not None


def test_every_spelling_of_a_setting() -> None:
    rules, source, trim, optimization = groups_of(None, None, None, None, {})
    assert rules == TypeRules()
    assert source == SourceOptions()
    assert trim is None
    assert optimization is None
    settings = {"lora": ["one", ("two", 0.5)], "vocab": ["en", "zh", "en"], "head_type": "Q8_0"}
    rules, source, trim, _ = groups_of("F16", None, None, None, settings)
    assert rules == TypeRules("f16", head_type="q8_0")
    assert source.adapters == (AdapterOption(Path("one")), AdapterOption(Path("two"), 0.5))
    assert trim == TrimRequest(("zh", "en")) == TrimRequest.from_arguments("en,zh")
    assert SourceOptions(key="k", tokenizer="t", lora="l").places == ["k", "t", Path("l")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"tokeniser": "x"},
            r"\[convert\] unknown argument 'tokeniser' \(did you mean 'tokenizer'\?\).*known: calibration, dry_run",
        ),
        ({"quantization": "q8_0"}, r"unknown argument 'quantization': write type='q4_k_m'"),
        ({"output": "x"}, r"unknown argument 'output': the file to write comes second"),
        (
            {"source": SourceOptions(), "key": "x"},
            r"source and key: expected one of the two; put key into the Source",
        ),
        ({"trim": TrimRequest(("zh",)), "vocab": "en"}, r"trim and vocab: expected one of the two"),
        ({"source": "folder"}, r"\[convert\] source: expected SourceOptions, got 'folder'"),
        ({"trim": ["zh"]}, r"\[convert\] trim: expected TrimRequest"),
        (
            {"type": TypeRules("q4_0"), "pure": True},
            r"type and pure: expected one of the two; put pure into the Ty",
        ),
        ({"type": 4}, r"\[convert\] type: expected TypeRules, got 4"),
        ({"output_tensor_type": "q8_0"}, r"unknown argument 'output_tensor_type': write head_type="),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        convert(tmp_path, dry_run=True, **settings)  # type: ignore[arg-type]


def test_a_group_checks_itself(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"\[lora\] expected a folder or \(folder, weight\)"):
        SourceOptions(lora=[("x", "much")])  # type: ignore[list-item]
    with pytest.raises(
        ValueError, match=r"\[source\] unknown argument 'revison' \(did you mean 'revision'\?\)"
    ):
        SourceOptions(revison="main")  # type: ignore[call-arg]
    with pytest.raises(ConversionError, match=r"unknown language 'xx'"):
        TrimRequest(("xx",))
    with pytest.raises(ConversionError, match=r"no such file"):
        TrimRequest(corpora=(tmp_path / "absent.txt",))
    with pytest.raises(ConversionError, match=r"expected languages or files"):
        TrimRequest()


def test_type_checkers_know_all_settings() -> None:
    assert list(SourceSettings.__annotations__) == [field.name for field in fields(SourceOptions)]
    assert list(TrimSettings.__annotations__) == list(
        inspect.signature(TrimRequest.from_arguments).parameters
    )
    assert ["type", *TypeSettings.__annotations__] == [field.name for field in fields(TypeRules)]
    optimization = [field.name for field in fields(Optimization)]
    assert ["effort", *OptimizationSettings.__annotations__] == optimization
    groups = (SourceSettings, TrimSettings, TypeSettings, OptimizationSettings)
    names = {name for group in groups for name in group.__annotations__}
    assert set(ConversionSettings.__annotations__) == names
    assert not names & set(inspect.signature(convert).parameters)


def test_the_command_line_has_every_choice() -> None:
    from belle_edge.cli.main import build_parser

    commands = next(action for action in build_parser()._actions if isinstance(action.choices, dict))
    options = {
        name: option for option in commands.choices["convert"]._actions for name in option.option_strings
    }
    assert tuple(options["--gptq-zeros"].choices) == tuple(ZERO_OFFSETS)
    for field in (*fields(SourceOptions), *fields(TypeRules), *fields(Optimization)[1:]):
        assert "--" + field.name.replace("_", "-") in options
    assert tuple(options["--type"].choices) == NAMES
    assert tuple(options["--head-type"].choices) == tuple(options["--embedding-type"].choices) == TYPES
