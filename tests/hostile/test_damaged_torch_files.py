"""Damaged PyTorch files: refused or read, never another error, never memory beyond the file's size."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from belle_edge.convert.sources.byte_source import MappedBytes
from belle_edge.convert.sources.source_tensors import ELEMENT_TYPES
from belle_edge.convert.sources.torch_file import open_torch_file
from belle_edge.errors import ConversionError

N_DAMAGES = 4000


def saved(*, legacy: bool) -> bytes:
    torch = pytest.importorskip("torch")
    state: dict[str, Any] = {f"layers.{i}.weight": torch.randn(8, 8) for i in range(4)}
    state |= {"half": torch.randn(4, 4).half(), "parameter": torch.nn.Parameter(torch.randn(3))}
    state |= {"transposed": state["half"].T}
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def damaged(data: bytes, choose: random.Random) -> bytes:
    result = bytearray(data)
    if choose.random() < 0.2:
        return bytes(result[: choose.randrange(1, len(result))])
    for _ in range(choose.choice([1, 1, 2, 4, 16])):
        at = choose.randrange(len(result))
        if choose.random() < 0.3:
            result[at : at + choose.randrange(1, 9)] = choose.randbytes(choose.randrange(9))
        else:
            result[at] = choose.choice([0, 128, 255, choose.randrange(256)])
    return bytes(result)


@pytest.mark.slow
@pytest.mark.parametrize("legacy", [False, True])
def test_random_damage(tmp_path: Path, legacy: bool) -> None:
    data, choose, path = saved(legacy=legacy), random.Random(11), tmp_path / "pytorch_model.bin"
    refused = 0
    for _ in range(N_DAMAGES):
        path.unlink(missing_ok=True)
        path.write_bytes(damaged(data, choose))
        try:
            tensors = open_torch_file(MappedBytes(path)).values()
        except ConversionError:
            refused += 1
            continue
        for tensor in tensors:
            if tensor.shape and tensor.dtype in ELEMENT_TYPES:
                tensor.rows(0, min(1, tensor.shape[0]))
    print(f"\n{refused} of {N_DAMAGES} damaged files refused")
    assert refused > N_DAMAGES // 3


BOMBS = {
    "memo": b"\x80\x02}r\xff\xff\xff\x0f.",  # PUT at index 2^28 - 1
    "length": b"\x80\x04\x8d" + (1 << 40).to_bytes(8, "little") + b"a.",  # a text of 1 TB
    "bytearray": b"\x80\x05\x96" + (1 << 36).to_bytes(8, "little") + b"a.",
    "call": b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
}

LIMITED = """
import sys
from pathlib import Path
from belle_edge.convert.sources.byte_source import MappedBytes
from belle_edge.convert.sources.torch_file import open_torch_file
from belle_edge.errors import ConversionError
try:
    open_torch_file(MappedBytes(Path(sys.argv[1])))
except ConversionError as error:
    print(error)
with open("/proc/self/status") as status:  # ru_maxrss would count the process that started this one
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_no_memory_for_what_a_file_only_claims(tmp_path: Path, name: str) -> None:
    path = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", BOMBS[name])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    peak_kb = int(done.stdout.splitlines()[-1])
    assert peak_kb < 300_000
