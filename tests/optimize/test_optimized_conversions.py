"""`convert(optimize=…)`: the same bytes whatever the machine and the interruptions, and a receipt that is true."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert import ConversionProgress, Optimization, SourceOptions, convert
from belle_edge.convert.architectures.mapped_model import MappedTensor
from belle_edge.convert.moments.calibrate import held_out_ids
from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.optimize.written_rows import WrittenRows
from belle_edge.convert.quantization import PlannedTensor
from belle_edge.convert.sources.gguf.gguf_source import open_gguf
from belle_edge.divergence import kl_divergence, log_softmax
from belle_edge.errors import ConversionError
from belle_edge.verification import verify_contents
from belle_edge.verification.comparison import TensorComparison, TensorError
from belle_edge.verification.tensor_rows import TensorRows

CheckpointOf = Callable[[str], Path]
MakeMoments = Callable[..., Path]


def tensors_in(path: Path) -> dict[str, bytes]:
    file = _core.GgufFile(str(path))
    return {tensor.name: file.tensor_bytes(tensor.name).tobytes() for tensor in file.tensors()}


def left_beside(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.glob(f"{out.name}*") if path != out)


@pytest.mark.parametrize("name", ["bloom", "llama"])
def test_the_same_bytes_for_any_threads_and_instructions(
    name: str, checkpoint: CheckpointOf, moments: MakeMoments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = moments(name)
    report = convert(
        checkpoint(name), tmp_path / "one.gguf", type="q4_k_m", optimize="fast", calibration=given, threads=1
    )
    assert report.optimized is not None
    assert report.optimized["column_scales"] > 0
    expected = (tmp_path / "one.gguf").read_bytes()
    tiers = [tier["name"] for tier in _core.isa_tiers() if tier["supported"] and tier["name"] != "scalar"]
    for tier in tiers:
        monkeypatch.setenv("BELLE_ISA", tier)
        out = tmp_path / f"{tier}.gguf"
        convert(checkpoint(name), out, type="q4_k_m", optimize="fast", calibration=given, threads=3)
        assert out.read_bytes() == expected


@pytest.mark.parametrize(
    "place", [("calibrating", 1), ("calibrating", 6), ("converting", 1), ("converting", 20), ("measuring", 2)]
)
def test_an_interrupted_run_goes_on_to_the_same_bytes(
    place: tuple[str, int],
    checkpoint: CheckpointOf,
    texts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from belle_edge.convert import journal

    monkeypatch.setattr(journal, "SECONDS_BETWEEN_RECORDS", 0.0)
    source, out, settings = checkpoint("bloom"), tmp_path / "out.gguf", {"type": "q4_0", "optimize": "fast"}
    seen: list[ConversionProgress] = []

    def stop(event: ConversionProgress) -> None:
        seen.append(event)
        if sum(other.stage == place[0] for other in seen) == place[1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, out, calibration=texts, progress=stop, **settings)  # type: ignore[arg-type]
    assert not out.exists()
    with pytest.raises(ConversionError, match=r"--resume goes on"):
        convert(source, out, calibration=texts, **settings)  # type: ignore[arg-type]
    convert(source, out, calibration=texts, resume=True, **settings)  # type: ignore[arg-type]
    assert left_beside(out) == []
    convert(source, tmp_path / "other.gguf", calibration=texts, threads=1, **settings)  # type: ignore[arg-type]
    assert out.read_bytes() == (tmp_path / "other.gguf").read_bytes()


def test_only_the_rounding_differs(checkpoint: CheckpointOf, moments: MakeMoments, tmp_path: Path) -> None:
    """Types and sizes are those of a plain conversion; an embedding that is looked up, and norms, but for scales."""
    source, plain, optimized = checkpoint("llama"), tmp_path / "plain.gguf", tmp_path / "optimized.gguf"
    before = convert(source, plain, type="q4_0")
    after = convert(source, optimized, type="q4_0", optimize=True, calibration=moments("llama"))
    assert before.tensors == after.tensors
    first, second = tensors_in(plain), tensors_in(optimized)
    same = {name for name, data in first.items() if second[name] == data}
    kinds = {tensor.name: tensor.type for tensor in after.tensors}
    floats = {name for name, kind in kinds.items() if kind in ("f32", "f16")}
    untied = {"token_embd.weight"} if "output.weight" in kinds else set()
    norms = {name for name in floats if "norm" in name}
    assert floats | untied == same | norms
    assert after.optimized is not None
    assert 0 < len(norms - same) <= after.optimized["column_scales"]


@pytest.mark.parametrize("full", [True, False], ids=["moments", "energies"])
def test_the_receipt_says_what_was_done(
    full: bool, checkpoint: CheckpointOf, moments: MakeMoments, tmp_path: Path
) -> None:
    source, out = checkpoint("bloom"), tmp_path / "out.gguf"
    given = moments("bloom", full=full)
    settings = {"type": "q4_k_m", "optimize": "fast", "calibration": given}
    predicted = convert(source, dry_run=True, **settings)  # type: ignore[arg-type]
    report = convert(source, out, **settings)  # type: ignore[arg-type]
    assert predicted.output_bytes == report.output_bytes == out.stat().st_size
    receipt, file = report.optimized, _core.GgufFile(str(out))
    assert receipt is not None
    assert receipt["method"] == ("error feedback" if full else "weighted search")
    assert receipt["data"] == ["drawn.jsonl"]
    assert receipt["tokens"] == 700
    assert 0.05 < receipt["error_ratio"] < 0.98
    for key, value in receipt.items():
        stored = file["belle.column_scales" if key == "column_scales" else f"belle.optimized.{key}"]
        assert stored == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value), key
    file.verify_data()


def test_the_divergence_is_less_and_is_what_the_engine_finds(
    checkpoint: CheckpointOf, calibrated: Callable[[str], Path], tmp_path: Path
) -> None:
    """On texts of the package that are held out: the receipt's figures, and the engine's for the same tokens."""
    source, files = (
        checkpoint("bloom"),
        [tmp_path / f"{name}.gguf" for name in ("float", "plain", "optimized")],
    )
    convert(source, files[0], type="f32")
    convert(source, files[1], type="q4_0")
    report = convert(source, files[2], type="q4_0", optimize="fast", calibration=calibrated("bloom"))
    receipt = report.optimized
    assert receipt is not None
    assert receipt["divergence"] < 0.5 * receipt["divergence_nearest"]
    texts = held_out_ids(CalibrationSource.open(source), tokens=receipt["held_out_tokens"])
    expected, plain, optimized = (
        np.concatenate([log_probabilities(path, ids) for ids in texts]) for path in files
    )
    found = [float(kl_divergence(expected, other).mean()) for other in (optimized, plain)]
    # The engine rounds activations to 8 bits as well, which adds about the same to both.
    assert found == pytest.approx([receipt["divergence"], receipt["divergence_nearest"]], rel=0.1, abs=6e-4)


def log_probabilities(path: Path, ids: list[int]) -> Any:
    model = _core.Model(str(path), activations="block32")
    return log_softmax(np.array(model.forward([(model.new_sequence(), ids)], logits="all")[0]))


def test_best_is_better_than_fast(checkpoint: CheckpointOf, texts: Path, tmp_path: Path) -> None:
    source, out = checkpoint("bloom"), tmp_path / "out.gguf"
    report = convert(source, out, type="q4_0", optimize="best", calibration=texts)
    assert report.optimized is not None
    assert report.optimized["divergence"] < report.optimized["divergence_nearest"]
    fast = convert(source, tmp_path / "fast.gguf", type="q4_0", optimize="fast", calibration=texts).optimized
    assert fast is not None
    assert report.optimized["error_ratio"] < fast["error_ratio"]
    predicted = convert(source, dry_run=True, type="q4_0", optimize="best", calibration=texts)
    assert predicted.output_bytes == out.stat().st_size
    assert left_beside(out) == []


def test_the_bundled_texts_are_the_default(checkpoint: CheckpointOf, tmp_path: Path) -> None:
    report = convert(checkpoint("bloom"), tmp_path / "out.gguf", type="q4_0", optimize="fast")
    assert report.optimized is not None
    assert report.optimized["data"] == ["bundled"]
    assert report.optimized["divergence"] < report.optimized["divergence_nearest"]


def test_an_optimized_file_is_verified_against_its_source(
    checkpoint: CheckpointOf, moments: MakeMoments, tmp_path: Path
) -> None:
    out = tmp_path / "out.gguf"
    for kind in ("q4_0", "q2_k", "q8_0"):
        convert(
            checkpoint("bloom"), out, type=kind, optimize="fast", calibration=moments("bloom"), force=True
        )
        report = verify_contents(out, against=checkpoint("bloom"))
        assert report.ok, report.problems
    file = _core.GgufFile(str(out))
    stored = next(tensor for tensor in file.tensors() if tensor.name.endswith("ffn_up.weight"))
    rows = TensorRows(file, stored).at(slice(0, None))
    assert compared(file, stored, rows).ok
    wrong = compared(file, stored, rows[::-1])
    assert wrong.is_too_far
    assert not wrong.ok


def compared(file: _core.GgufFile, stored: _core.TensorInfo, rows: NDArray[np.float32]) -> TensorError:
    """A tensor against `rows` as its original."""
    comparison = TensorComparison(
        TensorRows(file, stored),
        name=stored.name,
        type=stored.type,
        shape=stored.shape,
        row_order=None,
        same_blocks=False,
        has_feedback=True,
    )
    comparison.add(0, np.ascontiguousarray(rows))
    return comparison.result()


def test_a_converted_file_loses_the_receipt_with_its_blocks(
    checkpoint: CheckpointOf, moments: MakeMoments, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    convert(checkpoint("bloom"), first, type="q8_0", optimize="fast", calibration=moments("bloom"))
    convert(first, second, type="q4_0")
    file = _core.GgufFile(str(second))
    assert not [key for key in file.keys() if key.startswith("belle.optimized.")]  # noqa: SIM118


def test_written_rows_are_the_files(checkpoint: CheckpointOf, tmp_path: Path) -> None:
    """What the divergence is measured with is what a reader of the file gets."""
    out = tmp_path / "out.gguf"
    convert(checkpoint("bloom"), out, type="q4_k_m")
    data, file = out.read_bytes(), _core.GgufFile(str(out))
    places = {tensor.name: tensor.offset for tensor in file.tensors()}
    matrices = [tensor for tensor in open_gguf(out, SourceOptions()).tensors if len(tensor.shape) == 2]
    kinds = {tensor.name: tensor.type for tensor in file.tensors()}
    planned = {
        tensor.name: PlannedTensor(MappedTensor(tensor.name, tensor), kinds[tensor.name], 0, tensor.n_bytes)
        for tensor in matrices
    }
    rows = WrittenRows(planned, places, lambda offset, n_bytes: data[offset : offset + n_bytes])
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(out).tensors}
    assert len(set(kinds.values())) > 2
    for tensor in matrices:
        expected = gguf.dequantize(stored[tensor.name].data, stored[tensor.name].tensor_type)
        np.testing.assert_array_equal(np.concatenate(list(rows.blocks(tensor.name))), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"optimize": "fast", "type": "f16"},
            r"\[optimize\] there is nothing to round: all matrices are floats .*\(f16\)",
        ),
        ({"optimize": "slow"}, r"\[optimize\] expected one of fast, best, got 'slow'"),
        ({"calibration": "x.txt"}, r"no such file: expected texts to calibrate on"),
        ({"target_size": "3 cows"}, r"\[target_size\]: expected bytes, as 1000000, '512MB'"),
        ({"target_size": "1GB", "type": "q4_0"}, r"\[target_size\] chooses the types: leave --type q4_0 out"),
        ({"target_size": "1GB", "pure": True}, r"leave --pure out"),
    ],
)
def test_what_is_impossible_is_said(
    settings: dict[str, Any], message: str, checkpoint: CheckpointOf, tmp_path: Path
) -> None:
    with pytest.raises(ConversionError, match=message):
        convert(checkpoint("bloom"), tmp_path / "out.gguf", **settings)
    assert list(tmp_path.glob("out*")) == []


def test_calibration_alone_is_an_error(checkpoint: CheckpointOf, texts: Path) -> None:
    with pytest.raises(ConversionError, match=r"\[calibration\] is of use beside optimize or target_size"):
        convert(checkpoint("bloom"), dry_run=True, calibration=texts)
    with pytest.raises(ConversionError, match=r"no such file"):
        Optimization(calibration=("nothing.txt",))


def test_moments_of_another_model_are_refused(
    checkpoint: CheckpointOf, moments: MakeMoments, texts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.gguf"
    with pytest.raises(ConversionError, match=r"was computed with another model \(drawn\)"):
        convert(checkpoint("bloom"), out, type="q4_0", optimize="fast", calibration=moments("llama"))
    with pytest.raises(ConversionError, match=r"has moments: give it alone"):
        convert(checkpoint("bloom"), out, optimize="fast", calibration=[texts, moments("bloom")])
    assert not out.exists()


def test_info_and_the_report_say_it_in_words(
    checkpoint: CheckpointOf, moments: MakeMoments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from belle_edge.cli.main import main

    out, given = tmp_path / "out.gguf", moments("bloom")
    arguments = ["convert", str(checkpoint("bloom")), "-o", str(out), "--type", "q4_0", "--optimize"]
    assert main([*arguments, "--calibration", str(given)]) == 0
    report = capsys.readouterr().out
    assert main(["info", str(out)]) == 0
    info = capsys.readouterr().out
    for text in (report, info):
        (line,) = (line for line in text.splitlines() if line.startswith("optimized"))
        assert "fast (error feedback); 700 tokens of drawn.jsonl; errors are 0." in line
        assert "divergence from the float model" in line
    assert main(["info", str(out), "--json"]) == 0
    receipt = json.loads(capsys.readouterr().out)["optimized"]
    assert receipt["effort"] == "fast"
    assert math.isclose(receipt["error_ratio"], float(f"{receipt['error_ratio']:.4g}"), rel_tol=1e-6)
