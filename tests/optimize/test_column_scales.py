"""Scaled columns: the same answers from other weights, chosen where they pay, on any machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from belle_edge import _core
from belle_edge.convert import ConversionProgress, SourceOptions, convert
from belle_edge.convert.moments.calibrate import calibrate
from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.optimize import optimized_job
from belle_edge.convert.optimize.column_groups import column_groups
from belle_edge.convert.optimize.column_scales import candidates
from belle_edge.convert.optimize.scaled_tensors import ColumnScales
from belle_edge.convert.reference import ReferenceModel
from belle_edge.convert.sources.gguf.gguf_source import open_gguf
from belle_edge.convert.sources.source_tensors import to_float32
from belle_edge.verification import verify_contents

Floats = NDArray[np.float32]


def drawn_scales(model: ReferenceModel) -> ColumnScales:
    """Of every input that may have some."""
    draw = np.random.default_rng(7)
    groups = column_groups(model.shape, model.tensors)
    scales = [np.exp(draw.standard_normal(group.n_channels)).astype(np.float32) for group in groups]
    n_rows = {name: tensor.shape[0] for name, tensor in model.tensors.items()}
    return ColumnScales.of_groups(zip(groups, scales, strict=True), n_rows)


def logits_of(model: ReferenceModel) -> Floats:
    hidden, lengths = model.embed(np.arange(24) * 7 % model.n_vocab), [20, 4]
    for layer in range(model.n_layers):
        hidden = model.run(layer, hidden, lengths)
    return model.logits(model.head_input(hidden))


@pytest.mark.parametrize("name", ["bloom", "llama"])
def test_scaled_models_give_the_same_logits(name: str, checkpoint: Callable[[str], Path]) -> None:
    """With the row orders of checkpoints, biases, and query heads that share values."""
    source = CalibrationSource.open(checkpoint(name))
    model = ReferenceModel(source.tensors, source.metadata)
    scales = drawn_scales(model)
    n_inputs = (4 if name == "llama" else 3) * model.n_layers
    assert scales.n_inputs == n_inputs + ("output.weight" in model.tensors)
    scaled = ReferenceModel([scales.applied(tensor) for tensor in source.tensors], source.metadata)
    expected = logits_of(model)
    np.testing.assert_allclose(logits_of(scaled), expected, atol=1e-5 * np.abs(expected).max())


def test_candidates_are_near_one_and_of_few_bits() -> None:
    """Products of two scales are exact in float32; silent columns keep their values."""
    draw = np.random.default_rng(1)
    energies = np.exp(8 * draw.standard_normal(64))
    energies[5] = 0
    found = list(candidates(energies, np.exp(draw.standard_normal(64))))
    assert len(found) == 6
    for scales in found:
        assert scales[5] == 1
        assert 2**-8 <= scales.min() < 1 < scales.max() <= 2**8
        parts = np.frexp(scales)[0] * 256
        np.testing.assert_array_equal(parts, np.rint(parts))


@pytest.fixture(scope="module")
def loud(checkpoint: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The bundled BLOOM with some channels of its norms 32 times as loud, and its moments."""
    folder = tmp_path_factory.mktemp("loud")
    shutil.copytree(checkpoint("bloom"), folder / "model")
    path = folder / "model" / "model.safetensors"
    tensors = {name: values.astype(np.float32) for name, values in load_file(path).items()}
    for name, values in tensors.items():
        if "input_layernorm" in name or "post_attention_layernorm" in name:
            values[3::43] *= 32
        elif name.endswith(("query_key_value.weight", "dense_h_to_4h.weight")):
            values[:, 3::43] /= 32
    save_file(tensors, path)
    calibrate(folder / "model", folder / "moments.gguf", tokens=1024)
    return folder / "model", folder / "moments.gguf"


def test_loud_channels_cost_less(
    loud: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the same conversion without scales; the file is verified against its source, norms and all."""
    source, moments = loud
    out, settings = tmp_path / "out.gguf", {"type": "q4_0", "optimize": "fast", "calibration": moments}
    scaled = convert(source, out, **settings).optimized  # type: ignore[arg-type]
    assert scaled is not None
    assert scaled["column_scales"] > 0
    report = verify_contents(out, against=source)
    assert report.ok, report.problems
    assert [note for note in report.notes if "inputs are scaled on purpose" in note]
    monkeypatch.setattr(optimized_job, "chosen_scales", lambda *_, **__: ColumnScales())
    plain = convert(source, tmp_path / "plain.gguf", **settings).optimized  # type: ignore[arg-type]
    assert plain is not None
    assert plain["column_scales"] == 0
    assert scaled["divergence"] < 0.7 * plain["divergence"]
    assert scaled["divergence_nearest"] == pytest.approx(plain["divergence_nearest"], rel=1e-3)


def test_a_wrong_norm_is_found(loud: tuple[Path, Path], tmp_path: Path) -> None:
    """A value that no scale explains."""
    source, moments = loud
    out = tmp_path / "out.gguf"
    convert(source, out, type="q4_0", optimize="fast", calibration=moments)
    place = next(
        tensor for tensor in _core.GgufFile(str(out)).tensors() if tensor.name == "blk.0.attn_norm.bias"
    )
    data = np.fromfile(out, np.uint8)
    values = data[place.offset : place.offset + 4 * place.shape[0]].view(np.float32)
    values[7] *= 1.001
    data.tofile(out)
    problems = verify_contents(out, against=source).problems
    assert [problem for problem in problems if problem.startswith("blk.0.attn_norm.bias: 1 of")]


def test_the_same_bytes_after_an_interruption(
    checkpoint: Callable[[str], Path], moments: Callable[..., Path], tmp_path: Path
) -> None:
    source, settings = (
        checkpoint("llama"),
        {"type": "q4_0", "optimize": "fast", "calibration": moments("llama")},
    )
    seen: list[ConversionProgress] = []

    def stop(event: ConversionProgress) -> None:
        seen.append(event)
        if sum(other.stage == "converting" for other in seen) == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "out.gguf", progress=stop, **settings)  # type: ignore[arg-type]
    report = convert(source, tmp_path / "out.gguf", resume=True, threads=1, **settings)  # type: ignore[arg-type]
    assert report.optimized is not None
    assert report.optimized["column_scales"] > 0
    convert(source, tmp_path / "other.gguf", **settings)  # type: ignore[arg-type]
    assert (tmp_path / "out.gguf").read_bytes() == (tmp_path / "other.gguf").read_bytes()


def test_without_rounded_matrices_nothing_is_scaled(
    checkpoint: Callable[[str], Path], moments: Callable[..., Path], tmp_path: Path
) -> None:
    """An input of a matrix that stays a float has no scales, and rows of such a matrix carry none."""
    out = tmp_path / "out.gguf"
    convert(
        checkpoint("llama"),
        out,
        type="q4_0",
        tensor_type="*.attn_[kv].weight=f16",
        optimize="fast",
        calibration=moments("llama"),
    )
    source = CalibrationSource.open(checkpoint("llama"))
    originals = {tensor.name: tensor.source for tensor in source.tensors}
    file = open_gguf(out, SourceOptions())
    for tensor in file.tensors:
        if tensor.name.endswith("attn_norm.weight"):
            expected = to_float32(originals[tensor.name].rows(0, tensor.shape[0]))
            np.testing.assert_array_equal(to_float32(tensor.rows(0, tensor.shape[0])), expected)
        if tensor.name.endswith("attn_v.weight"):
            expected = to_float32(originals[tensor.name].rows(0, tensor.shape[0])).astype(np.float16)
            np.testing.assert_array_equal(tensor.rows(0, tensor.shape[0]), expected)
