"""Makes PEFT adapters and the models that they should lead to, for the tests of merging."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROJECTIONS = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)
Factors = tuple[Any, Any]


def load_state(folder: Path) -> dict[str, Any]:
    """The tensors of a checkpoint, in float32."""
    from safetensors.torch import load_file

    return {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}


def llama_modules(folder: Path, parts: tuple[str, ...] = PROJECTIONS) -> list[str]:
    n_layers = json.loads((folder / "config.json").read_text())["num_hidden_layers"]
    return [f"model.layers.{layer}.{part}" for layer in range(n_layers) for part in parts]


def random_factors(folder: Path, modules: list[str], *, rank: int = 4, seed: int = 0) -> dict[str, Factors]:
    """(A [rank, n_in], B [n_out, rank]) for each module, of the size of the weights that they change."""
    import torch

    torch.manual_seed(seed)
    state = load_state(folder)
    pairs = {}
    for module in modules:
        weight = state[f"{module}.weight"]
        spread = float(weight.std()) / rank**0.5
        pairs[module] = (
            torch.randn(rank, weight.shape[1]) * spread,
            torch.randn(weight.shape[0], rank) * 0.5,
        )
    return pairs


def write_adapter(
    folder: Path,
    pairs: Mapping[str, Factors],
    *,
    others: Mapping[str, Any] | None = None,
    file: str = "adapter_model.safetensors",
    names: tuple[str, str] = ("base_model.model.{}.lora_A.weight", "base_model.model.{}.lora_B.weight"),
    **config: Any,
) -> Path:
    """An adapter as PEFT saves it; `others`: further tensors under their full names."""
    import torch
    from safetensors.torch import save_file

    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        name.format(module): pair[side] for module, pair in pairs.items() for side, name in enumerate(names)
    }
    state = {name: tensor.contiguous() for name, tensor in {**state, **(others or {})}.items()}
    save_file(state, path) if file.endswith(".safetensors") else torch.save(state, path)
    write_config(folder, **config)
    return folder


def write_config(folder: Path, **config: Any) -> None:
    """adapter_config.json with the settings of BELLE's adapters but a rank of 4; None leaves a key out."""
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "someone/base",
        "r": 4,
        "lora_alpha": 8,
        "lora_dropout": 0.05,
        "bias": "none",
        "fan_in_fan_out": False,
        "enable_lora": None,
        "modules_to_save": None,
        **config,
    }
    kept = {key: value for key, value in settings.items() if value is not None}
    (folder / "adapter_config.json").write_text(json.dumps(kept))


def changed(folder: Path, target: Path, changes: Mapping[str, Any], **config: Any) -> Path:
    """A copy of a checkpoint in float32 with some tensors changed."""
    from safetensors.torch import save_file

    target.mkdir()
    for path in folder.iterdir():
        if path.suffix != ".safetensors":
            shutil.copyfile(path, target / path.name)
    state = {name: tensor.contiguous().clone() for name, tensor in {**load_state(folder), **changes}.items()}
    save_file(state, target / "model.safetensors", metadata={"format": "pt"})
    values = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**values, "dtype": "float32", **config}))
    return target


def with_deltas(folder: Path, pairs: Mapping[str, Factors], scale: float) -> dict[str, Any]:
    """weight name → W + scale · B·A."""
    state = load_state(folder)
    return {
        f"{module}.weight": state[f"{module}.weight"] + scale * (b @ a) for module, (a, b) in pairs.items()
    }


def tensors_of(path: Path) -> dict[str, NDArray[np.float32]]:
    from gguf import GGUFReader

    return {tensor.name: np.array(tensor.data) for tensor in GGUFReader(path).tensors}


def metadata_of(path: Path) -> dict[str, Any]:
    from belle_edge import _core

    file = _core.GgufFile(str(path))
    keys = file.keys()
    return {key: file[key] for key in keys if key.startswith(("belle.source", "llama.", "bloom."))}
