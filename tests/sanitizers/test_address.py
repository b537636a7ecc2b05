"""AddressSanitizer and UndefinedBehaviorSanitizer over the extension module in Python, and over the kernel tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..shared_builds import lock
from .conftest import ROOT, Program, require_sanitizer, run

pytestmark = pytest.mark.slow
GENERATION = """
import sys
from pathlib import Path
import belle_edge, belle_edge._core
from belle_edge import Belle
from belle_edge.convert import convert
from belle_edge.demo import checkpoint_path

folder = Path(sys.argv[1])
print(belle_edge._core.__file__)
convert(checkpoint_path(), folder / "demo.gguf", type="q4_0", family="belle")
with Belle.load(folder / "demo.gguf", threads=3) as model:
    conversation = model.conversation(temperature=0, max_tokens=12)
    print(conversation.say("你好").text)
    conversation.save(folder / "saved.chat")
    print(model.load_conversation(folder / "saved.chat", temperature=0, max_tokens=12).say("1加1等于多少？").text)
    print(*[result.text for result in model.generate_batch(["你好", "1加1等于多少？"], seed=1, max_tokens=8)])
try:
    Belle.load(folder / "saved.chat")
except ValueError as error:
    print("refused")
"""


def preloaded() -> str:
    """The runtime of the sanitizer, and the C++ library whose exceptions it watches: before everything else."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or "g++"
    found = []
    for name in ("libasan.so", "libstdc++.so.6"):
        done = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True)
        if not os.path.isabs(done.stdout.strip()):
            pytest.skip(f"{compiler} has no {name}")
        found.append(done.stdout.strip())
    return ":".join(found)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH: this package, with the module that setup.py builds with the sanitizer."""
    require_sanitizer("address", tmp_path)
    pytest.importorskip("pybind11")
    folder = tmp_path / "site"
    kept = ROOT / "build" / "sanitized-address"
    options = ["--build-lib", str(folder), "--build-temp", str(kept)]
    with lock(kept.with_suffix(".lock")):
        run([sys.executable, "setup.py", "-q", "build_ext", *options], BELLE_SANITIZE="address")
    for path in (ROOT / "belle_edge").iterdir():
        if path.suffix not in (".so", ".pyd") and path.name != "convert":
            (folder / "belle_edge" / path.name).symlink_to(path)
    (folder / "belle_edge" / "convert").symlink_to(ROOT / "convert")
    return folder


def test_the_extension_generates(package: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "LD_PRELOAD": preloaded(),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps much until its end
        "PYTHONMALLOC": "malloc",  # else small objects have no guards
        "PYTHONPATH": str(package),
    }
    done = subprocess.run(
        [sys.executable, "-c", GENERATION, str(tmp_path)],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        cwd=tmp_path,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    module, hello, _, _, refused = done.stdout.splitlines()
    assert Path(module).parent == package / "belle_edge"
    assert "__asan_init" in subprocess.run(["nm", "-D", module], capture_output=True, text=True).stdout
    assert hello.startswith("你好")
    assert refused == "refused"


def test_the_kernel_tests(sanitized_program: Program) -> None:
    program = sanitized_program("address", "kernel_test")
    environment = {name: value for name, value in os.environ.items() if name != "BELLE_ISA"}
    done = subprocess.run([str(program)], capture_output=True, text=True, env=environment, timeout=500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    assert "FAILED" not in done.stdout
    assert "tier scalar: " in done.stdout
    assert "checks passed" in done.stdout
