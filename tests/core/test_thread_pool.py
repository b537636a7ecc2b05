"""A pool that ends right after its last job, while a worker is put aside at the worst moment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"
PROGRAM = """
#include <atomic>
#include "core/thread_pool.h"
int main() {
  for (int i = 0; i < 50; ++i) {
    belle::ThreadPool pool(4);
    std::atomic<size_t> n{0};
    pool.parallel_for(64, [&](size_t begin, size_t end) { n += end - begin; });
    if (n != 64) return 1;
  }
}
"""
LAST_STEP = "n_done.fetch_add(1, std::memory_order_release);"
PAUSE = " std::this_thread::sleep_for(std::chrono::milliseconds(chunk % 3));"


def test_workers_that_are_late(tmp_path: Path) -> None:
    """They learn of the end although they have seen its epoch: the source with a pause after each chunk."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not CSRC.is_dir() or not compiler or os.name != "posix":
        pytest.skip("needs the sources and a C++ compiler")
    source = (CSRC / "core" / "thread_pool.cpp").read_text(encoding="utf-8")
    assert source.count(LAST_STEP) == 1
    slow = "#include <chrono>\n" + source.replace(LAST_STEP, LAST_STEP + PAUSE)
    (tmp_path / "thread_pool.cpp").write_text(slow, encoding="utf-8")
    (tmp_path / "main.cpp").write_text(PROGRAM, encoding="utf-8")
    files = [tmp_path / "main.cpp", tmp_path / "thread_pool.cpp", CSRC / "core" / "processors.cpp"]
    command = [compiler, "-std=c++17", "-O1", f"-I{CSRC}", *map(str, files), "-pthread"]
    subprocess.run([*command, "-o", str(tmp_path / "pools")], check=True)
    subprocess.run([str(tmp_path / "pools")], check=True, timeout=120)
