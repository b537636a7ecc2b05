"""A GGUF as source: metadata as it was, values of other types, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from belle_edge import _core
from belle_edge.convert import ConversionReport, convert
from belle_edge.convert.sources.gguf.gguf_source import is_gguf, parts_of
from belle_edge.convert.sources.gguf.header_entries import header_entries
from belle_edge.convert.sources.gguf.stored_tensors import GgufBytes
from belle_edge.errors import ConversionError
from belle_edge.verification import verify_file

from ..gguf.split import finish, split

Make = Callable[..., Path]
OURS = "belle.source.gguf."  # what a file from a GGUF says more


def header_of(path: Path) -> dict[str, Any]:
    data = path.read_bytes()[: _core.GgufFile(path).data_offset]
    return dict(header_entries(path.name, data))


def tensors_of(path: Path) -> dict[str, tuple[str, bytes]]:
    file = _core.GgufFile(path)
    return {tensor.name: (tensor.type, file.tensor_bytes(tensor.name).tobytes()) for tensor in file.tensors()}


@pytest.fixture
def f32_file(make_bloom: Make, tmp_path: Path) -> Path:
    path = tmp_path / "bloom-f32.gguf"
    convert(make_bloom(), path, type="f32", family="belle")
    return path


@pytest.fixture
def foreign(f32_file: Path, tmp_path: Path) -> Path:
    """The same model as another program might write it: f16, and keys of every kind that nobody here knows."""
    path, source = tmp_path / "foreign.gguf", gguf.GGUFReader(f32_file)
    writer = gguf.GGUFWriter(path, "bloom")
    writer.add_custom_alignment(64)
    kinds = gguf.GGUFValueType
    for key, field in source.fields.items():
        if not key.startswith(("GGUF.", "belle.")) and key not in (
            "general.architecture",
            "general.file_type",
        ):
            item = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), field.types[0], item)
    for kind, value in ((kinds.UINT64, 1 << 40), (kinds.INT8, -3), (kinds.FLOAT64, 0.1), (kinds.BOOL, True)):
        writer.add_key_value(f"strange.{kind.name}", value, kind)
    writer.add_key_value("strange.empty", "", kinds.STRING)
    writer.add_key_value("strange.bytes", [1, 2, 255], kinds.ARRAY, kinds.UINT8)
    writer.add_key_value("strange.texts", ["a", "", "语"], kinds.ARRAY, kinds.STRING)
    for tensor in source.tensors:
        data = tensor.data.astype(np.float16) if tensor.data.ndim == 2 else tensor.data
        writer.add_tensor(tensor.name, data)
    finish(writer)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("architecture", ["bloom", "llama"])
def test_floats_give_what_the_checkpoint_gives(
    make_bloom: Make, make_llama: Make, tmp_path: Path, architecture: str, dtype: str
) -> None:
    """Byte for byte, but for the entries that name the source."""
    folder = (make_bloom if architecture == "bloom" else make_llama)(dtype=dtype)
    floats = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}[dtype]
    convert(folder, tmp_path / "floats.gguf", type=floats)
    for kind in ("q8_0", "q4_1", floats):
        convert(folder, tmp_path / "direct.gguf", type=kind, force=True)
        report = convert(tmp_path / "floats.gguf", tmp_path / "again.gguf", type=kind, force=True)
        assert tensors_of(tmp_path / "again.gguf") == tensors_of(tmp_path / "direct.gguf")
        found, wanted = header_of(tmp_path / "again.gguf"), header_of(tmp_path / "direct.gguf")
        assert {key for key in found if key not in wanted} == {f"{OURS}types", f"{OURS}header_sha256"}
        checksums = {*_core.CHECKSUM_KEYS, _core.ENTRY_HASHES_KEY}
        assert [key for key in found if key in wanted] == list(wanted)
        assert {k: v for k, v in found.items() if k in wanted and k not in checksums} == {
            key: value for key, value in wanted.items() if key not in checksums
        }
        assert not [warning for warning in report.warnings if "once more" in warning]


def test_entries_of_other_programs_are_copied(foreign: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    report = convert(foreign, out, type="q8_0")
    found, given = header_of(out), header_of(foreign)
    kept = {key: value for key, value in given.items() if key != "general.alignment"}
    assert {key: value for key, value in found.items() if key in kept} == kept
    assert found.keys() - kept.keys() == {
        *(f"{OURS}types", f"{OURS}header_sha256", "general.file_type"),
        *(*_core.CHECKSUM_KEYS, _core.ENTRY_HASHES_KEY),
    }
    file = _core.GgufFile(out)
    assert (file.alignment, file["general.file_type"]) == (32, int(gguf.LlamaFileType.MOSTLY_Q8_0))
    assert file[f"{OURS}types"][0].startswith("f32 ")
    assert {type for name, (type, _) in tensors_of(out).items() if "norm" in name} == {"f32"}
    assert report.architecture == "bloom"
    assert report.n_tokens == 320
    assert verify_file(out).verified


def test_a_family_for_a_file_without(foreign: Path, f32_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    report = convert(foreign, out, type="q8_0", family="belle")
    ours, written = header_of(f32_file), header_of(out)
    about = [key for key in ours if key.startswith(("belle.family", "belle.stop", "belle.sampling"))]
    assert about
    assert [written[key] for key in about] == [ours[key] for key in about]
    assert written["tokenizer.chat_template"] == ours["tokenizer.chat_template"]
    assert (report.family, report.confidence) == ("belle", "given")
    convert(f32_file, out, type="q8_0", family="none", force=True)
    assert not {*about, "tokenizer.chat_template"} & header_of(out).keys()


def test_quantized_matrices(f32_file: Path, tmp_path: Path) -> None:
    """Their values are taken anew, those of the wanted type as they are; either is said."""
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    convert(f32_file, first, type="q8_0", tensor_type="*.ffn_up=q4_1")
    report = convert(first, second, type="q4_1", pure=True)
    before, after = tensors_of(first), tensors_of(second)
    for name, (kind, data) in before.items():
        if kind == "f32":
            assert after[name] == (kind, data)
        elif "ffn_up" in name:
            assert after[name] == ("q4_1", data)
        else:
            shape = next(tensor.shape for tensor in report.tensors if tensor.name == name)
            rows = np.frombuffer(data, dtype=np.uint8).reshape(shape[0], -1)
            values = _core.dequantize(rows, "q8_0")
            assert after[name] == ("q4_1", _core.quantize(values, "q4_1").tobytes())
    said = [warning for warning in report.warnings if "once more" in warning]
    assert said == [
        "7 matrices were q8_0 already, and rounded once more, to q4_1: what q8_0 lost stays lost. Better from the"
        " checkpoint"
    ]
    expanded = convert(first, dry_run=True, type="f16")
    assert "q4_1, q8_0 became floats: the file is larger, and not better" in expanded.warnings


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Q4_K_M", "Q5_1", "IQ4_XS", "Q3_K_M", "Q2_K"])
def test_files_of_llama_cpp(llama_cpp: Any, make_llama: Make, tmp_path: Path, kind: str) -> None:
    """Every type that its quantizer wrote, several of them in one file."""
    source, quantized, out = (tmp_path / f"{name}.gguf" for name in ("f32", "quantized", "out"))
    convert(make_llama(hidden_size=256, intermediate_size=320), source, type="f32")
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = int(gguf.LlamaFileType[f"MOSTLY_{kind}"]), 1
    assert llama_cpp.llama_model_quantize(bytes(source), bytes(quantized), params) == 0
    convert(quantized, out, type="q8_0")
    found, kinds = tensors_of(out), set()
    for tensor in gguf.GGUFReader(quantized).tensors:
        if tensor.tensor_type != gguf.GGMLQuantizationType.F32:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            assert found[tensor.name] == ("q8_0", _core.quantize(values, "q8_0").tobytes()), tensor.name
            kinds.add(tensor.tensor_type.name)
    assert len(kinds) > 1


def test_split_files(f32_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    parts = split(f32_file, folder)
    assert parts_of(parts[0]) == parts
    convert(parts[0], tmp_path / "joined.gguf", type="q8_0")
    convert(f32_file, tmp_path / "whole.gguf", type="q8_0")
    assert tensors_of(tmp_path / "joined.gguf") == tensors_of(tmp_path / "whole.gguf")
    assert not [key for key in header_of(tmp_path / "joined.gguf") if key.startswith("split.")]
    for part in parts:
        with pytest.raises(ConversionError, match=r"is a file that is read here"):
            convert(parts[0], part, type="q8_0", force=True)
    with pytest.raises(ConversionError, match=r"part"):
        convert(parts[1], dry_run=True, type="q8_0")


def test_a_stopped_run_goes_on(f32_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"

    def stop(event: Any) -> None:
        if event.done_bytes > event.total_bytes // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(f32_file, out, type="q8_0", progress=stop)
    with pytest.raises(ConversionError, match=r"another source or other options"):
        convert(f32_file, out, type="q4_0", resume=True)
    with pytest.raises(KeyboardInterrupt):
        convert(f32_file, out, type="q8_0", progress=stop, force=True)
    convert(f32_file, out, type="q8_0", resume=True)
    convert(f32_file, tmp_path / "whole.gguf", type="q8_0")
    assert out.read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_damage_is_found_before_it_is_copied(f32_file: Path, tmp_path: Path) -> None:
    with f32_file.open("r+b") as file:
        file.seek(-1000, 2)
        byte = file.read(1)[0]
        file.seek(-1000, 2)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(ConversionError, match=r"do(es)? not match"):
        convert(f32_file, tmp_path / "out.gguf", type="q8_0")
    assert list(tmp_path.glob("out*")) == []


def test_a_file_that_changes_meanwhile(f32_file: Path) -> None:
    source = GgufBytes(_core.GgufFile(f32_file))
    source.begin_pass()
    source.end_pass()
    with f32_file.open("r+b") as file:
        file.write(b"GGUF")
    with pytest.raises(ConversionError, match=r"f32\.gguf"):
        source.end_pass()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lora": "adapter"}, r"\[lora\] .*gguf is a GGUF file: merge adapters into the original weights"),
        ({"tokenizer": "t"}, r"\[tokenizer\] .* has its own tokenizer"),
        ({"key": "k"}, r"\[key\] .* not encrypted"),
        ({"gptq_zeros": "plain"}, r"\[gptq_zeros\]"),
        ({"revision": "main"}, r"\[revision\]"),
        ({"vocab": "zh"}, r"\[vocab\] .* cut down when the checkpoint is converted"),
        ({"family": "bell"}, r"unknown family 'bell'"),
        ({"tensor_type": "zzz=f16"}, r"'zzz' matches no matrix"),
    ],
)
def test_what_a_gguf_has_no_use_for(f32_file: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        convert(f32_file, dry_run=True, **settings)


def small_gguf(path: Path, architecture: str, **tensors: Any) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    for key in ("head_count", "head_count_kv"):
        writer.add_uint32(f"{architecture}.attention.{key}", 2)
    for key in ("embedding_length", "block_count", "context_length"):
        writer.add_uint32(f"{architecture}.{key}", 64)
    for name, (data, kind) in tensors.items():
        writer.add_tensor(name, data, raw_dtype=kind)
    finish(writer)
    return path


def test_what_cannot_be_written_anew(tmp_path: Path) -> None:
    zeros = np.zeros((2, 66), dtype=np.uint8)
    strange = {"blk.0.ffn_up.weight": (zeros, gguf.GGMLQuantizationType.IQ2_XXS)}
    experts = {"blk.0.ffn_up_exps.weight": (np.zeros((2, 4, 64), dtype=np.float32), None)}
    for path, message in (
        (small_gguf(tmp_path / "a.gguf", "qwen2"), r"architecture 'qwen2': .*use llama.cpp's quantizer"),
        (
            small_gguf(tmp_path / "b.gguf", "llama", **strange),
            r"blk.0.ffn_up.weight: type \S+ is not read here",
        ),
        (
            small_gguf(tmp_path / "c.gguf", "llama", **experts),
            r"expected a matrix or a vector .* \[2, 4, 64\]",
        ),
    ):
        with pytest.raises(ConversionError, match=message):
            convert(path, dry_run=True, type="q8_0")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes((tmp_path / "b.gguf").read_bytes()[:200])
    with pytest.raises(ConversionError, match=r"cut"):
        convert(cut, dry_run=True)


def test_it_is_known_by_its_first_bytes(f32_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "model.bin"
    shutil.copy(f32_file, other)
    report: ConversionReport = convert(other, dry_run=True, type="q8_0")
    assert report.type == "q8_0"
    assert not is_gguf(tmp_path)
    assert not is_gguf(tmp_path / "absent.gguf")


def test_headers_that_are_none() -> None:
    whole = b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little")
    deep = b"".join((9).to_bytes(4, "little") + (1).to_bytes(8, "little") for _ in range(20))
    key = (1).to_bytes(8, "little") + b"k"
    for header in (
        b"",
        whole,
        whole + key + (77).to_bytes(4, "little"),
        whole + key + (9).to_bytes(4, "little") + deep,
    ):
        with pytest.raises(ConversionError, match=r"\[x\] its metadata"):
            header_entries("x", header)
