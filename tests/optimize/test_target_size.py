"""`convert(target_size=…)`: never larger, better than one type for all, and the plan is what a run does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from belle_edge.convert import TypeRules, convert
from belle_edge.convert.optimize.layer_table import ranges
from belle_edge.errors import ConversionError

CheckpointOf = Callable[[str], Path]


def test_never_larger_and_the_plan_is_what_a_run_does(
    checkpoint: CheckpointOf, moments: Callable[..., Path], tmp_path: Path
) -> None:
    source, given = checkpoint("bloom"), moments("bloom")
    sizes = []
    for target in ("2.3MB", 2_800_000, "1GB"):
        out = tmp_path / "out.gguf"
        plan = convert(source, dry_run=True, target_size=target, calibration=given)
        report = convert(source, out, target_size=target, calibration=given, force=True)
        assert plan.tensors == report.tensors
        assert plan.output_bytes == report.output_bytes == out.stat().st_size
        sizes.append(report.output_bytes)
    assert sizes == sorted(sizes)
    for size, most in zip(sizes, (2_300_000, 2_800_000), strict=False):
        assert 0.95 * most < size <= most
    assert {tensor.type for tensor in report.tensors if len(tensor.shape) == 2} == {"q8_0"}


def test_better_than_one_mix_of_its_size(
    checkpoint: CheckpointOf, calibrated: Callable[[str], Path], tmp_path: Path
) -> None:
    source, given = checkpoint("bloom"), calibrated("bloom")
    mix = convert(source, tmp_path / "mix.gguf", type="q4_k_m", optimize="fast", calibration=given)
    sized = convert(
        source, tmp_path / "sized.gguf", target_size=mix.output_bytes, optimize="fast", calibration=given
    )
    assert sized.output_bytes <= mix.output_bytes
    assert len({tensor.type for tensor in sized.tensors if len(tensor.shape) == 2}) > 1
    assert mix.optimized is not None
    assert sized.optimized is not None
    assert sized.optimized["divergence"] < mix.optimized["divergence"]
    assert sized.optimized["target_bytes"] == str(mix.output_bytes)


def test_an_impossible_size_says_the_smallest(checkpoint: CheckpointOf, moments: Callable[..., Path]) -> None:
    source, given = checkpoint("bloom"), moments("bloom")
    with pytest.raises(
        ConversionError, match=r"1,000,000 bytes: the smallest possible file of this model has"
    ) as caught:
        convert(source, dry_run=True, target_size="1MB", calibration=given)
    smallest = int(str(caught.value).rsplit(" ", 1)[1].replace(",", ""))
    assert convert(source, dry_run=True, target_size=smallest, calibration=given).output_bytes == smallest
    with pytest.raises(ConversionError, match=f"has {smallest:,}"):
        convert(source, dry_run=True, target_size=smallest - 1, calibration=given)


def test_given_types_stay(checkpoint: CheckpointOf, moments: Callable[..., Path]) -> None:
    rules = TypeRules(tensor_type=["blk.0.ffn_up=q8_0"], head_type="q5_0")
    report = convert(
        checkpoint("bloom"), dry_run=True, type=rules, target_size="2.6MB", calibration=moments("bloom")
    )
    types = {tensor.name: tensor.type for tensor in report.tensors}
    assert types["blk.0.ffn_up.weight"] == "q8_0"
    assert types["token_embd.weight"] == "q5_0"
    assert report.output_bytes <= 2_600_000


def test_the_plan_is_shown_layer_by_layer(
    checkpoint: CheckpointOf, moments: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    from belle_edge.cli.main import main

    given = str(moments("bloom"))
    arguments = ["convert", str(checkpoint("bloom")), "--dry-run", "--target-size", "2.6MB"]
    assert main([*arguments, "--calibration", given]) == 0
    shown = capsys.readouterr().out
    assert "types by layer" in shown
    assert "attn_qkv" in shown
    assert "types chosen for 2600000 bytes" in shown


def test_ranges_of_layers() -> None:
    assert ranges([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"
    assert ranges([3]) == "3"
