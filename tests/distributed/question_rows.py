"""Rows for the tests: questions with sampled answers, one of which cannot be answered."""

from __future__ import annotations

from typing import Any

RESULTS = ["generated_text", "finish_reason", "prompt_tokens", "completion_tokens", "error"]
_QUESTIONS = ("法国的首都是哪里？", "“高”的反义词是什么？", "12加30等于多少？", "你是谁？")


def question_rows() -> list[dict[str, Any]]:
    """24 rows: id, prompt, and sampling_params for some."""
    return [
        {
            "id": index,
            "prompt": "北京" * 3000 if index == 7 else _QUESTIONS[index % 4] * (1 + index // 8),
            "sampling_params": [None, {"temperature": 2.5, "max_tokens": 9}, {"top_k": 3}][index % 3],
        }
        for index in range(24)
    ]
