"""ThreadSanitizer over the thread pool and over an engine that several threads use at once."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import ROOT, Program, require_sanitizer, run

pytestmark = pytest.mark.slow
ENVIRONMENT = {**os.environ, "TSAN_OPTIONS": "halt_on_error=1 exitcode=66"}


@pytest.mark.parametrize(
    ("tier", "name"), [("", "bloom"), ("scalar", "llama")], ids=["default tier", "scalar"]
)
def test_no_data_race(
    sanitized_program: Program, converted: Callable[[str, str], Path], tier: str, name: str
) -> None:
    program = sanitized_program("thread", "engine_threads")
    model = converted(name, "q4_0")
    done = subprocess.run(
        [str(program), str(model), tier],
        capture_output=True,
        text=True,
        timeout=300,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert done.stdout.startswith(f"tier {tier or ''}")
    assert done.stderr == ""


RACE = """
#include <atomic>
#include "core/thread_pool.h"
int main() {
  belle::ThreadPool pool(2);
  std::atomic<int> n_inside{0};
  size_t n = 0;
  pool.parallel_for(64, [&](size_t begin, size_t end) {
    n_inside.fetch_add(1, std::memory_order_relaxed);
    while (n_inside.load(std::memory_order_relaxed) < 2) {}  // both threads are in a body
    n += end - begin;
  });
  return n == 0;
}
"""


def test_a_race_would_be_found(tmp_path: Path) -> None:
    """A body that writes what another one writes, on the same pool."""
    require_sanitizer("thread", tmp_path)
    (tmp_path / "race.cpp").write_text(RACE, encoding="utf-8")
    sources = [tmp_path / "race.cpp", *(ROOT / "csrc" / "core").glob("[!x]*.cpp")]
    compiler = os.environ.get("CXX") or shutil.which("c++") or "g++"
    command = [compiler, "-std=c++17", "-O1", "-g1", "-fsanitize=thread", f"-I{ROOT / 'csrc'}", "-pthread"]
    run([*command, *map(str, sources), "-o", str(tmp_path / "race")])
    done = subprocess.run(
        [str(tmp_path / "race")], capture_output=True, text=True, env=ENVIRONMENT, timeout=60
    )
    assert done.returncode == 66
    assert "data race" in done.stderr
