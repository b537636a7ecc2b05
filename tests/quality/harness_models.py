"""Requests as lm-eval makes them, of every kind that a model has to answer like its `hf` model."""

from __future__ import annotations

from typing import Any

SHOTS = "问题：天空是什么颜色？\n答案：蓝色\n\n问题：一加一等于几？\n答案：二\n\nQuestion: Red?\nAnswer: A colour\n\n"
CHOICES = ("A", "B", "一种动物", "中国的首都。", " a cat")
PAIRS = [
    *(
        (f"{SHOTS}问题：{text}\n答案：", choice)
        for text in ("猫是什么？", "Who wrote it?")
        for choice in CHOICES
    ),
    ("", "你好，世界"),
    ("Hello ", "world"),
    ("你好 \n", " 世界"),
    ("</s>Human: hi", "\n\nAssistant:"),
    ("<s>abc", "def"),
    (SHOTS * 20, "蓝色"),
    ("a" * 3000, " b"),
]
TEXTS = [SHOTS, "", SHOTS * 9, "你好"]
PROMPTS = [
    (context, {"until": until, "max_gen_toks": length})
    for context in ("Human: 你好\n\nAssistant:", "Once upon a time", "Human: 1+1=?\n\nAssistant:", SHOTS * 20)
    for until, length in ((["\n"], 20), (["。", "!"], 30), ([], 8), ("a", 12))
]


def asked(kind: str, *arguments: Any) -> list[Any]:
    """Requests of one kind."""
    from lm_eval.api.instance import Instance

    return [Instance(request_type=kind, doc={}, arguments=one, idx=0) for one in arguments]
