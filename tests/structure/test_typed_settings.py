"""Type checkers find a mistyped setting in a user's program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
from belle_edge import Belle, Generation, SamplingParams
from belle_edge.convert import SourceOptions, TrimRequest, TypeRules, convert

model = Belle.load("x.gguf")
model.generate("a", temperature=0.5, stop="b", max_tokens=None)
model.generate("a", temprature=0.5)  # wrong
model.stream("a", top_k="many")  # wrong
model.chat([{"role": "user", "content": "a"}], max_new_tokens=5)  # wrong
model.conversation(seed=1).say("a", tempreature=1)  # wrong
SamplingParams(temprature=0.5)  # wrong
Belle.load("x.gguf", n_ctx=5)  # wrong
answers: list[Generation] = model.generate_batch(text for text in "ab")
both: list[Generation | ValueError] = model.generate_batch(["a"], errors="return", seed=1)
model.generate_batch(["a"], errors="ignore")  # wrong
model.generate_batch(["a"], temprature=1)  # wrong
convert("a", "b", type="q8_0", lora=["c", ("d", 0.5)], vocab="zh,en", vocab_from=["e.txt"], tokenizer=None)
convert("a", "b", source=SourceOptions(lora="c", revision="main"), trim=TrimRequest(languages=("zh",)))
convert("a", "b", type="q8_0", tensor_type={"*.ffn_up": "f16"}, head_type="f16", pure=True)
convert("a", "b", type=TypeRules("q4_k_m", tensor_type=["*.ffn_up=f16", ("*.ffn_down", "f32")]))
convert("a", "b", tokeniser="c")  # wrong
convert("a", "b", head_tpye="f16")  # wrong
convert("a", "b", tensor_type=5)  # wrong
convert("a", "b", lora=0.5)  # wrong
convert("a", "b", source="c")  # wrong
SourceOptions(revison="main")  # wrong
"""


@pytest.mark.slow
def test_mypy_finds_mistyped_settings(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    if not (ROOT / "belle_edge" / "convert").is_dir():
        pytest.skip("needs a checkout with symbolic links")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(  # with the project's settings, so that it shares the cache of a run over the tree
        [sys.executable, "-m", "mypy", "--no-error-summary", str(program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(ROOT)},
    )
    wrong = {number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.endswith("# wrong")}
    found = {int(line) for line in re.findall(r"program\.py:(\d+): error", done.stdout, re.MULTILINE)}
    assert found == wrong, done.stdout + done.stderr
