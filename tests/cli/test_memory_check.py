"""The check before loading: what is available, what a model needs, and the refusal."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge import _core
from belle_edge.memory import InsufficientMemoryError, available_memory, check_memory, required_memory

from ..model.gguf_models import random_llama

Belle = Callable[..., Any]
MIB = 1 << 20
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's proc and cgroup files")


@pytest.fixture(scope="module")
def large(converted: Callable[[str, str], Path]) -> Path:
    """90.5 MiB of weights in f32, a cache of 32 MiB for 2048 tokens."""
    return converted("large", "f32")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def machine(root: Path, *, free_mib: int, cgroup: str = "") -> Path:
    """The files of a Linux machine with so much memory."""
    write(
        root / "proc/meminfo", f"MemTotal: 9999999 kB\nMemAvailable:    {free_mib << 10} kB\nSwapFree: 5 kB\n"
    )
    write(root / "proc/self/cgroup", cgroup)
    write(root / "proc/self/statm", "0 0 0 0 0 0 0\n")
    return root


def group_v2(folder: Path, limit: str, used: int, cache: int = 0) -> None:
    write(folder / "memory.max", f"{limit}\n")
    write(folder / "memory.current", f"{used}\n")
    write(folder / "memory.stat", f"anon 5\ninactive_file {cache}\nactive_file 0\n")


def group_v1(folder: Path, limit: int, used: int, cache: int = 0) -> None:
    write(folder / "memory.limit_in_bytes", f"{limit}\n")
    write(folder / "memory.usage_in_bytes", f"{used}\n")
    write(folder / "memory.stat", f"cache 5\ninactive_file 1\ntotal_inactive_file {cache}\n")


@linux_only
def test_free_memory(tmp_path: Path) -> None:
    found = available_memory(machine(tmp_path, free_mib=700))
    assert found is not None
    assert (found.n_bytes, found.limit) == (700 * MIB, "free memory")


@linux_only
def test_cgroup_v2_counts_every_level_and_gives_cache_back(tmp_path: Path) -> None:
    root = machine(tmp_path, free_mib=700, cgroup="0::/user/chat\n")
    group_v2(root / "sys/fs/cgroup/user/chat", "max", 5 * MIB)
    group_v2(root / "sys/fs/cgroup/user", str(400 * MIB), 150 * MIB, cache=50 * MIB)
    found = available_memory(root)
    assert found is not None
    assert found.n_bytes == 300 * MIB
    assert found.limit == "cgroup limit of 400.0 MiB"


@linux_only
def test_cgroup_v1_seen_from_inside_a_container(tmp_path: Path) -> None:
    """The path names the host's group, the mounted folder is the container's own."""
    root = machine(tmp_path, free_mib=700, cgroup="9:cpu:/docker/1\n4:hugetlb,memory:/docker/1\n0::/\n")
    group_v1(root / "sys/fs/cgroup/memory", 200 * MIB, 90 * MIB, cache=20 * MIB)
    found = available_memory(root)
    assert found is not None
    assert found.n_bytes == 130 * MIB


@linux_only
def test_a_cgroup_without_a_limit_or_over_it(tmp_path: Path) -> None:
    root = machine(tmp_path, free_mib=700, cgroup="4:memory:/\n0::/\n")
    group_v1(root / "sys/fs/cgroup/memory", 9223372036854771712, 90 * MIB)
    group_v2(root / "sys/fs/cgroup", "max", 90 * MIB)
    found = available_memory(root)
    assert found is not None
    assert found.n_bytes == 700 * MIB
    group_v2(root / "sys/fs/cgroup", str(10 * MIB), 11 * MIB)
    found = available_memory(root)
    assert found is not None
    assert found.n_bytes == 0


@linux_only
def test_unreadable_system_files_mean_unknown(tmp_path: Path) -> None:
    assert available_memory(tmp_path) is None
    machine(tmp_path, free_mib=1, cgroup="nonsense\n0\n:::\n")
    assert available_memory(tmp_path) is not None


@linux_only
def test_a_model_that_does_not_fit(tmp_path: Path, large: Path) -> None:
    path, needed = large, required_memory(_core.GgufFile(str(large)))
    root = machine(tmp_path, free_mib=4000, cgroup="0::/\n")
    assert check_memory(path, root=root) == needed
    group_v2(root / "sys/fs/cgroup", str(needed.total - needed.kv // 2), 0)
    with pytest.raises(InsufficientMemoryError) as caught:
        check_memory(path, root=root)
    message = str(caught.value)
    sizes = [f"{n_bytes / MIB:.1f} MiB" for n_bytes in (needed.weights, needed.kv)]
    for part in (*sizes, "2048 tokens", "cgroup limit", "f16"):
        assert part in message
    assert re.search(r"q4_0 \(1[12]\.\d MiB\)", message)
    # what the message proposes does fit
    context = int(message.split("a context of ")[1].split(" tokens")[0])
    assert 900 < context < 1100
    assert check_memory(path, context=context, root=root).context == context
    check_memory(path, kv="f16", root=root)
    group_v2(root / "sys/fs/cgroup", str(needed.total - needed.kv + needed.kv_types["q8"]), 0)
    with pytest.raises(InsufficientMemoryError, match="a cache \\(kv\\) of type q8"):
        check_memory(path, root=root)
    check_memory(path, kv="q8", root=root)
    group_v2(root / "sys/fs/cgroup", str(needed.total - needed.kv // 2), 0)
    with pytest.raises(InsufficientMemoryError):
        check_memory(path, context=context + 32, root=root)


@linux_only
def test_only_what_would_fit_is_proposed(tmp_path: Path, large: Path) -> None:
    path, needed = large, required_memory(_core.GgufFile(str(large)))
    root = machine(tmp_path, free_mib=4000, cgroup="0::/\n")
    group_v2(root / "sys/fs/cgroup", str(needed.total - needed.kv * 3 // 4), 0)
    with pytest.raises(
        InsufficientMemoryError, match=r"fit: a context of \d+ tokens, or weights of type q8_0"
    ):
        check_memory(path, root=root)
    group_v2(root / "sys/fs/cgroup", str(MIB), 0)
    with pytest.raises(InsufficientMemoryError, match="no smaller context"):
        check_memory(path, root=root)


@linux_only
def test_a_model_at_exactly_the_limit(tmp_path: Path, model: Path) -> None:
    needed = required_memory(_core.GgufFile(str(model)), context=33)
    assert needed.kv == 64 * needed.kv_bytes_per_token  # pages of 32
    root = machine(tmp_path, free_mib=4000, cgroup="0::/\n")
    group_v2(root / "sys/fs/cgroup", str(needed.total), 0)
    check_memory(model, context=33, root=root)
    group_v2(root / "sys/fs/cgroup", str(needed.total - 1), 0)
    with pytest.raises(InsufficientMemoryError):
        check_memory(model, context=33, root=root)


LIMITED = """
import resource, sys
import numpy, belle_edge._core
from belle_edge.cli.main import main
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(sys.argv[2:]))
"""


def limited(n_mib: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in a process that may take n_mib MiB more address space than it has at its start."""
    command = [sys.executable, "-c", LIMITED, str(n_mib * MIB), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)


