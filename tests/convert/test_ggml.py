"""llama.cpp's files from before GGUF, each version and type, beside the plain conversion of the same model."""

from __future__ import annotations

import json
import random
import shutil
import struct
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge import Belle
from belle_edge._core import GgufFile
from belle_edge.convert import convert
from belle_edge.convert.description import describe_source
from belle_edge.convert.sources.opening import SourceOptions, open_checkpoint
from belle_edge.errors import ConversionError

from ..hostile.damage import damaged
from .ggml_files import TYPE_NUMBERS, VERSIONS, write_ggml
from .test_meta import meta_tensors

SCORED = VERSIONS[1:]
FLOAT_SCALES = ["ggmf v1", "ggjt v1", "ggjt v2"]
LLAMA_1 = {"rms_norm_eps": 1e-6, "max_position_embeddings": 2048}  # what these files are taken for


@pytest.fixture
def stories(stories_copy: Callable[..., Path]) -> Path:
    """An older LLaMA: a head of its own, LLaMA 1's epsilon and context."""
    return stories_copy(**LLAMA_1)


@pytest.fixture
def llama(make_llama: Any) -> Path:
    """A random LLaMA whose rows are whole blocks."""
    folder: Path = make_llama(**LLAMA_1)
    return folder


def tensors_of(path: Path) -> dict[str, tuple[str, bytes]]:
    from gguf import GGUFReader

    return {
        tensor.name: (tensor.tensor_type.name, tensor.data.tobytes()) for tensor in GGUFReader(path).tensors
    }


def metadata_of(path: Path) -> dict[str, Any]:
    from gguf import GGUFReader

    return {name: field.contents() for name, field in GGUFReader(path).fields.items()}


def tokenizer_of(path: Path) -> dict[str, Any]:
    return {name: value for name, value in metadata_of(path).items() if name.startswith("tokenizer.")}


