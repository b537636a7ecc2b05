"""For the benchmarks of `belle-edge batch`: its command, inputs of short questions, and the bundled model."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from belle_edge.convert.calibration_texts import calibration_text_paths

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
    """JSON lines with an id each, hardly two alike: questions about pieces of the bundled texts.

    bad: some of them are broken, or ask nothing.
    """
    texts = calibration_text_paths()[0].read_text("utf-8")
    chance = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        for number in range(n):
            if bad and number % BAD_EVERY == BAD_EVERY - 1:
                file.write("{broken\n" if number % 2 else '{"id": 1}\n')
                continue
            begin, length = chance.randrange(len(texts) - 12), chance.randint(2, 12)
            question = chance.choice(_QUESTIONS).format(texts[begin : begin + length])
            file.write(json.dumps({"id": number, "prompt": question}, ensure_ascii=False) + "\n")


def bundled_model(folder: Path) -> Path:
    """The demo model in q4_0."""
    from belle_edge.convert import convert
    from belle_edge.demo import checkpoint_path

    path = folder / "demo.gguf"
    convert(checkpoint_path(), path, type="q4_0", family="belle")
    return path
