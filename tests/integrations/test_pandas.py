"""Columns and frames of pandas, answered by the demonstration model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pandas", reason="needs pandas")
import pandas as pd

import belle_edge.integrations.pandas  # noqa: F401  adds .belle
from belle_edge import Belle

SCHEMA = {
    "type": "object",
    "properties": {"good": {"type": "boolean"}},
    "required": ["good"],
    "additionalProperties": False,
}


@pytest.fixture
def texts() -> Any:
    """With a label that comes twice, and two kinds of missing values."""
    return pd.Series(["你好", None, "再见", float("nan")], index=["a", "b", "a", "c"], name="greeting")


def test_a_column(texts: Any, belle: Belle) -> None:
    answers = texts.belle.answer(belle, temperature=0, max_tokens=12)
    expected = [belle.generate(text, temperature=0, max_tokens=12).text for text in ("你好", "再见")]
    assert list(answers.index) == ["a", "b", "a", "c"]
    assert answers.name == "greeting"
    assert answers.dropna().tolist() == expected
    assert answers.isna().tolist() == [False, True, False, True]


def test_a_template_and_a_path(texts: Any, belle: Belle, demo: Path) -> None:
    answers = texts.belle.answer(demo, template="翻译成英文：{text} {{}}", temperature=0, max_tokens=8)
    assert answers.iloc[2] == belle.generate("翻译成英文：再见 {}", temperature=0, max_tokens=8).text


def test_the_rows_of_a_frame(belle: Belle) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3], "word": ["高", "大", None]}, index=[7, 8, 9])
    answers = frame.belle.answer(belle, template="{n}. “{word}”的反义词？", temperature=0, max_tokens=8)
    assert answers.loc[8] == belle.generate("2. “大”的反义词？", temperature=0, max_tokens=8).text
    assert answers.isna().tolist() == [False, False, True]


def test_a_row_has_its_own_seed(belle: Belle) -> None:
    settings = {"temperature": 3, "seed": 5, "max_tokens": 8}
    whole = pd.Series(["你好", "你好", "你好"]).belle.answer(belle, **settings)
    gap = pd.Series([None, "你好", "你好"]).belle.answer(belle, **settings)
    assert whole.nunique() > 1
    assert gap.tolist()[1:] == whole.tolist()[1:]
    assert whole[2] == belle.generate("你好", temperature=3, seed=7, max_tokens=8).text


def test_shapes(belle: Belle) -> None:
    column = pd.Series(["真好看", "不好看"])
    moods = column.belle.answer(belle, template="{text}：正面还是负面？", choice=["正面", "负面"])
    assert set(moods) <= {"正面", "负面"}
    labels = column.belle.details(belle, template="{text}：", choice=["正面", "负面"], scored=True)
    chosen = belle.choose("真好看：", ["正面", "负面"])
    assert (labels.loc[0, "answer"], labels.loc[0, "probability"]) == (chosen.text, chosen.probability)
    read = column.belle.answer(belle, schema=SCHEMA, temperature=0).map(json.loads)
    assert [type(value["good"]) for value in read] == [bool, bool]


def test_details_go_on_where_a_row_fails(belle: Belle, capsys: pytest.CaptureFixture[str]) -> None:
    column = pd.Series(["你好", "问题" * 1000, None], index=["a", "b", "c"])
    done: list[int] = []
    rows = column.belle.details(
        belle, temperature=0, max_tokens=4, progress=True, on_progress=lambda state: done.append(state.n_done)
    )
    assert list(rows.columns) == ["answer", "error", "finish_reason", "prompt_tokens", "completion_tokens"]
    assert rows.loc["a", "answer"] == belle.generate("你好", temperature=0, max_tokens=4).text
    assert rows.loc["a", ["finish_reason", "completion_tokens"]].tolist() == ["length", 4]
    assert "context" in rows.loc["b", "error"]
    assert rows.loc[["b", "c"], "answer"].isna().all()
    assert rows.loc["c"].isna().all()
    assert done == [1, 2]
    assert "100%" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"\[pandas\] row 'b': .*context"):
        column.belle.answer(belle, max_tokens=4)


def test_nothing_to_answer(belle: Belle) -> None:
    assert pd.Series([], dtype=object).belle.answer(belle).tolist() == []
    assert pd.Series([None, None]).belle.answer(belle).isna().tolist() == [True, True]
    assert pd.Series([None]).belle.details(belle).isna().all(axis=None)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{kind}", "expected one of {n}, {word}, got {kind}"),
        ("no place", "expected a name in braces, as {n}, got 'no place'"),
        ("{n:3}", "a name alone in braces, got {n} with a format"),
        ("{n", "{{ and }} stand for braces"),
        (None, "a frame needs a template with its columns, as {n}, {word}"),
    ],
)
def test_templates_that_do_not_fit(belle: Belle, template: str | None, expected: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  the whole text is compared below
        pd.DataFrame({"n": [1], "word": ["高"]}).belle.answer(belle, template=template)
    assert expected in str(raised.value)


def test_what_is_no_text(belle: Belle) -> None:
    with pytest.raises(ValueError, match=r"row 1: expected a text, got 5: template='\{text\}' writes it"):
        pd.Series(["你好", 5]).belle.answer(belle)
    numbers = pd.Series([5]).belle.answer(belle, template="{text}", temperature=0, max_tokens=4)
    assert numbers[0] == belle.generate("5", temperature=0, max_tokens=4).text
    with pytest.raises(ValueError, match="did you mean 'temperature'"):
        pd.Series(["你好"]).belle.answer(belle, temprature=0)
