"""A program that speaks like llama-bench, for tests: its rates are made up, its options and reports are not."""

from __future__ import annotations

import json
import sys

HELP = """usage: llama-bench [options]
  -m, --model <filename>
  -p, --n-prompt <n>
  -n, --n-gen <n>
  -gp <pp,tg>
  -o, --output <csv|json|md|sql>
"""


def test(n_prompt: int, n_gen: int, rate: float) -> dict[str, object]:
    facts = {"build_commit": "abc123", "build_number": 42, "cpu_info": "A CPU", "model_size": 1000}
    return {**facts, "model_type": "llama 7B IQ4_KS", "n_prompt": n_prompt, "n_gen": n_gen, "avg_ts": rate}


def main() -> int:
    words = sys.argv[1:]
    if "--help" in words:
        print(HELP)
        return 0
    if "-bad" in words:
        print("error: invalid parameter for argument: -bad", file=sys.stderr)
        print(HELP)
        return 1
    values = {name: words[words.index(name) + 1] for name in ("-m", "-t", "-p", "-gp", "-o") if name in words}
    if not values["-m"].endswith(".gguf"):
        print(f"main: error: failed to load model '{values['-m']}'", file=sys.stderr)
        return 1
    if "-markdown" in words:
        print("| model | test | t/s |")
        return 0
    n_prompt, n_gen = map(int, values["-gp"].split(","))
    tests = [test(n_prompt, n_gen, 0.5)] if "-half" in words else [test(int(values["-p"]), 0, 8.0)]
    tests += [] if "-half" in words else [test(n_prompt, n_gen, 0.5)]
    assert values["-o"] == "json"
    print(json.dumps(tests))
    return 0


sys.exit(main())
