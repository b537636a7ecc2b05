"""calibrate(): the moments that transformers' layers see, the same bytes always, files and errors."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from belle_edge._core import dense
from belle_edge.convert.moments import input_sums
from belle_edge.convert.moments.calibrate import calibrate, held_out_ids
from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.moments.data_files import data_files
from belle_edge.convert.moments.moments_file import Moments
from belle_edge.convert.moments.token_texts import token_texts
from belle_edge.convert.reference import bloom_layer, llama_layer, streamed_matrices
from belle_edge.errors import ConversionError

from .calibrations import TOKENS, write_texts

# transformers' modules inside a layer -> GGUF's names
PARTS = {
    "self_attention.query_key_value": "attn_qkv",
    "self_attention.dense": "attn_output",
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
N_INPUTS = 21  # of the random LLaMA: four in each of five layers, and the head's


def moments_in_transformers(
    source: Path, opened: CalibrationSource, data: Path
) -> dict[str, NDArray[np.float64]]:
    """By name of the matrix, from the inputs that modules get."""
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    found: dict[str, NDArray[np.float64]] = {}

    def listen(name: str, module: Any, arguments: Any) -> None:
        x = arguments[0][0].double().numpy()
        found[name] = found.get(name, 0) + x.T @ x

    for path, module in model.named_modules():
        layer, _, part = path.partition(".layers." if ".layers." in path else ".h.")[2].partition(".")
        name = f"blk.{layer}.{PARTS[part]}.weight" if part in PARTS else None
        if path == "lm_head":
            name = "output.weight" if opened.architecture == "llama" else "token_embd.weight"
        if name is not None:
            module.register_forward_pre_hook(partial(listen, name))
    texts = token_texts(data_files([data]), opened.encoder, n_tokens=TOKENS)
    start = 0
    with torch.no_grad():
        for length in texts.lengths:
            model(torch.tensor(texts.ids[start : start + length].astype(np.int64))[None])
            start += length
    return {name: sums / texts.n_tokens for name, sums in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "family"), [("llama", None), ("bloom", "belle")])
def test_they_are_the_moments_of_what_transformers_multiplies(
    torch: Any, checkpoint: Callable[[str], Path], data: Path, tmp_path: Path, name: str, family: str | None
) -> None:
    source = checkpoint(name)
    opened = CalibrationSource.open(source, family=family)
    calibrate(source, tmp_path / "m.gguf", data=data, tokens=TOKENS, family=family)
    moments = Moments.open(tmp_path / "m.gguf")
    expected = moments_in_transformers(source, opened, data)
    assert set(moments.tensor_names) == set(expected)
    for matrix, second in expected.items():
        energies, found = moments.energies(matrix), moments.moments(matrix)
        assert energies is not None
        assert found is not None
        np.testing.assert_allclose(energies, np.diagonal(second), rtol=2e-3, atol=1e-6 * second.max())
        size = np.sqrt(np.outer(np.diagonal(second), np.diagonal(second)))
        assert (np.abs(found - second) <= 1e-3 * size + 1e-6 * second.max()).all()


def test_the_report_and_the_file(llama: Path, data: Path, tmp_path: Path) -> None:
    events = []
    report = calibrate(llama, tmp_path / "m.gguf", data=[data], tokens=TOKENS, progress=events.append)
    assert report.n_tokens == TOKENS
    assert report.n_inputs == N_INPUTS
    assert report.n_matrices == 5 * 7 + 1
    assert report.output_bytes == (tmp_path / "m.gguf").stat().st_size
    assert report.datasets == ("texts.jsonl",)
    assert not report.warnings
    assert len(events) == N_INPUTS
    assert events[-1].done_bytes == events[-1].total_bytes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.gguf"]
    moments = Moments.open(tmp_path / "m.gguf")
    assert moments.facts.token_sha256 == report.token_sha256
    assert "/" not in "".join(moments.facts.datasets)


@pytest.mark.parametrize("isa", dense.isas())
@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_bytes_on_every_instruction_set_and_for_any_threads(
    made: Path,
    llama: Path,
    data: Path,
    tmp_path: Path,
    isa: str,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class OnIsa:
        def __getattr__(self, name: str) -> Any:
            function = getattr(dense, name)
            return function if name == "rotate" else partial(function, isa=isa)

    for module in (bloom_layer, llama_layer, streamed_matrices, input_sums):
        monkeypatch.setattr(module, "dense", OnIsa())
    calibrate(llama, tmp_path / "m.gguf", data=data, tokens=TOKENS, threads=threads)
    assert (tmp_path / "m.gguf").read_bytes() == made.read_bytes()


def test_energies_alone_are_the_same_energies(made: Path, llama: Path, data: Path, tmp_path: Path) -> None:
    calibrate(llama, tmp_path / "m.gguf", data=data, tokens=TOKENS, imatrix_only=True)
    found, full = Moments.open(tmp_path / "m.gguf"), Moments.open(made)
    assert not found.has_full
    assert found.tensor_names == full.tensor_names
    for name in full.tensor_names:
        np.testing.assert_array_equal(found.energies(name), full.energies(name))


@pytest.mark.slow
def test_a_gguf_of_the_same_floats_gives_the_same_moments(
    made: Path, llama: Path, data: Path, tmp_path: Path, converted: Callable[[str, str], Path]
) -> None:
    calibrate(converted("llama", "f32"), tmp_path / "m.gguf", data=data, tokens=TOKENS)
    found, expected = Moments.open(tmp_path / "m.gguf"), Moments.open(made)
    assert found.facts.token_sha256 == expected.facts.token_sha256
    for name in expected.tensor_names:
        np.testing.assert_array_equal(found.moments(name), expected.moments(name))


def changed_checkpoint(source: Path, folder: Path, change: Callable[[dict[str, NDArray[Any]]], None]) -> Path:
    """A copy whose weights are changed in place."""
    copy = Path(shutil.copytree(source, folder))
    (path,) = copy.glob("*.safetensors")
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
    return copy


def test_a_complete_file_is_kept_on_resume_and_another_is_refused(
    made: Path, llama: Path, data: Path, tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    out = tmp_path / "m.gguf"
    out.write_bytes(made.read_bytes())
    before = out.stat()
    assert calibrate(llama, out, data=data, tokens=TOKENS, resume=True).n_tokens == TOKENS
    assert out.stat().st_mtime_ns == before.st_mtime_ns
    for other in ({"tokens": TOKENS - 1}, {"imatrix_only": True}, {"data": None}):
        with pytest.raises(ConversionError, match="is of another calibration, and complete"):
            calibrate(llama, out, **{"data": data, "tokens": TOKENS, "resume": True, **other})
    with pytest.raises(ConversionError, match="exists already; --force"):
        calibrate(llama, out, data=data, tokens=TOKENS)
    calibrate(llama, out, data=data, tokens=TOKENS, force=True)
    assert out.read_bytes() == made.read_bytes()


def test_moments_are_for_their_model(
    made: Path, llama: Path, checkpoint: Callable[[str], Path], converted: Callable[[str, str], Path]
) -> None:
    moments = Moments.open(made)
    tensors = CalibrationSource.open(llama).tensors
    moments.check_model(tensors)
    moments.check_model(CalibrationSource.open(converted("llama", "q8_0")).tensors)
    with pytest.raises(ConversionError, match="weights differ by"):
        moments.check_model(CalibrationSource.open(converted("llama", "q4_0")).tensors)
    with pytest.raises(ConversionError, match=r"moments.gguf\] is of another model \('.*'\): it has none"):
        moments.check_model([tensor for tensor in tensors if "norm" in tensor.name])
    with pytest.raises(
        ConversionError, match=r"attn_output.weight has rows of 256 values here, and of 64 there"
    ):
        moments.check_model(CalibrationSource.open(checkpoint("bloom")).tensors)
    with pytest.raises(ConversionError, match="matrices have other shapes"):
        moments.check_model([tensor for tensor in tensors if not tensor.name.startswith("blk.4")])


def test_held_out_texts_are_not_calibrated_with(llama: Path, data: Path) -> None:
    opened = CalibrationSource.open(llama)
    held_out = held_out_ids(opened, data=data)
    used = token_texts(data_files([data]), opened.encoder, n_tokens=10_000)
    assert [opened.encoder.tokenizer.decode(ids) for ids in held_out] == ["What is for lunch?\nRice."]
    assert used.n_tokens + len(held_out[0]) == sum(
        len(piece)
        for _, text in [*data_files([data])[0].texts(), *data_files([data])[0].texts(held_out=True)]
        for piece in opened.encoder.pieces(text)
    )
    bundled = held_out_ids(opened, tokens=300)
    assert sum(map(len, bundled)) == 300
    assert max(map(len, bundled)) <= 512


def test_too_little_data_is_a_warning(llama: Path, data: Path, tmp_path: Path) -> None:
    report = calibrate(llama, tmp_path / "m.gguf", data=data, tokens=100_000)
    assert report.n_tokens < 100_000
    assert [line for line in report.warnings if "fewer than the 100,000 asked for" in line]


def test_settings_out_of_range(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\[tokens\]: expected an integer from 1"):
        calibrate(llama, tmp_path / "m.gguf", tokens=0)
    with pytest.raises(ValueError, match=r"\[calibrate\] unknown .*'tokeniser'.*did you mean 'tokenizer'"):
        calibrate(llama, tmp_path / "m.gguf", tokeniser="x")  # type: ignore[call-arg]
    with pytest.raises(ConversionError, match="unknown family"):
        calibrate(llama, tmp_path / "m.gguf", family="x")


def test_the_output_is_no_file_that_is_read(llama: Path, data: Path, tmp_path: Path) -> None:
    for name in ("m.gguf", "m.gguf.part", "m.gguf.journal", "m.gguf.states"):
        place = tmp_path / name
        write_texts(place)
        content = place.read_bytes()
        with pytest.raises(ConversionError):
            calibrate(llama, tmp_path / "m.gguf", data=place, tokens=TOKENS, force=True)
        assert place.read_bytes() == content
        place.unlink()


def test_weights_that_are_not_finite_are_named(llama: Path, data: Path, tmp_path: Path) -> None:
    def change(weights: dict[str, NDArray[Any]]) -> None:
        weights["model.layers.2.mlp.up_proj.weight"][3, 5] = np.inf

    broken = changed_checkpoint(llama, tmp_path / "broken", change)
    with pytest.raises(
        ConversionError, match=r"\[blk\.2\.ffn_down\] the inputs of this matrix are infinite or NaN"
    ):
        calibrate(broken, tmp_path / "m.gguf", data=data, tokens=TOKENS)
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]
