"""The bundled calibration texts: whole lines of JSON, as much as was meant, each once, and as varied as they say."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from belle_edge.convert.calibration_texts import NAMES, calibration_text_paths

ROOM = Path(__file__).resolve().parents[2] / "convert" / "calibration_texts"
KILOBYTES = {"zh.jsonl": (95, 130), "en.jsonl": (75, 110), "other.jsonl": (15, 35)}
CHINESE = re.compile("[\u4e00-\u9fff]")
CODE = re.compile(r"```(\w+)")


def items_of(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (ROOM / name).read_text(encoding="utf-8").splitlines()]


def test_the_named_files_are_those_that_lie_there() -> None:
    assert [path.name for path in calibration_text_paths()] == list(NAMES)
    assert all(path.is_file() for path in calibration_text_paths())
    assert {path.name for path in ROOM.glob("*.jsonl")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_line_is_an_instruction_with_its_answer(name: str) -> None:
    least, most = KILOBYTES[name]
    assert least < (ROOM / name).stat().st_size / 1000 < most
    for number, item in enumerate(items_of(name), 1):
        assert {"instruction", "output"} <= set(item) <= {"instruction", "input", "output"}, number
        assert all(isinstance(text, str) and text == text.strip() != "" for text in item.values()), number
        assert "\ufffd" not in "".join(item.values()), number
        assert sum(map(len, item.values())) < 3000, number


def test_none_comes_twice() -> None:
    texts = Counter((item["instruction"], item.get("input", "")) for name in NAMES for item in items_of(name))
    assert max(texts.values()) == 1


def test_each_file_is_in_its_language() -> None:
    chinese = {
        name: sum(bool(CHINESE.search(item["output"])) for item in items_of(name)) / len(items_of(name))
        for name in ("zh.jsonl", "en.jsonl")
    }
    assert chinese["zh.jsonl"] > 0.95
    assert chinese["en.jsonl"] < 0.1


@pytest.mark.parametrize("name", ["zh.jsonl", "en.jsonl"])
def test_they_vary(name: str) -> None:
    """Code in several languages, tables, JSON, lists, numbers, short and long answers."""
    outputs = [item["output"] for item in items_of(name)]
    assert len({language for text in outputs for language in CODE.findall(text)}) >= 5
    assert sum("|---|" in text for text in outputs) >= 4
    assert sum("```json" in text for text in outputs) >= 2
    lengths = sorted(map(len, outputs))
    assert lengths[len(lengths) // 10] < 150 < 300 < lengths[len(lengths) * 9 // 10]
    assert sum("input" in item for item in items_of(name)) >= 10
