"""Answer every line of a file, 16 at a time: python examples/batch.py MODEL.gguf QUESTIONS.txt"""

import sys
from pathlib import Path

from belle_edge import Belle

questions = [line for line in Path(sys.argv[2]).read_text(encoding="utf-8").splitlines() if line.strip()]
with Belle.load(sys.argv[1]) as model:
    answers = model.generate_batch(questions, max_tokens=64, temperature=0)
    for question, answer in zip(questions, answers, strict=True):
        print(f"{question}\t{answer.text!r}")
