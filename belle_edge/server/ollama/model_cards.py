"""Models as Ollama's interface describes them."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any

from ..served_models import ServedModel

_LONGEST = 500  # characters of a metadata value that is shown


def listed(model: ServedModel) -> dict[str, Any]:
    """An entry of /api/tags."""
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": modified_at(model),
        "size": model.file.size_bytes,
        "digest": "",  # files here go by their names
        "details": details(model),
    }


def running(model: ServedModel) -> dict[str, Any]:
    """An entry of /api/ps."""
    assert model.belle is not None
    if model.expires_at is not None:
        expires = datetime.fromtimestamp(model.expires_at, timezone.utc).isoformat()
    else:
        expires = "9999-12-31T00:00:00+00:00"
    return {
        "name": model.name,
        "model": model.name,
        "size": int(model.belle.details.get("weight_bytes", model.file.size_bytes)),
        "size_vram": 0,
        "digest": "",
        "details": details(model),
        "expires_at": expires,
        "context_length": model.belle.context,
    }


def shown(model: ServedModel) -> dict[str, Any]:
    """The answer of /api/show."""
    from ...text.chat_format import ChatFormat

    chat = ChatFormat.of_file(model.file) if model.belle is None else model.belle.chat_format
    parameters = [f"{name} {value:g}" for name, value in chat.preset.items()]
    parameters += [f'stop "{text}"'.replace("\n", "\\n") for text in chat.stop_strings]
    licence = model.file.get("general.license")
    return {
        "modelfile": "",
        "parameters": "\n".join(parameters),
        "template": chat.template or "",
        "license": licence if isinstance(licence, str) else "",
        "details": details(model),
        "model_info": _metadata(model),
        "capabilities": ["completion"],
        "modified_at": modified_at(model),
    }


def details(model: ServedModel) -> dict[str, Any]:
    """Architecture, size and types."""
    architecture = str(model.file.get("general.architecture", "unknown"))
    n_weights = sum(math.prod(tensor.shape) for tensor in model.file.tensors())
    return {
        "parent_model": "",
        "format": "gguf",
        "family": architecture,
        "families": [architecture],
        "parameter_size": f"{n_weights / 1e9:.1f}B" if n_weights >= 1e9 else f"{n_weights / 1e6:.1f}M",
        "quantization_level": _file_type(model),
    }


def modified_at(model: ServedModel) -> str:
    """When the file was written; the epoch where it is gone."""
    try:
        seconds = model.path.stat().st_mtime
    except OSError:
        seconds = 0.0
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def _file_type(model: ServedModel) -> str:
    """As llama.cpp calls it: Q4_0, Q4_K_M, …"""
    from gguf import LlamaFileType

    number = model.file.get("general.file_type")
    names = {int(kind): kind.name for kind in LlamaFileType}
    name = names.get(number, "unknown") if isinstance(number, int) else "unknown"
    return name.removeprefix("ALL_").removeprefix("MOSTLY_")


def _metadata(model: ServedModel) -> dict[str, Any]:
    """Numbers and short texts of the file; no lists, which hold the vocabulary, and no hashes."""
    architecture = model.file.get("general.architecture")
    wanted = ("tokenizer.ggml.", "general.", f"{architecture}.")
    keys = [key for key in model.file.keys() if key.startswith(wanted)]  # noqa: SIM118
    values = {key: model.file[key] for key in keys if not model.file.array_length(key)}
    return {key: value for key, value in values.items() if _fits_json(value)}


def _fits_json(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (bool, int, str)) and len(str(value)) <= _LONGEST
