"""Weights in all the files they come in, and damaged or dangerous files that must be refused by name."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.convert import convert
from belle_edge.errors import ConversionError

LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 123\n"


def reference_bytes(folder: Path, tmp_path: Path) -> bytes:
    convert(folder, tmp_path / "reference.gguf")
    return (tmp_path / "reference.gguf").read_bytes()


def load_torch(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def to_shards(folder: Path, *, suffix: str, index: bool = True) -> list[Path]:
    """Split model.safetensors into three shards with an index, as transformers does; the single file goes."""
    import torch
    from safetensors.torch import save_file

    stem = "model" if suffix == ".safetensors" else "pytorch_model"
    tensors = load_torch(folder)
    names = sorted(tensors)
    weight_map = {}
    paths = []
    for number in range(3):
        path = folder / f"{stem}-{number + 1:05d}-of-00003{suffix}"
        part = {name: tensors[name].clone() for name in names[number::3]}
        save_file(part, path) if suffix == ".safetensors" else torch.save(part, path)
        weight_map |= dict.fromkeys(part, path.name)
        paths.append(path)
    if index:
        (folder / f"{stem}{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "model.safetensors").unlink()
    return paths


@pytest.mark.parametrize("index", [True, False], ids=["index", "no-index"])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_shards(make_llama: Any, tmp_path: Path, suffix: str, index: bool, dtype: str) -> None:
    folder = make_llama(dtype=dtype)
    expected = reference_bytes(folder, tmp_path)
    to_shards(folder, suffix=suffix, index=index)
    convert(folder, tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == expected


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_single_bin(make_bloom: Any, tmp_path: Path, dtype: str) -> None:
    import torch

    folder = make_bloom(dtype=dtype)
    expected = reference_bytes(folder, tmp_path)
    torch.save(load_torch(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    convert(folder, tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == expected


def test_wrapped_and_strided_bin(make_llama: Any, tmp_path: Path) -> None:
    import torch

    folder = make_llama()
    expected = reference_bytes(folder, tmp_path)
    state = {name: tensor.double() for name, tensor in load_torch(folder).items()}
    state["model.layers.0.mlp.up_proj.weight"] = state["model.layers.0.mlp.up_proj.weight"].T.contiguous().T
    state["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    torch.save({"state_dict": state, "epoch": 3}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    convert(folder, tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == expected


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_missing_shard_is_named(make_llama: Any, tmp_path: Path, suffix: str) -> None:
    folder = make_llama()
    paths = to_shards(folder, suffix=suffix)
    paths[1].unlink()
    with pytest.raises(ConversionError, match=f"1 of 3 shards missing: {paths[1].name}"):
        convert(folder, tmp_path / "out.gguf")


@pytest.mark.parametrize(
    ("content", "message"), [(LFS_POINTER, "Git LFS pointer"), ("", r"empty \(0 bytes\)")]
)
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_pointer_and_empty_files(
    make_llama: Any, tmp_path: Path, suffix: str, content: str, message: str
) -> None:
    folder = make_llama()
    paths = to_shards(folder, suffix=suffix)
    paths[2].write_text(content)
    with pytest.raises(ConversionError, match=rf"{paths[2].name}\].*{message}"):
        convert(folder, tmp_path / "out.gguf")


def test_index_that_points_outside_is_refused(make_llama: Any, tmp_path: Path) -> None:
    folder = make_llama()
    (folder / "model.safetensors").unlink()  # which would come before an index
    index = {"weight_map": {"model.norm.weight": "../other/model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ConversionError, match="outside the folder"):
        convert(folder, tmp_path / "out.gguf")


def test_shard_without_its_tensor(make_llama: Any, tmp_path: Path) -> None:
    folder = make_llama()
    to_shards(folder, suffix=".safetensors")
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["model.extra.weight"] = "model-00001-of-00003.safetensors"
    path.write_text(json.dumps(index))
    with pytest.raises(ConversionError, match=r"model\.extra\.weight should be in this file"):
        convert(folder, tmp_path / "out.gguf")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "cut off"),
        (lambda data: data[:5], "not a safetensors file"),
        (lambda data: b"\xff" * 8 + data[8:], "header of"),
        (lambda data: data[:8] + b"\xff" + data[9:], "damaged safetensors header"),
        (lambda data: data.replace(b'"F32","shape":[64]', b'"F16","shape":[64]', 1), "expected 128 bytes"),
        (lambda data: data.replace(b'"F32"', b'"I32"', 1), "stored as i32"),
        (lambda data: data.replace(b'"shape":[64,', b'"shape":[-4,', 1), "impossible|expected"),
    ],
)
def test_damaged_safetensors(make_llama: Any, tmp_path: Path, damage: Any, message: str) -> None:
    folder = make_llama()
    path = folder / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConversionError, match=message):
        convert(folder, tmp_path / "out.gguf")


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (str(self.path), "w"))


def test_code_in_a_bin_is_refused_and_never_runs(make_llama: Any, tmp_path: Path) -> None:
    import torch

    folder = make_llama()
    state: dict[str, Any] = load_torch(folder)
    state["extra"] = Malicious(tmp_path / "executed")
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConversionError, match=r"pytorch_model\.bin.*never run"):
        convert(folder, tmp_path / "out.gguf")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Malicious(tmp_path / "executed")))
    with pytest.raises(ConversionError, match=r"pytorch_model\.bin"):
        convert(folder, tmp_path / "out.gguf")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("size", [0.5, 0.999])
def test_truncated_bin(make_llama: Any, tmp_path: Path, size: float) -> None:
    import torch

    folder = make_llama()
    path = folder / "pytorch_model.bin"
    torch.save(load_torch(folder), path)
    (folder / "model.safetensors").unlink()
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * size)])
    with pytest.raises(ConversionError, match=r"pytorch_model\.bin"):
        convert(folder, tmp_path / "out.gguf")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_bin_of_before_torch_1_6(make_bloom: Any, tmp_path: Path, dtype: str) -> None:
    import torch

    folder = make_bloom(dtype=dtype)
    expected = reference_bytes(folder, tmp_path)
    torch.save(load_torch(folder), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    (folder / "model.safetensors").unlink()
    convert(folder, tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == expected


@pytest.mark.parametrize("legacy", [False, True])
def test_parameters_and_shared_storages(make_llama: Any, tmp_path: Path, legacy: bool) -> None:
    """As training scripts save them: Parameters, views into one buffer, things that are no tensors."""
    import torch

    folder = make_llama()
    expected = reference_bytes(folder, tmp_path)
    state = load_torch(folder)
    names = [name for name in state if ".mlp.gate_proj" in name or ".mlp.up_proj" in name]
    buffer = torch.stack([state[name] for name in names])
    views = {name: torch.nn.Parameter(buffer[index]) for index, name in enumerate(names)}
    module = {**state, **views}
    torch.save(
        {
            "module": module,
            "step": 3,
            "names": ["a"],
            "shape": state[names[0]].shape,
            "at": (1.5, None, True),
        },
        folder / "pytorch_model.bin",
        _use_new_zipfile_serialization=not legacy,
    )
    (folder / "model.safetensors").unlink()
    convert(folder, tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == expected


@pytest.mark.slow
@pytest.mark.parametrize("legacy", [False, True])
def test_every_type_of_a_bin_is_read_as_torch_reads_it(tmp_path: Path, legacy: bool) -> None:
    import torch

    from belle_edge.convert.sources.byte_source import MappedBytes
    from belle_edge.convert.sources.torch_file import open_torch_file

    names = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
    values = {name: torch.arange(-8, 16).reshape(4, 6).to(getattr(torch, name)) for name in names}
    values |= {
        "transposed": values["float32"].T,
        "part": values["int32"][1:3, 2:5],
        "stride": values["int8"][::2],
    }
    torch.save(values, tmp_path / "all.pt", _use_new_zipfile_serialization=not legacy)
    tensors = open_torch_file(MappedBytes(tmp_path / "all.pt"))
    assert set(tensors) == set(values)
    for name, value in values.items():
        tensor = tensors[name]
        assert tensor.shape == tuple(value.shape)
        assert np.array_equal(tensor.rows(0, tensor.shape[0]), value.numpy())
        assert np.array_equal(tensor.rows(1, 2), value.numpy()[1:2])


def test_bin_needs_no_torch(make_llama: Any, tmp_path: Path) -> None:
    import torch

    folder = make_llama()
    expected = reference_bytes(folder, tmp_path)
    torch.save(load_torch(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from belle_edge.convert import convert\n"
        f"convert({str(folder)!r}, {str(tmp_path / 'out.gguf')!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "out.gguf").read_bytes() == expected


def test_torchscript_is_named(make_llama: Any, tmp_path: Path) -> None:
    import torch

    folder = make_llama()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(folder / "pytorch_model.bin"))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConversionError, match="TorchScript"):
        convert(folder, tmp_path / "out.gguf")


def test_safetensors_need_no_torch(make_llama: Any, tmp_path: Path) -> None:
    folder = make_llama(dtype="bfloat16")
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        "from belle_edge.convert import convert\n"
        f"convert({str(folder)!r}, {str(tmp_path / 'out.gguf')!r})\n"
        "assert not {'rich', 'huggingface_hub', 'safetensors'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pytorch_model.bin.0123abcd.enc", "encrypted BELLE weights"),
        ("adapter_model.safetensors", "LoRA adapter"),
        ("notes.txt", "expected model.safetensors"),
    ],
)
def test_other_forms_are_named(make_llama: Any, tmp_path: Path, name: str, message: str) -> None:
    folder = make_llama()
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ConversionError, match=f"no weights.*{message}"):
        convert(folder, tmp_path / "out.gguf")


def test_sources_that_do_not_exist(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source, message in (
        (tmp_path / "nothing", "no such folder"),
        (tmp_path / "empty", r"no config\.json"),
        (Path(__file__), "expected a folder"),
    ):
        with pytest.raises(ConversionError, match=message):
            convert(source, tmp_path / "out.gguf")