@pytest.mark.slow
@pytest.mark.parametrize("version", SCORED)
def test_floats_and_metadata_are_the_plain_models(stories: Path, tmp_path: Path, version: str) -> None:
    old = write_ggml(stories, tmp_path / "old" / "stories.bin", version=version)
    convert(stories, tmp_path / "plain.gguf", type="f32")
    report = convert(old, tmp_path / "old.gguf", type="f32")
    assert tensors_of(tmp_path / "old.gguf") == tensors_of(tmp_path / "plain.gguf")
    assert tokenizer_of(tmp_path / "old.gguf") == tokenizer_of(tmp_path / "plain.gguf")
    found, plain = metadata_of(tmp_path / "old.gguf"), metadata_of(tmp_path / "plain.gguf")
    assert {key: value for key, value in found.items() if key.startswith("llama.")} == {
        key: value for key, value in plain.items() if key.startswith("llama.")
    }
    assert found["belle.source.ggml.format"] == version
    assert any("rms_norm_eps 1e-06, max_position_embeddings 2048" in warning for warning in report.warnings)
    assert not any("rounded to half" in warning for warning in report.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("type", ["f16", "q4_0", "q4_1", "q8_0"])
def test_stored_types_are_taken_over(llama: Path, tmp_path: Path, version: str, type: str) -> None:
    """Blocks are those that quantizing gives: their codes, and scales that were widened to float32 and are narrowed."""
    old = write_ggml(llama, tmp_path / "old" / "model.bin", version=version, type=type)
    convert(llama, tmp_path / "plain.gguf", type=type, pure=True)
    chosen = "f16" if type == "f16" else None
    report = convert(old, tmp_path / "old.gguf", type=chosen, tokenizer=llama)
    assert tensors_of(tmp_path / "old.gguf") == tensors_of(tmp_path / "plain.gguf")
    assert report.type == type
    is_rounded = type != "f16" and version != "ggjt v3"
    assert any("rounded to half precision" in warning for warning in report.warnings) == is_rounded


@pytest.mark.slow
@pytest.mark.parametrize("version", SCORED)
@pytest.mark.parametrize("type", ["q4_0", "q4_1", "q8_0"])
def test_float_types_expand_the_stored_values(llama: Path, tmp_path: Path, version: str, type: str) -> None:
    from gguf import GGUFReader, dequantize

    convert(llama, tmp_path / "plain.gguf", type=type, pure=True)
    old = write_ggml(llama, tmp_path / "old" / "model.bin", version=version, type=type)
    convert(old, tmp_path / "old.gguf", type="f32")
    expected = {
        tensor.name: dequantize(tensor.data, tensor.tensor_type)
        for tensor in GGUFReader(tmp_path / "plain.gguf").tensors
    }
    for tensor in GGUFReader(tmp_path / "old.gguf").tensors:
        np.testing.assert_array_equal(tensor.data, expected[tensor.name], err_msg=tensor.name)


@pytest.mark.parametrize("version", FLOAT_SCALES)
def test_scales_between_halves_are_rounded_or_kept(llama: Path, tmp_path: Path, version: str) -> None:
    """The first scale of the embedding, which is q4_1's d of the first block, as a float that no half is."""
    from gguf import GGUFReader

    path = write_ggml(llama, tmp_path / "model.bin", version=version, type="q4_1")
    data = bytearray(path.read_bytes())
    offset = open_checkpoint(path).weights["model.embed_tokens.weight"].offset
    data[offset : offset + 4] = struct.pack("<f", 0.1)
    path.write_bytes(data)
    convert(path, tmp_path / "blocks.gguf")
    convert(path, tmp_path / "floats.gguf", type="f32")
    blocks, floats = (
        {tensor.name: tensor.data for tensor in GGUFReader(tmp_path / name).tensors}["token_embd.weight"]
        for name in ("blocks.gguf", "floats.gguf")
    )
    d, m = blocks[0, :4].view(np.float16)
    codes = np.concatenate([blocks[0, 4:20] & 15, blocks[0, 4:20] >> 4]).astype(np.float32)
    assert d == np.float16(0.1)
    expected = codes * np.float32(0.1) + np.float32(m)
    np.testing.assert_array_equal(floats[0, :32], expected)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "type"), [("ggjt v1", "q4_0"), ("ggjt v3", "q8_0"), ("ggmf v1", "f32")])
def test_greedy_text_is_the_plain_models(stories: Path, tmp_path: Path, version: str, type: str) -> None:
    old = write_ggml(stories, tmp_path / "old" / "stories.bin", version=version, type=type)
    convert(stories, tmp_path / "plain.gguf", type=type, pure=True)
    convert(old, tmp_path / "old.gguf", type="f32" if type == "f32" else None)
    texts = []
    for name in ("plain.gguf", "old.gguf"):
        with Belle.load(tmp_path / name) as model:
            answer = model.generate("Once upon a time", max_tokens=60, temperature=0.0, raw=True)
            texts.append(answer.text)
    assert len(texts[0]) > 80
    assert texts[1] == texts[0]


@pytest.mark.slow
def test_llama_cpp_reads_the_result(llama_cpp: Any, stories: Path, tmp_path: Path) -> None:
    old = write_ggml(stories, tmp_path / "old" / "stories.bin", version="ggjt v2", type="q4_1")
    convert(old, tmp_path / "old.gguf")
    model = llama_cpp.Llama(str(tmp_path / "old.gguf"), n_ctx=256, n_threads=2, verbose=False)
    found = model.create_completion("Once upon a time", max_tokens=40, temperature=0.0)["choices"][0]["text"]
    with Belle.load(tmp_path / "old.gguf") as own:
        expected = own.generate("Once upon a time", max_tokens=40, temperature=0.0, raw=True).text
    assert len(expected) > 80
    assert found[:60] == expected[:60]


