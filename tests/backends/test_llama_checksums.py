"""llama.cpp gets a file of ours only when every byte matches its checksum."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import belle_edge
from belle_edge._core import GgufFile
from belle_edge.errors import ModelFormatError

from .conftest import Foreign


def answer(path: Path) -> str:
    with belle_edge.Belle.load(path, backend="llama.cpp", threads=1) as model:
        return model.generate("你好", max_tokens=4, temperature=0, raw=True).text


def test_a_file_with_checksums(
    llama_cpp: Any, converted: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = converted("llama", "f32")
    answer(source)
    file = GgufFile(str(source))
    path = tmp_path / "damaged.gguf"

    def never(*_: object, **__: object) -> None:
        raise AssertionError("llama.cpp was given a damaged file")

    monkeypatch.setattr("belle_edge.backends.llama_library.Library.load_model", never)
    for at, text in (
        (file.data_offset, "token_embd.weight"),
        (500, "damaged"),
        (file.size_bytes - 1, "bytes"),
    ):
        data = bytearray(source.read_bytes())
        data[at] ^= 8
        path.write_bytes(data)
        with pytest.raises(ModelFormatError, match="download or convert it again") as caught:
            answer(path)
        assert "damaged.gguf" in str(caught.value)
        assert text in str(caught.value)


def test_a_foreign_file(foreign: Foreign) -> None:
    path = foreign("qwen2")
    assert GgufFile(str(path)).checksums is None
    assert isinstance(answer(path), str)
