"""`--schema` and `--choice` of `generate` and `chat`."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llguidance")

from belle_edge.cli.constraint_options import constraint_settings

Belle = Callable[..., Any]
CITY = {
    "type": "object",
    "properties": {"城市": {"enum": ["北京", "上海"]}},
    "required": ["城市"],
    "additionalProperties": False,
}


def options(*, schema: Path | None = None, choice: list[str] | None = None) -> dict[str, Any]:
    return constraint_settings(Namespace(schema=schema, choice=choice))


def test_choices() -> None:
    assert options() == {}
    assert options(choice=["北京, 上海", "广州"]) == {"choice": ["北京", "上海", "广州"]}
    assert options(choice=['"a,b","say ""hi"""', "是，否"]) == {"choice": ["a,b", 'say "hi"', "是，否"]}
    with pytest.raises(ValueError, match="--choice: expected texts with commas between them"):
        options(choice=['"a'])
    with pytest.raises(ValueError, match="--choice: expected a text that is not empty"):
        options(choice=["a,"])


def test_a_file_with_a_schema(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(CITY), encoding="utf-8-sig")
    assert json.loads(options(schema=path)["schema"]) == CITY
    path.write_text('{"properties": {"a": {"not": {}}}}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"^--schema: \$\.properties\.a: the keyword 'not' is not supported"):
        options(schema=path)
    with pytest.raises(FileNotFoundError):
        options(schema=tmp_path / "none.json")


def test_generate_and_chat(belle: Belle, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(CITY), encoding="utf-8")
    done = belle("generate", model, "推荐一个城市", "--schema", path, "--json", "--seed", "1")
    record = json.loads(done.stdout)
    assert record["finish_reason"] == "stop"
    assert json.loads(record["text"])["城市"] in ("北京", "上海")
    done = belle("chat", model, "--choice", "是,否", "--quiet", text="你好\n再见\n")
    assert [line in ("是", "否") for line in done.stdout.splitlines()] == [True, True]
    done = belle("generate", "no-such-model.gguf", "x", "--choice", "a", "--schema", path)
    assert done.returncode == 2
    assert "not allowed with" in done.stderr


def test_lines_have_their_own(belle: Belle, model: Path) -> None:
    """A shape of a line takes the place of the one for all; a refused one is an error of its line."""
    lines = [
        {"prompt": "一", "choice": ["高", "低"]},
        {"prompt": "二"},
        {"prompt": "三", "schema": CITY},
        {"prompt": "四", "schema": {"not": {}}},
    ]
    text = "\n".join(map(json.dumps, lines))
    done = belle("generate", model, "--jsonl", "--json", "--choice", "是,否", "--seed", "1", text=text)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert records[0]["text"] in ("高", "低")
    assert records[1]["text"] in ("是", "否")
    assert json.loads(records[2]["text"])["城市"] in ("北京", "上海")
    assert "the keyword 'not' is not supported" in records[3]["error"]
    assert done.returncode == 1
