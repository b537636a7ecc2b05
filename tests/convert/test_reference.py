"""The float model: the engine's and transformers' logits from rows of any source, and what callers can look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert import convert
from belle_edge.convert.architectures import read_model
from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.quantization import row_blocks
from belle_edge.convert.reference import ReferenceModel, reference_model
from belle_edge.convert.sources.gguf.gguf_source import open_gguf
from belle_edge.convert.sources.opening import open_checkpoint
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.errors import ConversionError

from ..model.gguf_models import random_bloom, random_llama
from ..model.random_checkpoints import Variant, reference_logits, save_checkpoint
from .logits import native_logits

Floats = NDArray[np.float32]
LENGTHS = [1, 40, 3, 17]


def of_checkpoint(folder: Path, **options: Any) -> ReferenceModel:
    source = open_checkpoint(folder)
    return ReferenceModel.of(read_model(source.config, source.weights), **options)


def of_gguf(path: Path, **options: Any) -> ReferenceModel:
    return ReferenceModel.of(open_gguf(path, SourceOptions()), **options)


def logits_of(model: ReferenceModel, texts: list[list[int]], **options: Any) -> list[Floats]:
    """Of each text, all texts in one run."""
    lengths = [len(text) for text in texts]
    rows = options.get("rows")
    hidden = model.embed(np.concatenate([np.asarray(text, np.intp) for text in texts]), rows=rows)
    for layer in range(model.n_layers):
        hidden = model.run(layer, hidden, lengths, **options)
    logits = model.logits(model.head_input(hidden), rows=rows)
    assert logits.shape == (sum(lengths), model.n_vocab)
    return np.split(logits, np.cumsum(lengths)[:-1])


def random_texts(n_vocab: int, lengths: list[int] = LENGTHS) -> list[list[int]]:
    random = np.random.default_rng(3)
    return [random.integers(0, n_vocab, length).tolist() for length in lengths]


@pytest.mark.parametrize("name", ["bloom", "llama"])
def test_logits_are_the_engines(
    name: str, checkpoint: Callable[[str], Path], converted: Callable[[str, str], Path]
) -> None:
    path = converted(name, "f32")
    model = of_gguf(path)
    texts = random_texts(300)
    found = logits_of(model, texts)
    for text, logits in zip(texts, found, strict=True):
        np.testing.assert_allclose(logits, native_logits(path, text), atol=1e-4)
    for text, logits in zip(texts, logits_of(of_checkpoint(checkpoint(name), threads=1), texts), strict=True):
        np.testing.assert_array_equal(logits, found.pop(0), err_msg=f"{len(text)} tokens")


@pytest.mark.parametrize("name", ["stories260K/hf", "belle-tiny-zh"])
def test_trained_models(
    name: str, test_data: Path, checkpoint: Callable[[str], Path], converted: Callable[[str, str], Path]
) -> None:
    if not checkpoint(name).is_dir():
        pytest.skip(f"no {checkpoint(name)}")
    path, texts = converted(name, "f32"), random_texts(500, [30, 2])
    for text, logits in zip(texts, logits_of(of_checkpoint(checkpoint(name)), texts), strict=True):
        np.testing.assert_allclose(logits, native_logits(path, text), atol=1e-3)


VARIANTS = [
    Variant("bloom-6-heads", "bloom", {"n_head": 6, "hidden_size": 66, "vocab_size": 301}),
    Variant("bloom-untied-f16", "bloom", {"n_head": 6, "tie_word_embeddings": False}, "float16"),
    Variant("llama-biases", "llama", {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 2}),
    Variant("llama-wide-heads-tied", "llama", {"head_dim": 24, "tie_word_embeddings": True}),
    Variant(
        "llama-rope", "llama", {"rope_theta": 5e5, "rope_scaling": {"rope_type": "linear", "factor": 4.0}}
    ),
    Variant("llama-bf16", "llama", {"num_attention_heads": 8, "num_key_value_heads": 2}, "bfloat16"),
]


@pytest.mark.slow
@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_logits_are_those_of_transformers(variant: Variant, tmp_path: Path) -> None:
    save_checkpoint(variant, tmp_path)
    texts = random_texts(260)
    for text, logits in zip(texts, logits_of(of_checkpoint(tmp_path), texts), strict=True):
        expected = reference_logits(tmp_path, np.array(text, np.int32))
        np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["bloom", "llama"])
def test_bits_do_not_depend_on_threads_texts_or_groups(
    name: str, checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = random_texts(300)
    expected = logits_of(of_checkpoint(checkpoint(name), threads=1), texts)
    monkeypatch.setattr(reference_model, "_TOKENS", 20)  # three groups
    model = of_checkpoint(checkpoint(name), threads=3)
    for found in (logits_of(model, texts), [logits_of(model, [text])[0] for text in texts]):
        for logits, first in zip(found, expected, strict=True):
            np.testing.assert_array_equal(logits, first)


@pytest.mark.parametrize("name", ["bloom", "llama"])
def test_inputs_are_those_that_the_matrices_multiply(
    name: str, checkpoint: Callable[[str], Path], converted: Callable[[str, str], Path], monkeypatch: Any
) -> None:
    monkeypatch.setattr(reference_model, "_TOKENS", 20)
    model, texts = of_checkpoint(checkpoint(name)), random_texts(300)
    file = _core.GgufFile(converted(name, "f32"))
    seen: dict[str, list[Floats]] = {}
    hidden = model.embed([id for text in texts for id in text])
    before = hidden.copy()
    after = model.run(0, hidden, LENGTHS, observe=lambda name, x: seen.setdefault(name, []).append(x.copy()))
    np.testing.assert_array_equal(hidden, before)  # the caller's stay
    assert list(seen) == [found.name for found in model.inputs(0)]
    for found in model.inputs(0):
        assert found.tensor_names[0] == f"{found.name}.weight"
        assert len(seen[found.name]) > 1
        x = np.concatenate(seen[found.name])
        assert {x.shape} == {(sum(LENGTHS), model.tensors[tensor].shape[1]) for tensor in found.tensor_names}
    down = file.tensor_bytes("blk.0.ffn_down.weight").view(np.float32).reshape(model.width, -1)
    output = file.tensor_bytes("blk.0.attn_output.weight").view(np.float32).reshape(model.width, -1)
    added = np.concatenate(seen["blk.0.ffn_down"]).astype(np.float64) @ down.T
    added += np.concatenate(seen["blk.0.attn_output"]).astype(np.float64) @ output.T
    for part in ("ffn_down", "attn_output"):
        if f"blk.0.{part}.bias" in model.tensors:
            added += file.tensor_bytes(f"blk.0.{part}.bias").view(np.float32)
    np.testing.assert_allclose(after - before, added, atol=1e-4)
    grouped = [
        tensor
        for layer in range(model.n_layers)
        for found in model.inputs(layer)
        for tensor in found.tensor_names
    ]
    matrices = {name for name, tensor in model.tensors.items() if len(tensor.shape) == 2}
    assert {*grouped, model.head_name, "token_embd.weight"} == matrices


def in_file_order(tensor: MappedTensor) -> Iterator[Floats]:
    """Rows rounded to q8_0, as a file has them."""
    blocks = [tensor.source.rows(start, stop) for start, stop in row_blocks(tensor)]
    rows = np.concatenate(blocks)
    rows = np.ascontiguousarray(rows if tensor.row_order is None else rows[tensor.row_order])
    kind = "q8_0" if rows.shape[1] % _core.BLOCK_SIZE == 0 else "f16"
    rounded = _core.dequantize(_core.quantize(rows, kind), kind)
    yield from np.array_split(rounded, 3)


@pytest.mark.parametrize("name", ["bloom", "llama"])
def test_given_rows_stand_in_for_those_of_the_source(
    name: str, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    """A checkpoint with rounded rows is the rounded file; each input is complete before its matrices are asked for."""
    path = tmp_path / "q8_0.gguf"
    convert(checkpoint(name), path, type="q8_0", pure=True)
    model, texts = of_checkpoint(checkpoint(name)), random_texts(300)
    events: list[str] = []

    def rows(tensor: MappedTensor) -> Iterator[Floats]:
        events.append(tensor.name)
        return in_file_order(tensor)

    found = logits_of(model, texts, rows=rows, observe=lambda name, x: events.append(name))
    for logits, expected in zip(found, logits_of(of_gguf(path), texts), strict=True):
        np.testing.assert_array_equal(logits, expected)
    steps = [name for found in model.inputs(0) for name in (found.name, *found.tensor_names)]
    assert events[1 : 1 + len(steps)] == steps


def test_what_is_not_computed_is_refused(tmp_path: Path) -> None:
    def refused(message: str, spoil: Callable[[Any], object], make: Callable[[], Any] = random_llama) -> None:
        model = make()
        spoil(model)
        path = model.write(tmp_path / "spoilt.gguf")
        with pytest.raises(ConversionError, match=message):
            of_gguf(path)

    refused("expert_count", lambda model: model.metadata.update(expert_count=4))
    refused("rope.scaling.type.*yarn", lambda model: model.metadata.update({"rope.scaling.type": "yarn"}))
    refused("embedding_length", lambda model: model.metadata.pop("embedding_length"))
    refused("do not fit", lambda model: model.metadata.update({"attention.head_count": 7}), random_bloom)
    refused(
        r"blk.0.attn_k.weight\] this tensor is missing",
        lambda model: model.tensors.pop("blk.0.attn_k.weight"),
    )
    refused("missing", lambda model: model.tensors.pop("token_embd.weight"))
    more = np.zeros((4,), np.float32)
    refused(
        "rope_freqs.weight.*not computed", lambda model: model.tensors.update({"rope_freqs.weight": more})
    )
    refused(
        "output_norm.weight.*expected shape", lambda model: model.tensors.update({"output_norm.weight": more})
    )


def test_wrong_calls_are_named(checkpoint: Callable[[str], Path]) -> None:
    model = of_checkpoint(checkpoint("llama"))
    with pytest.raises(ValueError, match="token id 512: expected 0 to 511"):
        model.embed([0, 512])
    with pytest.raises(ValueError, match="expected 2 tokens together, got 3"):
        model.run(0, model.embed([1, 2]), [1, 2])
    with pytest.raises(ValueError, match=r"token_embd\.weight: expected 512 rows, got 5"):
        model.embed([0], rows=lambda tensor: iter([np.zeros((5, model.width), np.float32)]))
