"""Files of ours that other programs wrote anew: they run, with a warning; damaged ones stay errors."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from belle_edge import Belle
from belle_edge._core import GgufFile
from belle_edge.convert import convert
from belle_edge.errors import ModelFormatError, RewrittenFileWarning
from belle_edge.verification import verify_file

from ..cli.conftest import run_belle
from ..gguf.split import copy_field, finish

pytestmark = pytest.mark.slow
TOOLS = Path(sys.executable).parent


@pytest.fixture
def ours(make_llama: Any, tmp_path: Path) -> Path:
    path = tmp_path / "ours.gguf"
    convert(make_llama(), path, type="f16")
    return path


def tool(name: str, *arguments: str | Path) -> None:
    if not (TOOLS / name).exists():
        pytest.skip(f"no {name} beside this Python")
    subprocess.run([TOOLS / name, *map(str, arguments)], check=True, capture_output=True, timeout=120)


def quantized(source: Path, target: Path, kind: str, *, pure: bool) -> Path:
    llama_cpp = pytest.importorskip("llama_cpp")
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.pure, params.nthread = (
        getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind.upper()}"),
        pure,
        1,
    )
    assert llama_cpp.llama_model_quantize(bytes(source), bytes(target), params) == 0
    return target


@contextmanager
def one_warning(*texts: str) -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    found = [str(it.message) for it in caught if it.category is RewrittenFileWarning]
    assert len(found) == 1
    assert all(text in found[0] for text in texts), found


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_the_round_trip(ours: Path, tmp_path: Path, kind: str) -> None:
    """convert, llama.cpp's quantizer, gguf-new-metadata: info, verify and generate work, and say so once."""
    small = quantized(ours, tmp_path / "small.gguf", kind, pure=True)
    renamed = tmp_path / "renamed.gguf"
    tool("gguf-new-metadata", small, renamed, "--general-name", "Renamed", "--force")
    for path in (small, renamed):
        assert {tensor.type for tensor in GgufFile(str(path)).tensors()} == {"f32", kind}
        info, verify = run_belle("info", path), run_belle("verify", path)
        done = run_belle("generate", path, "ab", "--raw", "--max-tokens", "2", "--temperature", "0")
        for process in (info, verify, done):
            assert process.returncode == 0, process.stderr
        for text in (info.stdout, verify.stdout, done.stderr):
            assert text.count("another program") == 1
        assert "engine        native" in info.stdout
    assert "Renamed" in info.stdout
    with one_warning("renamed.gguf", "other tensors"), Belle.load(renamed) as model:
        ids = model.tokenize("ab")
        got = model.logits(ids)
    with Belle.load(ours) as model:
        expected = model.logits(ids)
    assert np.abs(got - expected).max() < (0.05 if kind == "q8_0" else 0.5) * np.abs(expected).max()


def test_edited_metadata_keeps_the_checks_of_the_weights(ours: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "renamed.gguf"
    tool("gguf-new-metadata", ours, renamed, "--general-name", "Renamed", "--force")
    with one_warning("'general.name'", "match their checksums"):
        Belle.load(renamed).close()
    report = verify_file(renamed)
    assert report.verified
    assert report.rewritten == "changed metadata 'general.name'"
    data = bytearray(renamed.read_bytes())
    data[-40] ^= 4
    renamed.write_bytes(data)
    with pytest.raises(ModelFormatError, match="do not match their checksum"):
        Belle.load(renamed)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tokenizer.ggml.eos_token_id", "3"),
        ("llama.context_length", "128"),
        ("llama.rope.freq_base", "25000.5"),
    ],
)
def test_a_value_set_in_place(ours: Path, key: str, value: str) -> None:
    before = ours.stat().st_size
    tool("gguf-set-metadata", ours, key, value, "--force")
    assert ours.stat().st_size == before
    with one_warning(f"changed metadata '{key}'"):
        Belle.load(ours).close()


def test_a_change_of_one_byte_is_damage_and_has_a_way_out(ours: Path, tmp_path: Path) -> None:
    """An accident is as likely as an edit."""
    key = "llama.vocab_size"
    tool("gguf-set-metadata", ours, key, "401", "--force")
    with pytest.raises(
        ModelFormatError, match=rf"by one byte of metadata '{key}'.*--remove-metadata"
    ) as caught:
        GgufFile(str(ours))
    assert "another program" in str(caught.value)
    bare = tmp_path / "bare.gguf"
    tool("gguf-new-metadata", ours, bare, "--remove-metadata", "belle.checksum.header", "--force")
    assert GgufFile(str(bare)).rewritten == "its checksum was taken off"
    with one_warning("have no checksums now"):
        Belle.load(bare).close()


def test_a_file_written_anew_with_other_tensors(ours: Path, tmp_path: Path) -> None:
    """As a program does that copies our metadata through the gguf package."""
    reader = gguf.GGUFReader(ours)
    target = tmp_path / "anew.gguf"
    writer = gguf.GGUFWriter(target, "llama")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            copy_field(writer, field)
    kind = gguf.GGMLQuantizationType.Q8_0
    for tensor in reader.tensors:
        if tensor.tensor_type == gguf.GGMLQuantizationType.F16:
            data = gguf.quants.quantize(tensor.data.astype(np.float32), kind)
            writer.add_tensor(tensor.name, data, raw_dtype=kind)
        else:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    finish(writer)
    assert GgufFile(str(target)).rewritten == "other tensors"
    assert GgufFile(str(target)).checksums is None


def test_every_flipped_bit_of_an_untouched_header_is_an_error(ours: Path, tmp_path: Path) -> None:
    """A sample of all bits, and every bit of the short entries and of the list of tensors.

    The exceptions are the documented ones: an id, a switch or a context length that could be an edit.
    """
    data, header_bytes = ours.read_bytes(), GgufFile(str(ours)).data_offset
    reader = gguf.GGUFReader(ours)
    places = {
        field.name: (int(field.offset), sum(part.nbytes for part in field.parts))
        for field in reader.fields.values()
    }
    short = [
        at
        for name, (start, n) in places.items()
        if n < 90 and not name.startswith("GGUF.")
        for at in range(start, start + n)
    ]
    chosen = random.Random(3)
    bits = [(at, chosen.randrange(8)) for at in short]
    bits += [(chosen.randrange(header_bytes), chosen.randrange(8)) for _ in range(700)]
    target, accepted = tmp_path / "flipped.gguf", []
    for at, bit in bits:
        flipped = bytearray(data)
        flipped[at] ^= 1 << bit
        target.write_bytes(flipped)
        try:
            found = GgufFile(str(target)).rewritten
        except ModelFormatError:
            continue
        assert found is not None
        accepted.append(next(name for name, (start, n) in places.items() if start <= at < start + n))
    usual = (
        "_token_id",
        ".context_length",
        "tokenizer.ggml.add_bos_token",
        "tokenizer.ggml.add_eos_token",
        "_prefix",
    )
    assert all(name.endswith(usual) for name in accepted), accepted
    assert len(accepted) < len(bits) / 20


def test_an_older_file_is_told_by_its_shape(ours: Path, tmp_path: Path) -> None:
    """Files from before the hashes of entries: other tensors show, a change of a value does not."""
    old = tmp_path / "old.gguf"
    tool("gguf-new-metadata", ours, old, "--remove-metadata", "belle.entry_hashes", "--force")
    with pytest.raises(ModelFormatError, match="does not match its checksum"):
        GgufFile(str(old))
    assert GgufFile(
        str(quantized(shutil.copy(ours, tmp_path / "copy.gguf"), old, "q8_0", pure=True))
    ).rewritten
