"""The published snippet, word for word but for the import, with torch and where torch cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SNIPPET = """
from belle_edge.hf import AutoTokenizer, AutoModelForCausalLM
tokenizer = AutoTokenizer.from_pretrained(name)
model = AutoModelForCausalLM.from_pretrained(name)
inputs = tokenizer(text, return_tensors="pt")
outputs = model.generate(**inputs, max_length=100)
print(tokenizer.decode(outputs[0]))
"""
CHECKS = """
import numpy
assert "torch" not in sys.modules, "torch was imported after all"
assert isinstance(outputs, numpy.ndarray)
assert outputs.shape[0] == 1 and outputs.dtype == numpy.int64
assert inputs["input_ids"] is inputs.input_ids
assert inputs.to("cpu")["input_ids"].to("cpu").cpu().numpy().tolist() == inputs.input_ids.tolist()
assert inputs.input_ids.unsqueeze(0).dim() == 3
assert outputs[0][inputs["input_ids"].shape[-1]:].tolist() == outputs[0].tolist()[inputs["input_ids"].shape[1]:]
sampled = model.generate(**inputs, do_sample=True, seed=1, max_new_tokens=5)
assert sampled.tolist() == model.generate(**inputs, do_sample=True, seed=1, max_new_tokens=5).tolist()
assert model(inputs["input_ids"]).logits.shape[:2] == inputs["input_ids"].shape
assert str(model.to("cuda").half().eval().device) == "cpu"
from belle_edge.hf import TextStreamer
model.generate(**inputs, max_new_tokens=3, streamer=TextStreamer(tokenizer, skip_prompt=True))
"""
TEXT = "Human: 中国的首都是哪里？\n\nAssistant:"


def run(name: Path, cache: Path, *, torch: bool, tmp_path: Path, checks: str = "") -> str:
    environment = {**os.environ, "BELLE_CACHE": str(cache), "PYTHONUTF8": "1"}
    if not torch:  # a torch that cannot be imported comes first on the path
        broken = tmp_path / "broken" / "torch"
        broken.mkdir(parents=True, exist_ok=True)
        (broken / "__init__.py").write_text("raise ImportError('no torch here')")
        environment["PYTHONPATH"] = str(broken.parent)
    code = f"import sys; name, text = sys.argv[1:]; {SNIPPET.strip()}\n{checks}".replace(
        "; from", "\nfrom", 1
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(name), TEXT],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_published_snippet(
    checkpoint: Callable[[str], Path], converted: Callable[[str, str], Path], tmp_path: Path
) -> None:
    folder, cache = checkpoint("bloom"), tmp_path / "cache"
    with_torch = run(folder, cache, torch=True, tmp_path=tmp_path)
    assert with_torch.startswith(TEXT)
    assert with_torch.endswith("</s>\n")
    without = run(folder, cache, torch=False, tmp_path=tmp_path, checks=CHECKS)
    assert without.startswith(with_torch)
    assert len(list(cache.rglob("*.gguf"))) == 1
    file = converted("bloom", "q4_0")
    assert run(file, cache, torch=False, tmp_path=tmp_path) == with_torch


def test_import_is_light() -> None:
    code = "import sys, belle_edge.hf; print(*sorted({'torch', 'transformers', 'tokenizers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180)
    assert done.stdout.strip() == "", done.stderr


@pytest.mark.parametrize("name", ["no/such/folder", "missing.gguf"])
def test_unknown_names(name: str) -> None:
    from belle_edge.hf import AutoModelForCausalLM, AutoTokenizer

    for auto in (AutoTokenizer, AutoModelForCausalLM):
        with pytest.raises(FileNotFoundError, match="not a hub id"):
            auto.from_pretrained(name)
