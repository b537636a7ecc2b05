"""One file per architecture: configuration → metadata, tensor names, row orders. `read_model` picks one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from belle_edge.convert.architectures import bloom, llama
from belle_edge.convert.architectures.mapped_model import MappedModel
from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.errors import ConversionError, excerpt

_Reader = Callable[[Mapping[str, Any], Mapping[str, SourceTensor]], MappedModel]
_READERS: dict[str, _Reader] = {name: module.read for module in (bloom, llama) for name in module.NAMES}


def read_model(config: Mapping[str, Any], tensors: Mapping[str, SourceTensor]) -> MappedModel:
    """Map a checkpoint by the architecture its config names; ConversionError for an unsupported one."""
    named = config.get("architectures") or []
    named = named if isinstance(named, list) else [named]
    candidates = [str(name) for name in (*named, config.get("model_type")) if name is not None]
    known = [name for name in candidates if name in _READERS]
    if not known or (named and candidates[0] not in _READERS):
        found = excerpt(candidates[0]) if candidates else "nothing"
        raise ConversionError(
            f"[config.json] architecture {found}: this converter reads BLOOM (BloomForCausalLM) and LLaMA"
            " (LlamaForCausalLM);"
            " for others use llama.cpp's convert_hf_to_gguf.py"
        )
    return _READERS[known[0]](config, tensors)
