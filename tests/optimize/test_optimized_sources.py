"""Optimized conversions of every published form, and other programs that read what they write."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge import _core
from belle_edge.convert import convert
from belle_edge.convert.sources import key_file
from belle_edge.errors import ConversionError

from ..convert.adapters import llama_modules, random_factors, write_adapter
from ..convert.encryption import SMALL_WINDOW, encrypt_folder, random_bytes
from ..convert.gptq_files import Recipe, copy_metadata, pack_checkpoint, read_checkpoint, write_checkpoint
from ..convert.test_encrypted import rewrite_weights
from ..convert.test_llama_cpp import llama_cpp_logits
from ..convert.test_meta import write_meta
from .test_optimized_conversions import tensors_in

CheckpointOf = Callable[[str], Path]


def writable_copy(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target, copy_function=shutil.copyfile)
    for path in (target, *target.iterdir()):
        path.chmod(0o755)
    return target


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*the key has")
def test_shards_and_encrypted_shards_give_the_same_blocks(
    checkpoint: CheckpointOf, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_file, "WINDOW_BYTES", SMALL_WINDOW)
    key = tmp_path / "consolidated.00.pth"
    key.write_bytes(random_bytes(3 * SMALL_WINDOW + 777))
    shards = writable_copy(checkpoint("bloom"), tmp_path / "shards")
    rewrite_weights(shards, "fp16 shards")
    hidden = encrypt_folder(shards, tmp_path / "hidden", key.read_bytes(), window=SMALL_WINDOW)
    settings: dict[str, Any] = {"type": "q4_k_m", "optimize": "fast", "calibration": texts, "family": "belle"}
    convert(checkpoint("bloom"), tmp_path / "plain.gguf", **settings)
    convert(shards, tmp_path / "shards.gguf", **settings)
    convert(hidden, tmp_path / "hidden.gguf", key=key, **settings)
    expected = tensors_in(tmp_path / "plain.gguf")
    assert tensors_in(tmp_path / "shards.gguf") == expected
    assert tensors_in(tmp_path / "hidden.gguf") == expected


@pytest.mark.slow
def test_metas_files_give_the_same_blocks(checkpoint: CheckpointOf, texts: Path, tmp_path: Path) -> None:
    """Their query and key rows lie in another order."""
    meta = write_meta(checkpoint("llama"), tmp_path / "meta", shards=2)
    settings: dict[str, Any] = {"type": "q4_0", "optimize": "best", "calibration": texts}
    convert(checkpoint("llama"), tmp_path / "plain.gguf", **settings)
    convert(meta, tmp_path / "meta.gguf", **settings)
    assert tensors_in(tmp_path / "meta.gguf") == tensors_in(tmp_path / "plain.gguf")


@pytest.mark.slow
def test_a_merged_adapter(checkpoint: CheckpointOf, texts: Path, tmp_path: Path) -> None:
    """The moments are the merged model's: those of its base are another model's."""
    base = checkpoint("llama")
    modules = llama_modules(base, ("self_attn.q_proj", "mlp.up_proj"))
    adapter = write_adapter(tmp_path / "adapter", random_factors(base, modules))
    settings: dict[str, Any] = {"type": "q4_0", "optimize": "fast", "lora": adapter}
    report = convert(base, tmp_path / "merged.gguf", calibration=texts, **settings)
    assert report.optimized is not None
    assert report.optimized["error_ratio"] < 0.9
    from .moments_files import write_moments

    of_base = write_moments(base, tmp_path / "base.moments")
    with pytest.raises(ConversionError, match="was computed with another model"):
        convert(base, tmp_path / "refused.gguf", calibration=of_base, **settings)


@pytest.mark.slow
def test_blocks_of_the_source_stay(checkpoint: CheckpointOf, texts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gptq"
    copy_metadata(checkpoint("bloom"), folder)
    packed = pack_checkpoint(read_checkpoint(checkpoint("bloom")), Recipe(group_size=128)).stored
    write_checkpoint(folder, packed, "bloom7b-2m-4bit-128g.pt")
    with pytest.raises(
        ConversionError, match=r"nothing to round: all matrices are floats or keep .* \(f16, q4_1\)"
    ):
        convert(folder, tmp_path / "out.gguf", optimize="fast", calibration=texts)
    convert(folder, tmp_path / "plain.gguf", head_type="q4_0")
    report = convert(folder, tmp_path / "out.gguf", head_type="q4_0", optimize="fast", calibration=texts)
    plain, optimized = tensors_in(tmp_path / "plain.gguf"), tensors_in(tmp_path / "out.gguf")
    assert {name for name in plain if plain[name] != optimized[name]} == {"token_embd.weight"}
    assert report.optimized is not None
    assert report.optimized["divergence"] < report.optimized["divergence_nearest"]


def test_a_smaller_vocabulary_takes_the_same_moments(
    checkpoint: CheckpointOf, moments: Callable[..., Path], tmp_path: Path
) -> None:
    source, given = checkpoint("bloom"), moments("bloom")
    settings: dict[str, Any] = {"type": "q4_0", "optimize": "fast", "calibration": given}
    convert(source, tmp_path / "whole.gguf", **settings)
    report = convert(source, tmp_path / "small.gguf", vocab="en", **settings)
    whole, small = tensors_in(tmp_path / "whole.gguf"), tensors_in(tmp_path / "small.gguf")
    assert {name for name in whole if whole[name] != small[name]} == {"token_embd.weight"}
    assert len(small["token_embd.weight"]) < len(whole["token_embd.weight"])
    assert report.optimized is not None
    assert "divergence" not in report.optimized


def test_a_gguf_as_the_source(
    checkpoint: CheckpointOf,
    converted: Callable[[str, str], Path],
    moments: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """f16 gives the blocks of the checkpoint. q4_1's own blocks cost nothing: a size for them is spent on them."""
    given, settings = moments("bloom"), {"type": "q4_0", "optimize": "fast"}
    convert(checkpoint("bloom"), tmp_path / "one.gguf", calibration=given, **settings)  # type: ignore[arg-type]
    convert(converted("bloom", "f16"), tmp_path / "two.gguf", calibration=given, **settings)  # type: ignore[arg-type]
    assert tensors_in(tmp_path / "one.gguf") == tensors_in(tmp_path / "two.gguf")
    blocks = moments("bloom", like=converted("bloom", "q4_1"))
    report = convert(converted("bloom", "q4_1"), dry_run=True, target_size="3.3MB", calibration=blocks)
    assert report.output_bytes <= 3_300_000
    kinds = [
        tensor.type for tensor in report.tensors if tensor.name.startswith("blk.") and len(tensor.shape) == 2
    ]
    assert kinds.count("q4_1") == len(kinds)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["q4_0", "q5_1", "q3_k_m", "iq4_xs"])
def test_llama_cpp_computes_the_same(
    kind: str, checkpoint: CheckpointOf, moments: Callable[..., Path], tmp_path: Path, llama_cpp: Any
) -> None:
    """Within what the two engines' rounding of activations explains, as for files that are not optimized."""
    out, ids = tmp_path / "out.gguf", list(range(300, 340))
    convert(checkpoint("bloom"), out, type=kind, optimize="fast", calibration=moments("bloom"))
    model = _core.Model(str(out))
    expected = model.forward([(model.new_sequence(), ids)], logits="all")[0]
    found = llama_cpp_logits(out, ids)
    assert float(np.sqrt(((found - expected) ** 2).mean() / (expected**2).mean())) <= 6e-2
