"""Finished messages are recognised, whatever stands in them, and quickly."""

from __future__ import annotations

import pytest

from belle_edge.languages.templates import MessageTemplates

TEXTS = {
    "no such file: {path}": "没有这个文件：{path}",
    "{name}: expected {kind}, got {value}": "{name}：应为 {kind}，实为 {value}",
    "{name}: expected {low} to {high}, got {value}": "{name}：应在 {low} 与 {high} 之间，实为 {value}",
    "a whole number": "整数",
    "the file is damaged": "文件已损坏",
    "{0} of {1} lines were refused": "{1} 行中有 {0} 行被拒绝",
    "{place} twice, {place} again": "{place} 两次",
    "unknown option {name}{advice}": "未知选项 {name}{advice}",
    "[generate] prompt: it has {n} tokens": "[generate] prompt：它有 {n} 个词元",
    "; did you mean {meant}?": "；是否指 {meant}？",
}


@pytest.mark.parametrize(
    ("english", "translated"),
    [
        ("the file is damaged", "文件已损坏"),
        ("no such file: a b: c", "没有这个文件：a b: c"),
        ("x: expected a whole number, got 'three'", "x：应为 整数，实为 'three'"),
        ("x: expected 1 to 9, got 12", "x：应在 1 与 9 之间，实为 12"),
        ("2 of 3 lines were refused", "3 行中有 2 行被拒绝"),
        ("blk.0: data: the file is damaged", "blk.0: data: 文件已损坏"),
        ("[model] x: no such file: y", "[model] x: 没有这个文件：y"),
        ("a twice, a again", "a 两次"),
        ("unknown option a b; did you mean --a?", "未知选项 a b；是否指 --a？"),
        ("[generate] prompt: it has 3 tokens", "[generate] prompt：它有 3 个词元"),
        ("prompt: it has 3 tokens", "prompt：它有 3 个词元"),
        ("--prompt: it has 3 tokens", "--prompt: 它有 3 个词元"),
        ("unknown option a; b", "未知选项 a; b"),
        ("something that nobody wrote", "something that nobody wrote"),
        ("", ""),
        (": ", ": "),
        ("no such file: ", "没有这个文件："),
        ("no such file: {kind} {0}", "没有这个文件：{kind} {0}"),
    ],
)
def test_messages(english: str, translated: str) -> None:
    assert MessageTemplates(TEXTS).translated(english) == translated


def test_a_name_is_never_translated() -> None:
    texts = {"damaged": "已损坏", "no such file: {path}": "没有这个文件：{path}"}
    assert MessageTemplates(texts).translated("no such file: damaged") == "没有这个文件：damaged"


@pytest.mark.timeout(20)
def test_a_hostile_message_does_not_take_for_ever() -> None:
    five = "{a}, got {b}, got {c}, got {d}, got {e} at last"
    templates = MessageTemplates({**TEXTS, five: "{a}{b}{c}{d}{e}"})
    for hostile in (", got " * 600, ": " * 1900, "no such " * 400, "a" * 10_000_000):
        assert templates.translated(hostile) == hostile
    assert templates.translated("x: expected " * 300).startswith("x: expected")
