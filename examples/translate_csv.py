"""Translate a column of a CSV file: python examples/translate_csv.py MODEL.gguf IN.csv OUT.csv

A stopped run goes on with a second start: it is `belle-edge batch`, which any script can call.
"""

import csv
import subprocess
import sys

model, source, target = sys.argv[1:4]
done = subprocess.run(
    [
        *(sys.executable, "-m", "belle_edge", "batch", model, source, "-o", target, "--resume"),
        *(
            "--template",
            "翻译成英文：{text}",
            "--answer-field",
            "english",
            "--temperature",
            "0",
            "--max-tokens",
            "200",
        ),
    ]
)
if done.returncode not in (0, 3):  # 3: some rows have an error in place of a translation
    sys.exit(done.returncode)
with open(target, encoding="utf-8", newline="") as file:
    for row in csv.DictReader(file):
        print(f"{row['text']!r} -> {row['english'] or row['error']!r}")