def test_the_real_vocabulary(make_llama: Any, test_data: Path, tmp_path: Path) -> None:
    folder = make_llama(vocab_size=32_000, hidden_size=32, num_hidden_layers=1, **LLAMA_1)
    source = test_data / "tokenizers" / "llama" / "tokenizer.model"
    shutil.copyfile(source, folder / "tokenizer.model")
    old = write_ggml(folder, tmp_path / "old" / "model.bin", version="ggjt v3", type="f16")
    convert(folder, tmp_path / "plain.gguf")
    convert(old, tmp_path / "old.gguf")
    assert tokenizer_of(tmp_path / "old.gguf") == tokenizer_of(tmp_path / "plain.gguf")


@pytest.mark.slow
def test_unversioned_files_need_a_tokenizer(stories: Path, tmp_path: Path) -> None:
    old = write_ggml(stories, tmp_path / "old" / "stories.bin", version="ggml")
    shutil.copy(stories / "tokenizer.model", old.parent)  # a neighbour may be another model's
    with pytest.raises(ConversionError, match=r"stories\.bin\] ggml files have no scores.*--tokenizer"):
        convert(old, tmp_path / "old.gguf")
    convert(old, tmp_path / "old.gguf", type="f32", tokenizer=stories)
    convert(stories, tmp_path / "plain.gguf", type="f32")
    assert tensors_of(tmp_path / "old.gguf") == tensors_of(tmp_path / "plain.gguf")
    assert tokenizer_of(tmp_path / "old.gguf") == tokenizer_of(tmp_path / "plain.gguf")


def test_a_given_configuration_counts(stories: Path, tmp_path: Path, edit_json: Callable[..., None]) -> None:
    old = write_ggml(stories, tmp_path / "old" / "stories.bin", version="ggjt v3")
    edit_json(stories / "config.json", rms_norm_eps=1e-5, max_position_embeddings=512)
    report = convert(old, tmp_path / "out.gguf", tokenizer=stories)
    assert report.context_length == 512
    epsilon = metadata_of(tmp_path / "out.gguf")["llama.attention.layer_norm_rms_epsilon"]
    assert epsilon == np.float32(1e-5)
    assert not any("assumed" in warning for warning in report.warnings)

    shutil.copy(stories / "config.json", old.parent)  # beside it
    assert convert(old, dry_run=True).context_length == 512
    (old.parent / "config.json").unlink()

    edit_json(stories / "config.json", hidden_size=128)
    report = convert(old, dry_run=True, tokenizer=stories)
    assert report.context_length == 2048
    assert any("of another model by its hidden_size" in warning for warning in report.warnings)


def test_found_by_its_magic_number(llama: Path, tmp_path: Path) -> None:
    """Under any name, and as the only weights of a folder; two of them are refused."""
    old = write_ggml(llama, tmp_path / "old" / "ggml-model-q4_0.bin", version="ggjt v3", type="q4_0")
    convert(old, tmp_path / "one.gguf")
    convert(old.parent, tmp_path / "two.gguf")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()
    renamed = shutil.copy(old, tmp_path / "old" / "weights.ggml")
    convert(renamed, tmp_path / "three.gguf")
    assert (tmp_path / "three.gguf").read_bytes() == (tmp_path / "one.gguf").read_bytes()
    shutil.copy(old, tmp_path / "old" / "ggml-model-f16.bin")
    with pytest.raises(
        ConversionError, match=r"2 files of weights: ggml-model-f16\.bin, ggml-model-q4_0\.bin"
    ):
        convert(old.parent, tmp_path / "four.gguf")


def test_which_belle_it_is(llama: Path, tmp_path: Path) -> None:
    """ChatBELLE published its model as belle-model.bin; another name says nothing."""
    old = write_ggml(llama, tmp_path / "old" / "belle-model.bin", version="ggjt v1", type="q4_0")
    description = describe_source(old)
    assert description.identity.family == "belle-llama"
    assert description.structure.architecture == "llama"
    assert convert(old, dry_run=True).family == "belle-llama"
    other = old.rename(old.with_name("other.bin"))
    report = convert(other, dry_run=True)
    assert report.family is None
    assert any("no chat template" in warning for warning in report.warnings)


