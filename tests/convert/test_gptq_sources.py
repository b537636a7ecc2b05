"""GPTQ checkpoints as they are found: a lone .pt, AutoGPTQ's folders, other methods, damaged files, large ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge.cli.main import main
from belle_edge.convert import convert
from belle_edge.convert.sources.inferred_config import infer_config
from belle_edge.convert.sources.source_tensors import ArrayTensor
from belle_edge.errors import ConversionError

from .conversion_memory import watched_conversion
from .gptq_files import Recipe, copy_metadata, pack_checkpoint, read_checkpoint, write_checkpoint

Arrays = dict[str, NDArray[Any]]
NAME = "bloom7b-2m-4bit-128g.pt"


def tensor_bytes(path: Path) -> dict[str, bytes]:
    return {tensor.name: tensor.data.tobytes() for tensor in gguf.GGUFReader(path).tensors}


def field(path: Path, key: str) -> Any:
    found = gguf.GGUFReader(path).get_field(key)
    return found.contents() if found is not None else None


def test_a_lone_file_with_another_folders_tokenizer(
    packed_bloom: tuple[Path, Arrays], tmp_path: Path
) -> None:
    """The other folder's weights, name and settings of quantization are not looked at."""
    source, packed = packed_bloom
    config = json.loads((source / "config.json").read_text())
    config |= {"_name_or_path": "org/BELLE-7B-2M", "quantization_config": {"quant_method": "awq"}}
    (source / "config.json").write_text(json.dumps(config))
    path = write_checkpoint(tmp_path / "downloads", packed, NAME)
    out = tmp_path / "out.gguf"
    assert main(["convert", str(path), "--tokenizer", str(source), "-o", str(out)]) == 0
    assert main(["convert", str(path.parent), "--tokenizer", str(source), "-o", f"{out}2"]) == 0
    assert out.read_bytes() == Path(f"{out}2").read_bytes()
    assert field(out, "bloom.attention.head_count") == 3
    assert field(out, "belle.family") == "belle"  # the weight file's own name says so
    assert not any("config" in source for source in field(out, "belle.identified.by"))
    copy_metadata(source, tmp_path / "whole")
    (tmp_path / "whole" / "config.json").write_text(
        json.dumps({**config, "quantization_config": {"quant_method": "gptq"}})
    )
    write_checkpoint(tmp_path / "whole", packed, NAME)
    convert(tmp_path / "whole", tmp_path / "whole.gguf")
    assert tensor_bytes(out) == tensor_bytes(tmp_path / "whole.gguf")


