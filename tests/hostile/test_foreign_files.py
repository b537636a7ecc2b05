"""Files that are no GGUF although they are named so: each error says what the file is and what to do."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import belle_edge
from belle_edge._core import GgufFile, Model
from belle_edge.errors import ModelFormatError

from .conftest import Completed

pytestmark = pytest.mark.slow


def zip_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"x" * 100)
    return buffer.getvalue()


def safetensors() -> bytes:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(8)


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2345678901\n"

# content, what the message calls it, what it tells to do
FOREIGN: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "empty (0 bytes)", "download or convert it again"),
    "lfs_pointer": (LFS_POINTER, "a Git LFS pointer", "git lfs pull"),
    "html": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page", "download"),
    "html_after_blank_lines": (b"\n\n  <html>rate limited</html>", "a web page", "download"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page", "download"),
    "json": (b'{"error":"Invalid username or password."}', "JSON text", "download"),
    "safetensors": (safetensors(), "a safetensors checkpoint", "belle-edge convert"),
    "zip": (zip_archive(), "a zip archive or PyTorch checkpoint", "belle-edge convert"),
    "pickle": (pickle.dumps({"a": 1}, protocol=2), "an old PyTorch checkpoint", "belle-edge convert"),
    "ggml": (b"lmgg" + bytes(100), "from before GGUF", "convert the original"),
    "ggjt": (b"tjgg" + struct.pack("<I", 3) + bytes(100), "from before GGUF", "convert the original"),
    "zeros": (bytes(5000), "zero bytes", "download it again"),
    "text": (b"hello, this is no model", "does not start with 'GGUF'", "belle-edge convert"),
    "cut_magic": (b"GGU", "does not start with 'GGUF'", "belle-edge convert"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_it_is_and_what_to_do(tmp_path: Path, name: str) -> None:
    content, kind, remedy = FOREIGN[name]
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    for load in (GgufFile, Model, belle_edge.Belle.load):
        with pytest.raises(ModelFormatError) as caught:
            load(str(path))
        message = str(caught.value)
        assert "model.gguf" in message
        assert kind in message
        assert remedy in message


@pytest.mark.parametrize("name", ["empty", "lfs_pointer", "html", "safetensors"])
def test_the_command_says_so_in_one_line(tmp_path: Path, belle: Callable[..., Completed], name: str) -> None:
    content, kind, remedy = FOREIGN[name]
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    for arguments in (("info", path), ("generate", path, "hello")):
        done = belle(*arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert kind in done.stderr
        assert remedy in done.stderr


def test_a_binary_file_that_only_looks_alike(tmp_path: Path) -> None:
    """A brace where safetensors has one, but a header length past the end: not called safetensors."""
    path = tmp_path / "model.gguf"
    path.write_bytes(struct.pack("<Q", 10_000) + b"{" + bytes(100))
    with pytest.raises(ModelFormatError, match="does not start with 'GGUF'"):
        GgufFile(str(path))
