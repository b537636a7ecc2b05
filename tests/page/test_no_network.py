"""What leaves this computer while a model is converted, asked and chatted with: nothing."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "page_no_network.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("page_no_network", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs network namespaces")
def test_nothing_leaves() -> None:
    pytest.importorskip("playwright", reason="pip install playwright brings it")
    for package in ("fastapi", "sqlalchemy"):
        pytest.importorskip(package, reason="pip install '.[server]' brings it")
    if shutil.which("chromium") is None:
        pytest.skip("no Chromium found: apt install chromium")
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0:
        pytest.skip("needs unshare, and the right to use it")
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "requests of the browser to anywhere else: 0" in done.stdout
    assert "54+42=96" in done.stdout


def test_what_would_leave_is_found(script: ModuleType, tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    asked = (
        ("socket.connect", "('127.0.0.1', 80)"),
        ("socket.getaddrinfo", "'hub.example'"),
        ("socket.connect", "('192.0.2.7', 443)"),
    )
    audit.write_text("".join(json.dumps(entry) + "\n" for entry in asked), encoding="utf-8")
    assert script.places(audit) == ["socket.getaddrinfo 'hub.example'", "socket.connect ('192.0.2.7', 443)"]
    address = "http://127.0.0.1:1"
    quiet = {
        "address": address,
        "requests": [f"{address}/"],
        "answers": ["a"],
        "violations": [],
        "places": [],
    }
    assert script.report(quiet) == 0
    for change in (
        {"requests": ["https://fonts.example/"]},
        {"violations": ["font-src"]},
        {"places": ["x"]},
        {"answers": []},
    ):
        assert script.report({**quiet, **change}) == 1