@pytest.mark.parametrize("number", sorted(set(range(4, 16)) - {8}))
def test_types_without_counterpart(llama: Path, tmp_path: Path, number: int) -> None:
    path = write_ggml(llama, tmp_path / "model.bin", version="ggjt v3", type="q4_0")
    data = path.read_bytes()
    header = struct.pack("<3I", 2, len("output.weight"), TYPE_NUMBERS["q4_0"])
    assert data.count(header) == 1
    path.write_bytes(data.replace(header, header[:8] + struct.pack("<I", number)))
    with pytest.raises(
        ConversionError, match=r"model\.bin\] output\.weight: q\d_[0-3K] is not converted.*original"
    ):
        convert(path, tmp_path / "out.gguf")


def test_one_of_several_files(llama: Path, tmp_path: Path) -> None:
    path = write_ggml(llama, tmp_path / "old" / "model.bin", version="ggmf v1")
    (path.parent / "model.bin.1").write_bytes(b"lmgg")
    with pytest.raises(ConversionError, match=r"model\.bin\] one of several files of a model"):
        convert(path, tmp_path / "out.gguf")
    halves = {
        name: (tensor if axis is None else tensor.chunk(2, dim=axis)[0], axis)
        for name, (tensor, axis) in meta_tensors(llama).items()
    }
    part = write_ggml(llama, tmp_path / "part" / "model.bin.1", version="ggmf v1", tensors=halves)
    with pytest.raises(ConversionError, match=r"model\.bin\.1\] one of several files of a model"):
        convert(part, tmp_path / "out.gguf")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_rot": 2}, r"n_rot 2: expected n_rot = n_embd / n_head.*bloomz\.cpp"),
        ({"n_head": 0}, "n_head: expected a positive number, got 0"),
        ({"n_vocab": 300}, r"at byte \d+: expected a tensor of 1 or 2 dimensions|tensor"),
        ({"n_layer": 3}, r"layers\.2\..* is missing"),
        ({"n_layer": 1}, r"model\.layers\.1\.|layers\.1\."),
        ({"n_embd": 128, "n_rot": 32}, "one of several files"),
        ({"n_embd": 96, "n_rot": 24}, r"tok_embeddings\.weight: expected \[400, 96\]"),
    ],
)
def test_headers_that_are_refused(llama: Path, tmp_path: Path, changes: Any, message: str) -> None:
    path = write_ggml(llama, tmp_path / "model.bin", version="ggjt v3", **changes)
    with pytest.raises(ConversionError, match=message):
        convert(path, tmp_path / "out.gguf")


def test_versions_that_never_were(llama: Path, tmp_path: Path) -> None:
    path = write_ggml(llama, tmp_path / "model.bin", version="ggjt v3")
    data = path.read_bytes()
    path.write_bytes(data[:4] + struct.pack("<I", 4) + data[8:])
    with pytest.raises(ConversionError, match="ggjt version: expected 1 or 2 or 3, got 4"):
        convert(path, tmp_path / "out.gguf")


def test_scales_out_of_all_bounds(llama: Path, tmp_path: Path) -> None:
    path = write_ggml(llama, tmp_path / "model.bin", version="ggjt v1", type="q4_0")
    offset = open_checkpoint(path).weights["lm_head.weight"].offset
    data = bytearray(path.read_bytes())
    data[offset : offset + 4] = struct.pack("<f", 1e30)
    path.write_bytes(data)
    for type in (None, "f32"):
        with pytest.raises(ConversionError, match=r"output\.weight: expected scales below 65520.*March 2023"):
            convert(path, tmp_path / "out.gguf", type=type)
    assert not (tmp_path / "out.gguf").exists()


