"""Fields out of the texts of a CSV file: python examples/extract_fields.py MODEL.gguf IN.csv OUT.csv

Each answer is JSON that fulfils the schema (the extra `schema`), and each of its properties becomes a column.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "weather": {"enum": ["晴", "雨", "雪", "不知道"]},
        "degrees": {"anyOf": [{"type": "integer", "minimum": -60, "maximum": 60}, {"type": "null"}]},
    },
    "required": ["city", "weather", "degrees"],
    "additionalProperties": False,
}
model, source, target = sys.argv[1:4]
schema = Path(target).with_suffix(".schema.json")
schema.write_text(json.dumps(SCHEMA, ensure_ascii=False), encoding="utf-8")
done = subprocess.run(
    [
        *(sys.executable, "-m", "belle_edge", "batch", model, source, "-o", target, "--resume"),
        *("--template", "从下面的文字中找出城市、天气和气温，用JSON回答。\n{text}"),
        *("--schema", str(schema), "--spread", "--temperature", "0", "--max-tokens", "100"),
    ]
)
if done.returncode not in (0, 3):  # 3: some rows have an error in place of their fields
    sys.exit(done.returncode)
with open(target, encoding="utf-8", newline="") as file:
    for row in csv.DictReader(file):
        print(row["text"], "->", row["error"] or [row[name] for name in SCHEMA["properties"]])