@pytest.mark.slow
@linux_only
def test_ulimit_is_respected_before_loading(large: Path) -> None:
    path, options = large, ("--temperature", "0", "--max-tokens", "3")
    done = limited(200, "generate", path, "你好", *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ulimit" in done.stderr
    assert "weights 90.5 MiB" in done.stderr
    assert "--no-memory-check" in done.stderr
    assert done.stderr.count("\n") == 1
    mapped = limited(50, "generate", path, "你好", *options)
    assert mapped.returncode == 1
    assert "cannot even be mapped" in mapped.stderr
    assert limited(600, "generate", path, "你好", *options).returncode == 0


@linux_only
def test_the_check_can_be_overridden(large: Path) -> None:
    """Loading then fails by itself, or goes well; either way without a traceback."""
    done = limited(150, "generate", large, "你好", "--max-tokens", "3", "--no-memory-check")
    assert done.returncode == 1
    assert "cannot allocate" in done.stderr
    assert "Traceback" not in done.stderr


@linux_only
def test_a_long_trained_context_is_counted_only_when_asked_for(tmp_path: Path) -> None:
    """The cache grows with use: a model trained for 131,072 tokens loads where 4,096 of them fit."""
    model = random_llama()
    model.metadata["context_length"] = 131072
    path = model.write(tmp_path / "long.gguf")
    root = machine(tmp_path, free_mib=40)
    assert check_memory(path, root=root).context == 4096
    with pytest.raises(InsufficientMemoryError, match="cache for 131072 tokens"):
        check_memory(path, context=131072, root=root)


def test_an_unknown_type_of_cache_is_no_float32(tmp_path: Path) -> None:
    path = random_llama().write(tmp_path / "model.gguf")
    with pytest.raises(ValueError, match="kv: expected auto, f32, f16 or q8, got 'q8_0'"):
        check_memory(path, kv="q8_0")