def test_vocabularies_that_are_refused(llama: Path, tmp_path: Path) -> None:
    path = write_ggml(llama, tmp_path / "model.bin", version="ggjt v3")
    data = path.read_bytes()
    expected = open_checkpoint(path).vocabulary
    assert expected is not None
    first, second = (expected.tokens[i].replace("▁", " ").encode() for i in (300, 301))
    marks = [struct.pack("<I", len(text)) + text for text in (first, second)]
    assert data.count(marks[0] + struct.pack("<f", -41.0)) == 1

    def check(changed: bytes, message: str) -> None:
        assert changed != data
        path.write_bytes(changed)
        with pytest.raises(ConversionError, match=message):
            convert(path, tmp_path / "out.gguf")
        convert(path, dry_run=True, tokenizer=llama)  # as the message says

    nan = marks[0] + struct.pack("<f", float("nan"))
    check(data.replace(marks[0] + struct.pack("<f", -41.0), nan), "score is not finite")
    twice = marks[0] + struct.pack("<f", -42.0)
    check(data.replace(marks[1] + struct.pack("<f", -42.0), twice), "tokens 300 and 301 have the same text")
    broken = marks[0][:4] + b"\xff" * len(first)
    check(data.replace(marks[0] + struct.pack("<f", -41.0), broken + struct.pack("<f", -41.0)), "UTF-8")
    byte = struct.pack("<I", 1) + b"\x07" + struct.pack("<f", 0.0)
    check(data.replace(byte, byte.replace(b"\x07", b"\x06")), "expected the 256 bytes")


@pytest.mark.parametrize("version", ["ggmf v1", "ggjt v3"])
def test_cut_off_anywhere(llama: Path, tmp_path: Path, version: str) -> None:
    path = write_ggml(llama, tmp_path / "model.bin", version=version, type="q4_0")
    data = path.read_bytes()
    for n_bytes in [*range(4, 60, 7), 1000, 5000, 9000, len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:n_bytes])
        with pytest.raises(ConversionError, match=rf"\[model\.bin\] .*at byte \d+.*ends at {n_bytes}:"):
            convert(path, tmp_path / "out.gguf")


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_random_damage(llama: Path, tmp_path: Path, version: str) -> None:
    """A clear error, or a complete file."""
    path = write_ggml(llama, tmp_path / "model.bin", version=version, type="q4_1")
    data = path.read_bytes()
    options = SourceOptions(tokenizer=llama if version == "ggml" else None)
    n_header = min(tensor.offset for tensor in open_checkpoint(path, options).weights.values())
    outcomes: Counter[str] = Counter()
    for seed in range(60):
        path.write_bytes(damaged(data, n_header if seed % 2 else len(data), seed)[0])
        try:
            convert(path, tmp_path / "out.gguf", tokenizer=options.tokenizer, force=True)
        except ConversionError:
            outcomes["refused"] += 1
        else:
            outcomes["runs"] += 1
            assert GgufFile(str(tmp_path / "out.gguf")).tensors()
    assert outcomes["refused"] > 20
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.slow
def test_huge_numbers_cost_nothing(llama: Path, tmp_path: Path) -> None:
    """Every integer of the header and the first lengths, larger: refused without the memory for them."""
    path = write_ggml(llama, tmp_path / "model.bin", version="ggjt v3")
    data = path.read_bytes()
    tracemalloc.start()
    for offset in [*range(8, 36, 4), 36, 46]:
        for value in (0xFFFFFFFF, 0x7FFFFFFF, random.Random(offset).randrange(1 << 31)):
            changed = data[:offset] + struct.pack("<I", value) + data[offset + 4 :]
            path.write_bytes(changed)
            n_mult_or_ftype = offset in (16, 32)
            if n_mult_or_ftype:  # nothing depends on them
                convert(path, dry_run=True)
                continue
            with pytest.raises(ConversionError):
                convert(path, dry_run=True)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 32 << 20


def test_settings_beside_it_have_no_say(llama: Path, tmp_path: Path) -> None:
    """The vocabulary in the file counts: a tokenizer that happens to lie beside it may be another model's."""
    old = write_ggml(llama, tmp_path / "old" / "model.bin", version="ggjt v3")
    convert(old, tmp_path / "one.gguf")
    (old.parent / "tokenizer.json").write_text("{}")
    (old.parent / "tokenizer_config.json").write_text(json.dumps({"add_bos_token": False}))
    convert(old, tmp_path / "two.gguf")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()
