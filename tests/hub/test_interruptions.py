"""Downloads that end early: killed, out of space, the server gone."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from .conftest import CODE, Run
from .stand_in import serve

REPO = "BelleGroup/BELLE-7B-2M"
WEIGHTS = random.Random(1).randbytes(24_000_000)  # huggingface_hub writes blocks of ten million bytes
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}


def test_the_server_goes_away_for_good(pull: Run, hub_home: Path) -> None:
    with serve(REPO, FILES) as hub:
        hub.drop_after["model.safetensors"] = [12_000_000, *[0] * 20]
        done = pull(hub.url, REPO)
        assert done.returncode == 1
        last = done.stderr.strip().splitlines()[-1]
        assert "[model.safetensors] the download stopped" in last
        assert "pull again, it continues there" in last
        hub.drop_after.clear()
        hub.requests.clear()
        again = pull(hub.url, REPO)
    assert again.returncode == 0, again.stderr
    assert str(hub.ranges("model.safetensors")[0]).startswith("bytes=")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_and_continued(pull: Run, hub_home: Path, tmp_path: Path) -> None:
    with serve(REPO, FILES) as hub:
        hub.drop_after["model.safetensors"] = [22_000_000]
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(hub_home), "NO_PROXY": "*"}
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, "pull", REPO],
            env=environment,
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while hub.drop_after["model.safetensors"] and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)  # the break is noticed at once; the library waits a second before it goes on
        process.send_signal(signal.SIGKILL)
        process.wait()
        snapshots = hub_home / "hub" / "models--BelleGroup--BELLE-7B-2M" / "snapshots"
        assert not list(snapshots.rglob("model.safetensors"))
        hub.requests.clear()
        done = pull(hub.url, REPO)
    assert done.returncode == 0, done.stderr
    assert hub.ranges("model.safetensors") != [None]
    assert next(snapshots.rglob("model.safetensors")).read_bytes() == WEIGHTS


def test_too_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from belle_edge.hub import repository as hub
    from belle_edge.hub.hub_errors import HubError
    from belle_edge.hub.listing import RemoteFile

    usage: Any = namedtuple("usage", "total used free")
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda _path: usage(10, 9, 1000))
    repository = hub.Repository(REPO, "0" * 40, (RemoteFile("model.safetensors", 14_000_000_000, None),))
    with pytest.raises(HubError, match=r"needs 14\.00 GB, .* has 0\.00 GB free"):
        hub.download(repository, repository.files, to=tmp_path / "to")
    assert not (tmp_path / "to").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_progress_on_a_terminal(hub_home: Path, tmp_path: Path) -> None:
    """The name, the part done, the speed and the time left; nothing of it in a pipe (see the other tests)."""
    code = (
        "import pty, sys; pty.spawn(['sh', '-c', 'stty cols 120 rows 40; exec \"$0\" \"$@\"', *sys.argv[1:]])"
    )
    with serve(REPO, FILES) as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(hub_home), "NO_PROXY": "*"}
        done = subprocess.run(
            [sys.executable, "-c", code, sys.executable, "-c", CODE, "pull", REPO],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            cwd=tmp_path,
            env=environment,
            timeout=120,
        )
    assert re.search(
        r"model\.safetensors: +100%.*24\.0M/24\.0M \[\d\d:\d\d<\d\d:\d\d, .*B/s\]", done.stdout
    ), done.stdout
