"""Without the package that an integration is for, an error names the extra; a model is shared by those who name it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

from belle_edge.integrations.shared_models import shared_model

CODE = """
import importlib, sys
for package, module in (("langchain_core", "langchain"), ("llm", "llm_plugin"), ("pandas", "pandas")):
    sys.modules[package] = None
    try:
        importlib.import_module(f"belle_edge.integrations.{module}")
    except ImportError as error:
        print(error)
"""


def test_the_extra_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env=dict(os.environ), timeout=120
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    for extra, line in zip(("langchain", "llm", "pandas"), lines, strict=True):
        assert line.startswith(f"[{extra}]")
        assert line.endswith(f"is not installed: pip install 'belle-edge[{extra}]'")


def test_a_model_is_shared_while_somebody_holds_it(demo: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(demo.read_bytes())
    held = shared_model(path, {})
    assert shared_model(str(path), {}) is held
    assert shared_model(path, {"context": 32}) is not held
    answer = held.generate("你好", temperature=0, max_tokens=4).text
    del held
    gc.collect()
    again = shared_model(path, {})
    assert again.generate("你好", temperature=0, max_tokens=4).text == answer
    os.utime(path, ns=(1, 1))  # as a file that was written anew
    assert shared_model(path, {}) is not again
