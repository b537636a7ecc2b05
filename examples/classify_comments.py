"""Label the comments of a CSV file: python examples/classify_comments.py MODEL.gguf IN.csv OUT.csv

Each row gets the more probable label, and the probability of each. Rows that the model is not sure of are printed, for
a human to look at.
"""

import csv
import subprocess
import sys

model, source, target = sys.argv[1:4]
done = subprocess.run(
    [
        *(sys.executable, "-m", "belle_edge", "batch", model, source, "-o", target, "--resume"),
        *("--template", "这句评论是正面的还是负面的？只回答“正面”或“负面”。\n{text}"),
        *("--choice", "正面", "--choice", "负面", "--answer-field", "label"),
    ]
)
if done.returncode not in (0, 3):  # 3: some rows have an error in place of a label
    sys.exit(done.returncode)
with open(target, encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
unsure = [row for row in rows if row["error"] or float(row["probability"]) < 0.9]
print(f"{len(rows)} comments, {len(unsure)} of them unsure:")
for row in unsure:
    print(f"{row['label'] or row['error']} {row['probability']} {row['text']!r}")
