"""Numbers and tokenizers that no file can back: refused at once, in a short message, before memory is taken."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.convert import convert
from belle_edge.convert.description import describe_source
from belle_edge.convert.sources.byte_source import MappedBytes
from belle_edge.convert.sources.torch_file import open_torch_file
from belle_edge.errors import ConversionError
from belle_edge.hf.sources import Options, Source, tokenizer_metadata

from .checkpoints import tensors_of, write_bloom, write_checkpoint, write_safetensors
from .small_checkpoints import write_json_tokenizer

MAX_BYTES, MAX_SECONDS = 100 << 20, 2.0


@contextmanager
def refused(message: str) -> Iterator[None]:
    """ConversionError with this message, soon, and without the memory that the number asks for."""
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(ConversionError, match=message) as caught:
            yield
        assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
        assert len(str(caught.value)) < 1000
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 5 * MAX_SECONDS  # tracing slows it down


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dim": 640_000_000}, "dim: 640000000 is beyond"),
        ({"dim": 1 << 24}, r"expected a part of \[16777216, 16777216\]"),
        ({"dim": 32 * 4096}, r"expected a part of \[131072, 131072\]"),
        ({"n_heads": 1 << 30}, "n_heads: 1073741824 is beyond"),
        ({"n_heads": 32}, "heads of 1: rotary"),
        ({"n_heads": 1, "n_kv_heads": 1 << 20}, "expected 1048576 heads of 32 rows"),
        ({"n_layers": 1 << 24}, "layers.1.* is missing"),
        ({"n_layers": 10**300}, "n_layers: .* is beyond"),
        ({"vocab_size": "9" * 10**6}, "vocab_size: '999"),
        ({"moe": ["x" * 10**6]}, "moe: .* is not supported"),
    ],
)
def test_params_json(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    pytest.importorskip("torch")
    from ..convert.test_meta import write_meta

    source = write_checkpoint(tmp_path / "source", hidden=32, n_layers=1, n_heads=2)
    edit(source / "config.json", lambda config: config.update(head_dim=16))
    folder = write_meta(source, tmp_path / "meta", shards=1)
    edit(folder / "params.json", lambda content: content.update(params))
    with refused(message):
        convert(folder, dry_run=True)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_attention_heads": 1 << 24, "head_dim": 8192}, "expected shape"),
        ({"head_dim": 1 << 23}, "2 heads of 8388608: expected at most 8192"),
        ({"hidden_size": 1 << 24, "num_attention_heads": 1 << 20}, "expected shape"),
        ({"num_hidden_layers": 1 << 24}, "layers.1.* is missing"),
        ({"intermediate_size": 1 << 24}, "expected shape"),
        ({"rope_theta": 1e300}, "rope_theta"),
        ({"rope_theta": 0.5}, "rope_theta"),
        ({"rms_norm_eps": 1e-40}, "rms_norm_eps"),
        ({"rms_norm_eps": 2}, "rms_norm_eps"),
        ({"rope_scaling": {"type": "linear", "factor": 1e300}}, "factor"),
        ({"hidden_act": "x" * 10**6}, "hidden_act"),
        ({"architectures": ["x" * 10**6]}, "architecture 'x"),
    ],
)
def test_config_json(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    folder = write_checkpoint(tmp_path / "source", hidden=32, n_layers=1, n_heads=2)
    edit(folder / "config.json", lambda content: content.update(config))
    with refused(message):
        convert(folder, dry_run=True)


def test_a_hidden_size_of_bloom(tmp_path: Path) -> None:
    folder = write_bloom(tmp_path / "source")
    edit(folder / "config.json", lambda content: content.update(hidden_size=1 << 24, n_head=1 << 12))
    with refused("expected shape"):
        convert(folder, dry_run=True)


@pytest.mark.slow
def test_a_vocabulary_size_that_is_only_stated(tmp_path: Path) -> None:
    """Looking at a source, and loading its tokenizer alone, believe no number of rows that large."""
    folder = write_bloom(tmp_path / "source")
    edit(folder / "config.json", lambda content: content.update(vocab_size=1 << 60))
    (folder / "model.safetensors").unlink()
    assert describe_source(folder).special_ids["eos"] == 2
    tokens = tokenizer_metadata(Source("x", Options(), folder=folder)).get("tokenizer.ggml.tokens")
    assert 320 <= len(tokens) <= 1 << 20


def set_vocab(token: str, token_id: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["model"]["vocab"].update({token: token_id})


def set_merge(merge: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["model"]["merges"].insert(0, merge)


def set_added(entry: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["added_tokens"].append(entry)


TOKENIZERS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "huge id": (set_vocab("a", 10_000_000), "expected token ids from 0 to 319"),
    "id past the rows": (set_vocab("a", 320), "expected token ids from 0 to 319"),
    "negative id": (set_vocab("a", -1), "expected token ids"),
    "text id": (set_vocab("a", "5"), "expected token ids"),
    "true as id": (set_vocab("a", True), "expected token ids"),
    "two of one id": (set_vocab("a", 7), "id 7 belongs to .* and to"),
    "more tokens than rows": (set_vocab("new", 5), "321 tokens, but the embedding has only 320 rows"),
    "unknown left": (set_merge("xq a"), "'xq' is no token"),
    "unknown result": (set_merge(["<s>", "</s>"]), "'<s></s>' is no token"),
    "merge of three": (set_merge("a b c"), "expected a merge of two pieces"),
    "empty side": (set_merge(["a", ""]), "expected a merge of two pieces"),
    "number in a merge": (set_merge(["a", 5]), "expected a merge of two pieces"),
    "long merge": (set_merge("x" * 10**6), "expected a merge of two pieces"),
    "negative added id": (set_added({"id": -1, "content": "x"}), "malformed list of added tokens"),
    "added id as text": (set_added({"id": "5", "content": "x"}), "malformed list of added tokens"),
    "added content": (set_added({"id": 5, "content": 5}), "malformed list of added tokens"),
    "a byte renamed": (set_added({"id": 70, "content": "new"}), "could be written, but not loaded"),
    "no bytes": (
        lambda content: content["model"].update(vocab={"a": 0}, merges=[]),
        "not loaded: .* byte tokens",
    ),
    "no tokens": (lambda content: content["model"].update(vocab={}, merges=[]), "not loaded"),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizers_that_would_not_load(tmp_path: Path, name: str) -> None:
    change, message = TOKENIZERS[name]
    folder = write_bloom(tmp_path / "source")
    edit(folder / "tokenizer.json", change)
    if name in ("no bytes", "no tokens"):
        edit(folder / "tokenizer.json", lambda content: content.update(added_tokens=[]))
    with refused(message):
        convert(folder, dry_run=True)


def test_merges_of_sentencepiece(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "source", hidden=32, n_layers=1, n_heads=2)
    write_json_tokenizer(source, tmp_path / "json")
    assert convert(tmp_path / "json", dry_run=True).n_tokens == 400
    edit(tmp_path / "json" / "tokenizer.json", set_merge(["ab", "zz"]))
    with refused("'zz' is no token of its vocabulary"):
        convert(tmp_path / "json", dry_run=True)


def test_added_tokens_without_rows_are_counted(tmp_path: Path) -> None:
    folder = write_bloom(tmp_path / "source")
    (folder / "added_tokens.json").write_text(json.dumps({f"x{i}": 1000 + i for i in range(5000)}))
    warnings = [text for text in convert(folder, dry_run=True).warnings if "left out" in text]
    assert len(warnings) == 9
    assert warnings[0] == "added token 'x0' left out: id 1000, 320 rows"
    assert warnings[-1].startswith("4992 more added tokens left out")


@pytest.mark.parametrize("type", ["q4_0", "q4_1", "q8_0"])
def test_values_whose_scales_no_block_holds(tmp_path: Path, type: str) -> None:
    folder = write_checkpoint(tmp_path / "llama", hidden=32, n_layers=1, n_heads=2)
    tensors = tensors_of(32, 1)
    tensors["model.layers.0.self_attn.q_proj.weight"][3, 5] = 1e30
    write_safetensors(folder / "model.safetensors", tensors)
    with pytest.raises(
        ConversionError, match=rf"q_proj.weight: values are too large for the f16 scales of {type}"
    ):
        convert(folder, tmp_path / "out.gguf", type=type)
    assert not (tmp_path / "out.gguf").exists()


def test_a_tensor_larger_than_its_storage(tmp_path: Path) -> None:
    """Strides of 0 make any size out of one value: torch's expand."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(1).expand(1 << 40), "b": torch.ones(4, 2).T}, path)
    tensors = open_torch_file(MappedBytes(path))
    assert tensors["a"].dtype == "expanded"  # no matrix of a model has it
    assert np.array_equal(tensors["b"].rows(0, 2), np.ones((2, 4), np.float32))


def test_compressed_entries_do_not_grow(tmp_path: Path) -> None:
    path, data = tmp_path / "pytorch_model.bin", io.BytesIO(bytes(MAX_BYTES + 1))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"}.")
        archive.writestr("archive/byteorder", data.getvalue())
    data.close()
    with refused("big-endian"):
        open_torch_file(MappedBytes(path))
