"""How many processors the engine may keep busy: cgroup quotas, read from folders laid out as the kernel's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from belle_edge import _core


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def quota(folder: Path, membership: str) -> float:
    write(folder / "membership", membership)
    return _core.cgroup_cpu_quota(str(folder / "membership"), str(folder))


def test_version_2_takes_the_tightest_limit_on_the_way_up(tmp_path: Path) -> None:
    write(tmp_path / "cpu.max", "800000 100000\n")
    write(tmp_path / "pod" / "cpu.max", "150000 100000\n")
    write(tmp_path / "pod" / "job" / "cpu.max", "max 100000\n")
    assert quota(tmp_path, "0::/pod/job\n") == pytest.approx(1.5)
    assert quota(tmp_path, "0::/pod\n") == pytest.approx(1.5)
    assert quota(tmp_path, "0::/\n") == pytest.approx(8.0)


def test_version_2_without_a_limit(tmp_path: Path) -> None:
    write(tmp_path / "cpu.max", "max 100000\n")
    assert quota(tmp_path, "0::/\n") == 0.0


def test_version_1(tmp_path: Path) -> None:
    write(tmp_path / "cpu" / "cpu.cfs_quota_us", "250000\n")
    write(tmp_path / "cpu" / "cpu.cfs_period_us", "100000\n")
    assert quota(tmp_path, "4:cpu,cpuacct:/job\n") == pytest.approx(2.5)
    write(tmp_path / "cpu" / "cpu.cfs_quota_us", "-1\n")
    assert quota(tmp_path, "4:cpu,cpuacct:/job\n") == 0.0


def test_damaged_or_missing_files_mean_no_quota(tmp_path: Path) -> None:
    write(tmp_path / "cpu.max", "many few\n")
    assert quota(tmp_path, "0::/gone\n") == 0.0
    assert _core.cgroup_cpu_quota(str(tmp_path / "nothing"), str(tmp_path / "nowhere")) == 0.0


def test_this_process() -> None:
    usable = _core.cpu_info()["usable_threads"]
    assert 1 <= usable <= (os.cpu_count() or 1)
    limit = _core.cgroup_cpu_quota()
    assert limit == 0.0 or usable <= limit + 1
