"""For the benchmarks of `belle-edge batch`: its command, inputs of short questions, and the bundled model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

_SUBJECTS = ("北京", "上海", "春天", "月亮", "长城", "茶", "书法", "围棋", "熊猫", "黄河")
_QUESTIONS = (
    "介绍一下{}。",
    "{}有什么特点？",
    "用一句话描写{}。",
    "“{}”用英文怎么说？",
    "{}和水有什么关系？",
)
BAD_EVERY = 97  # a line of so many is no record


def command(model: Path, source: Path, out: Path, *options: str) -> list[str]:
    """`belle-edge batch` of this Python."""
    return [sys.executable, "-m", "belle_edge", "batch", str(model), str(source), "-o", str(out), *options]


def write_questions(path: Path, n: int, *, bad: bool = False) -> None:
    """JSON lines with an id each; bad: some of them are broken, or ask nothing."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(n):
            if bad and number % BAD_EVERY == BAD_EVERY - 1:
                file.write("{broken\n" if number % 2 else '{"id": 1}\n')
                continue
            question = _QUESTIONS[number % len(_QUESTIONS)].format(_SUBJECTS[number // 7 % len(_SUBJECTS)])
            file.write(json.dumps({"id": number, "prompt": question}, ensure_ascii=False) + "\n")


def bundled_model(folder: Path) -> Path:
    """The demo model in q4_0."""
    from belle_edge.convert import convert
    from belle_edge.demo import checkpoint_path

    path = folder / "demo.gguf"
    convert(checkpoint_path(), path, type="q4_0", family="belle")
    return path
