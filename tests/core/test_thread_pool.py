"""The pool's promises that need a program of their own: an end at the worst moment, a job within a job."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CSRC = Path(__file__).resolve().parents[2] / "csrc"
POOLS_THAT_END = """
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
JOB_IN_A_JOB = """
#include <cstdlib>
#include "core/thread_pool.h"
int main(int, char** arguments) {
  belle::ThreadPool pool(std::atoi(arguments[1]));
  pool.parallel_for(std::atoi(arguments[2]), [&](size_t, size_t) { pool.parallel_for(8, [](size_t, size_t) {}); });
}
"""
LAST_STEP = "n_done.fetch_add(1, std::memory_order_release);"
PAUSE = " std::this_thread::sleep_for(std::chrono::milliseconds(chunk % 3));"


def build(folder: Path, program: str, slow: bool = False) -> Path:
    """The program with the pool's sources; slow: with a pause after each chunk."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not CSRC.is_dir() or not compiler or os.name != "posix":
        pytest.skip("needs the sources and a C++ compiler")
    source = (CSRC / "core" / "thread_pool.cpp").read_text(encoding="utf-8")
    if slow:
        assert source.count(LAST_STEP) == 1
        source = "#include <chrono>\n" + source.replace(LAST_STEP, LAST_STEP + PAUSE)
    (folder / "thread_pool.cpp").write_text(source, encoding="utf-8")
    (folder / "main.cpp").write_text(program, encoding="utf-8")
    files = [
        folder / "main.cpp",
        folder / "thread_pool.cpp",
        CSRC / "core" / "processors.cpp",
        CSRC / "core" / "process.cpp",
    ]
    command = [compiler, "-std=c++17", "-O1", f"-I{CSRC}", *map(str, files), "-pthread"]
    subprocess.run([*command, "-o", str(folder / "program")], check=True)
    return folder / "program"


def test_workers_that_are_late(tmp_path: Path) -> None:
    """They learn of the end although they have seen its epoch."""
    subprocess.run([str(build(tmp_path, POOLS_THAT_END, slow=True))], check=True, timeout=120)


def test_a_job_in_a_job_ends_with_a_message(tmp_path: Path) -> None:
    """It would wait for itself: on threads of the pool, on the caller's alone, and for a single item."""
    program = build(tmp_path, JOB_IN_A_JOB)
    for threads, items in (("4", "64"), ("1", "64"), ("4", "1")):
        ended = subprocess.run(
            [str(program), threads, items], capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == -signal.SIGABRT
        assert "inside the body of another parallel_for" in ended.stderr
