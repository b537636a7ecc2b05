"""How a GPTQ checkpoint stores its zeros is told by the user, the configuration, or the numbers; or it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from belle_edge.convert import convert
from belle_edge.errors import ConversionError

from .gptq_files import (
    Recipe,
    check_values,
    copy_metadata,
    make_packed,
    mapped,
    pack_checkpoint,
    read_checkpoint,
    read_gguf,
    write_checkpoint,
)


@pytest.mark.slow
@pytest.mark.parametrize("plain_zeros", [False, True], ids=["minus-one", "plain"])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group_size", [32, 128])
@pytest.mark.parametrize("model", ["bloom", "belle-tiny-zh-outliers"])
def test_zeros_are_told_apart_in_trained_models(
    checkpoint: Callable[[str], Path],
    tmp_path: Path,
    model: str,
    group_size: int,
    bits: int,
    plain_zeros: bool,
) -> None:
    source = checkpoint(model)
    tensors = {
        name: array for name, array in read_checkpoint(source).items() if ".h." not in name or ".h.1." in name
    }
    tensors = {name.replace(".h.1.", ".h.0."): array for name, array in tensors.items()}
    packed = pack_checkpoint(tensors, Recipe(bits=bits, group_size=group_size, plain_zeros=plain_zeros))
    copy_metadata(source, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_layer": 1}))
    write_checkpoint(tmp_path, packed.stored)
    convert(tmp_path, tmp_path / "out.gguf")
    found = gguf.GGUFReader(tmp_path / "out.gguf").get_field("belle.source.gptq.zeros")
    assert found is not None
    assert found.contents() == ("plain" if plain_zeros else "minus-one")


def test_zeros_that_nothing_explains(make_llama: Any, tmp_path: Path) -> None:
    """Codes half a step away from both conventions: refused, but for a file of the time when there was only one."""
    folder, shifted = make_packed(make_llama, tmp_path, Recipe(bits=8, zero_shift=-0.5, g_idx=True))
    write_checkpoint(folder, shifted.stored)
    with pytest.raises(
        ConversionError, match=r"cannot tell how GPTQ's zeros.*--gptq-zeros minus-one or plain"
    ):
        convert(folder, tmp_path / "out.gguf")
    without = {name: array for name, array in shifted.stored.items() if not name.endswith(".g_idx")}
    write_checkpoint(folder, without)
    report = convert(folder, tmp_path / "out.gguf", type="f32")
    assert any("stored less one" in warning for warning in report.warnings)
    check_values(tmp_path / "out.gguf", mapped(shifted.values, "llama"))


def test_zeros_of_both_kinds_are_refused(make_llama: Any, tmp_path: Path) -> None:
    folder, old = make_packed(make_llama, tmp_path, Recipe(g_idx=True))
    new = pack_checkpoint(read_checkpoint(tmp_path / "source"), Recipe(plain_zeros=True, g_idx=True))
    write_checkpoint(folder, {name: (new if ".0." in name else old).stored[name] for name in old.stored})
    with pytest.raises(ConversionError, match="cannot tell"):
        convert(folder, tmp_path / "out.gguf")
    convert(folder, tmp_path / "out.gguf", gptq_zeros="plain")
    with pytest.raises(ConversionError, match="expected minus-one or plain"):
        convert(folder, tmp_path / "other.gguf", gptq_zeros="v2")


def test_a_few_values_are_no_evidence(make_llama: Any, tmp_path: Path) -> None:
    shape = {"hidden_size": 8, "num_attention_heads": 1, "num_key_value_heads": 1, "intermediate_size": 8}
    recipe = Recipe(group_size=8, g_idx=True, plain_zeros=True)
    folder, packed = make_packed(make_llama, tmp_path, recipe, num_hidden_layers=1, **shape)
    write_checkpoint(folder, packed.stored)
    with pytest.raises(ConversionError, match="cannot tell"):
        convert(folder, tmp_path / "out.gguf")


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(plain_zeros=True), Recipe(symmetric=True)], ids=str)
def test_the_configuration_and_the_user_decide(make_llama: Any, tmp_path: Path, recipe: Recipe) -> None:
    """Each against what the numbers say: only then is it seen who decided."""
    folder, packed = make_packed(make_llama, tmp_path, recipe)
    write_checkpoint(folder, packed.stored)
    wrong, right = ("gptq", "gptq_v2") if recipe.plain_zeros else ("gptq_v2", "gptq")
    expected = mapped(packed.in_blocks, "llama")["blk.0.ffn_up.weight"]

    def found(**options: Any) -> bool:
        convert(folder, tmp_path / "out.gguf", force=True, **options)
        return np.array_equal(read_gguf(tmp_path / "out.gguf")["blk.0.ffn_up.weight"][1], expected)

    assert found()
    (folder / "quantize_config.json").write_text(json.dumps({"checkpoint_format": wrong}))
    assert not found()
    doubted = any("was followed" in text for text in convert(folder, dry_run=True).warnings)
    assert doubted == recipe.symmetric
    assert found(gptq_zeros="plain" if recipe.plain_zeros else "minus-one")
    config = json.loads((folder / "config.json").read_text())
    settings = {"quant_method": "gptq", "bits": 4, "checkpoint_format": right}
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    assert found()
    (folder / "quantize_config.json").write_text(json.dumps({"checkpoint_format": "marlin"}))
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConversionError, match=r"checkpoint_format 'marlin'.*gptq_v2"):
        found()


def test_a_zero_of_0_that_wrapped(make_llama: Any, tmp_path: Path) -> None:
    """Groups without a negative value have zero 0, stored as 15 in the old convention."""
    source = make_llama("source")
    tensors = read_checkpoint(source)
    name = "model.layers.0.mlp.up_proj.weight"
    tensors[name][:40] = np.abs(tensors[name][:40])
    packed = pack_checkpoint(tensors, Recipe())
    copy_metadata(source, tmp_path / "packed")
    write_checkpoint(tmp_path / "packed", packed.stored)
    convert(tmp_path / "packed", tmp_path / "out.gguf")
    check_values(tmp_path / "out.gguf", mapped(packed.in_blocks, "llama"))