def test_a_tokenizer_folder_wins_over_the_sources_own(
    packed_bloom: tuple[Path, Arrays], make_llama: Any, tmp_path: Path
) -> None:
    source, _ = packed_bloom
    settings = {"eos_token": "<pad>"}
    other = tmp_path / "other"
    other.mkdir()
    (other / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    (other / "tokenizer_config.json").write_text(json.dumps(settings))
    convert(source, tmp_path / "out.gguf", tokenizer=other)
    assert field(tmp_path / "out.gguf", "tokenizer.ggml.eos_token_id") == 3
    (other / "tokenizer.json").unlink()
    with pytest.raises(
        ConversionError, match=r"--tokenizer\] other: expected a folder with tokenizer\.model"
    ):
        convert(source, tmp_path / "out.gguf", tokenizer=other, force=True)
    with pytest.raises(ConversionError, match="nowhere: no such folder"):
        convert(source, tmp_path / "out.gguf", tokenizer=tmp_path / "nowhere", force=True)


def test_no_tokenizer_anywhere(packed_bloom: tuple[Path, Arrays], tmp_path: Path) -> None:
    source, packed = packed_bloom
    path = write_checkpoint(tmp_path / "downloads", packed, NAME)
    (path.parent / "config.json").write_bytes((source / "config.json").read_bytes())
    with pytest.raises(ConversionError, match=r"no tokenizer.*--tokenizer names a folder"):
        convert(path, tmp_path / "out.gguf")


def test_several_files(packed_bloom: tuple[Path, Arrays], tmp_path: Path) -> None:
    source, packed = packed_bloom
    folder = tmp_path / "BELLE-7B-gptq"
    for name in (NAME, "bloom7b-2m-8bit-128g.pt", "optimizer.pt"):
        write_checkpoint(folder, packed, name)
    copy_metadata(source, folder)
    with pytest.raises(
        ConversionError,
        match=rf"2 files of weights: {NAME}, bloom7b-2m-8bit-128g\.pt; give the one to convert",
    ):
        convert(folder, tmp_path / "out.gguf")
    convert(folder / NAME, tmp_path / "out.gguf")


# No configuration


def test_bloom_without_configuration(make_bloom: Any, tmp_path: Path) -> None:
    """The smallest published width, one layer of it."""
    source = make_bloom("source", hidden_size=1024, n_head=16, n_layer=1)
    packed = pack_checkpoint(read_checkpoint(source), Recipe(group_size=128)).stored
    copy_metadata(source, tmp_path / "with")
    copy_metadata(source, tmp_path / "without", config=False)
    for name in ("with", "without"):
        write_checkpoint(tmp_path / name, packed, NAME)
    reports = {name: convert(tmp_path / name, tmp_path / f"{name}.gguf") for name in ("with", "without")}
    assert tensor_bytes(tmp_path / "with.gguf") == tensor_bytes(tmp_path / "without.gguf")
    for key in ("head_count", "layer_norm_epsilon"):
        found = [field(tmp_path / f"{name}.gguf", f"bloom.attention.{key}") for name in ("with", "without")]
        assert found[0] == found[1] is not None
    assert field(tmp_path / "without.gguf", "bloom.context_length") == 2048
    assumed = [warning for warning in reports["without"].warnings if "no config.json" in warning]
    assert len(assumed) == 1
    assert "16 heads" in assumed[0]
    assert not any("no config.json" in warning for warning in reports["with"].warnings)


def empty_tensors(shapes: dict[str, tuple[int, ...]]) -> dict[str, ArrayTensor]:
    return {
        name: ArrayTensor(name, "a.pt", "f16", shape, np.broadcast_to(np.float16(0), shape))
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize(
    ("hidden", "heads", "wide"), [(4096, 32, 11008), (5120, 40, 13824), (6656, 52, 17920)]
)
@pytest.mark.parametrize("tied", [False, True])
def test_llama_without_configuration(hidden: int, heads: int, wide: int, tied: bool) -> None:
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (32000, hidden)}
    for layer in range(3):
        shapes[f"model.layers.{layer}.self_attn.k_proj.weight"] = (hidden, hidden)
        shapes[f"model.layers.{layer}.mlp.gate_proj.weight"] = (wide, hidden)
    if not tied:
        shapes["lm_head.weight"] = (32000, hidden)
    config, assumed = infer_config(empty_tensors(shapes))
    assert config == {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_hidden_layers": 3,
        "intermediate_size": wide,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": tied,
    }
    assert "1e-6" in assumed
    assert "LLaMA 2" in assumed


@pytest.mark.parametrize(
    ("hidden", "heads"), [(1024, 16), (1536, 16), (2048, 16), (2560, 32), (4096, 32), (14336, 112)]
)
def test_the_published_blooms(hidden: int, heads: int) -> None:
    shapes = {"transformer.word_embeddings.weight": (250880, hidden), "transformer.h.29.x.weight": (1, 1)}
    config, _ = infer_config(empty_tensors(shapes))
    assert (config["n_head"], config["n_layer"], config["hidden_size"]) == (heads, 30, hidden)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            {"word_embeddings.weight": (320, 96)},
            "96 is not the hidden size of a published BLOOM.*--tokenizer",
        ),
        ({"embed_tokens.weight": (320, 96)}, "96 is not the hidden size of a published LLaMA"),
        (
            {"embed_tokens.weight": (9, 8192), "layers.0.self_attn.k_proj.weight": (1024, 8192)},
            "keys of 1024 beside a hidden size of 8192",
        ),
        ({"wte.weight": (9, 768)}, "neither BLOOM's names nor LLaMA's"),
    ],
)
def test_what_shapes_do_not_tell(shapes: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        infer_config(empty_tensors(shapes))


def test_plain_weights_need_a_configuration(make_bloom: Any, tmp_path: Path) -> None:
    folder = make_bloom()
    (folder / "config.json").unlink()
    with pytest.raises(ConversionError, match=r"no config\.json"):
        convert(folder, tmp_path / "out.gguf")


def test_resuming_with_other_zeros_is_refused(
    packed_bloom: tuple[Path, Arrays], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, packed = packed_bloom
    path = write_checkpoint(tmp_path / "packed", packed, NAME)
    convert(path, tmp_path / "whole.gguf", tokenizer=source)
    monkeypatch.setattr("belle_edge.convert.journal.SECONDS_BETWEEN_RECORDS", 0.0)

    def stop(event: Any) -> None:
        if event.tensor.startswith("blk.1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(path, tmp_path / "out.gguf", tokenizer=source, progress=stop)
    with pytest.raises(ConversionError, match="other options"):
        convert(path, tmp_path / "out.gguf", tokenizer=source, gptq_zeros="plain", resume=True)
    convert(path, tmp_path / "out.gguf", tokenizer=source, resume=True)
    assert (tmp_path / "out.gguf").read_bytes() == (tmp_path / "whole.gguf").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(("type", "most_bytes"), [("q4_0", 200e6), ("f32", 300e6)])
def test_memory_is_bounded(tmp_path: Path, llama_tokenizer: bytes, type: str, most_bytes: float) -> None:
    """Matrices of 11008 by 4096, 180 MB each as float32, and permuted ones of 67 MB, which are gathered."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(llama_tokenizer)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_hidden_layers": 1,
        "intermediate_size": 11008,
        "tie_word_embeddings": True,
        "quantization_config": {"quant_method": "gptq", "checkpoint_format": "gptq"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    write_sparse_gptq(folder / "model.safetensors", hidden=4096, wide=11008)
    result = watched_conversion(folder, tmp_path / "out.gguf", type)
    assert result["source"] > 100e6
    assert result["growth"] < most_bytes
    assert result["peak"] < result["predicted"]


def write_sparse_gptq(path: Path, *, hidden: int, wide: int) -> None:
    """A file of zeros that takes no disk space: only its header is written."""
    layer = "model.layers.0"
    shapes: dict[str, tuple[str, list[int]]] = {
        "model.embed_tokens.weight": ("F16", [400, hidden]),
        f"{layer}.input_layernorm.weight": ("F16", [hidden]),
        f"{layer}.post_attention_layernorm.weight": ("F16", [hidden]),
        "model.norm.weight": ("F16", [hidden]),
    }
    sizes = {f"self_attn.{part}_proj": (hidden, hidden) for part in "qkvo"}
    sizes |= {"mlp.gate_proj": (hidden, wide), "mlp.up_proj": (hidden, wide), "mlp.down_proj": (wide, hidden)}
    for part, (n_in, n_out) in sizes.items():
        shapes[f"{layer}.{part}.qweight"] = ("I32", [n_in // 8, n_out])
        shapes[f"{layer}.{part}.qzeros"] = ("I32", [n_in // 128, n_out // 8])
        shapes[f"{layer}.{part}.scales"] = ("F16", [n_in // 128, n_out])
    header, offset = {}, 0
    for name, (dtype, shape) in shapes.items():
        n_bytes = int(np.prod(shape)) * (4 if dtype == "I32" else 2)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + n_bytes]}
        offset += n_bytes
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + offset)
