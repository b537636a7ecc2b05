"""What the engine sees: this machine, or the contents of a GGUF file, as plain data."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from .notice import licence_text

if TYPE_CHECKING:
    from .._core import GgufFile


def describe_machine() -> dict[str, Any]:
    """Version, processor, instruction-set tiers, memory."""
    from .. import _core

    return {
        "version": __version__,
        "cpu": _core.cpu_info(),
        "isa": _core.default_isa(),
        "tiers": _core.isa_tiers(),
        "available_memory": _available(),
    }


def describe_file(path: Path, *, context: int | None = None, kv: str = "auto") -> dict[str, Any]:
    """What a GGUF file holds and what it needs with `context` tokens; no weight is loaded.

    Raises OSError or ModelFormatError, and ValueError for a folder.
    """
    from ..convert.stored_mix import stored_mix
    from ..text.chat_format import ChatFormat

    file = open_file(path)
    architecture = str(file.get("general.architecture", "unknown"))
    types = _types(file)
    n_weights = sum(entry["weights"] for entry in types.values())
    n_bytes = sum(entry["bytes"] for entry in types.values())
    chat = ChatFormat.from_metadata(file)
    shape = _shape(file, architecture)
    trained = shape["context_length"]
    if context is not None and isinstance(trained, int) and context > trained:
        raise ValueError(f"context: expected 1 to {trained} tokens (the model's own), got {context}")
    memory = _memory(file, context, kv)
    native = _native_engine(file)
    return {
        "file": path.name,
        "size_bytes": file.size_bytes,
        "gguf_version": file.version,
        "name": file.get("general.name"),
        "architecture": architecture,
        "checksums": file.checksums,
        "rewritten": file.rewritten,
        "parts": [Path(part).name for part in file.parts],
        "native": native,
        "shape": shape,
        "weights": n_weights,
        "file_type": _file_type(file),
        "mix": stored_mix(file),
        "mixed": len({tensor.type for tensor in file.tensors() if len(tensor.shape) > 1}) > 1,
        "optimized": _receipt(file),
        "bits_per_weight": round(8 * n_bytes / n_weights, 3) if n_weights else 0.0,
        "types": types,
        "tokenizer": _tokenizer(file),
        "family": chat.family,
        "has_chat_template": chat.template is not None,
        "chat_template": chat.template,
        "stop_strings": list(chat.stop_strings),
        "preset": dict(chat.preset),
        "license": licence_text(file),
        "kv_cache": {
            "type": memory["kv_type"],
            "bytes_per_token": memory["kv_bytes_per_token"],
            "tokens": memory["context"],
            "bytes": memory["kv"],
        },
        "memory": memory,
    }


def _native_engine(file: GgufFile) -> dict[str, Any]:
    """Whether the native engine runs the file, and where not, why: as loading would say."""
    from ..errors import BelleError
    from ..text.vocabulary import check_model, pre_tokenizer_of

    try:
        file.check_supported()
        if check_model(file) == "gpt2":
            pre_tokenizer_of(file)
    except BelleError as error:
        return {"runs": False, "reason": str(error).removeprefix(f"{file.path}: ")}
    return {"runs": True, "reason": None}


def open_file(path: Path) -> GgufFile:
    """The header of a GGUF file, its checksum verified if it has one.

    Raises OSError or ModelFormatError, and ValueError for a folder.
    """
    from .. import _core

    if path.is_dir():
        raise ValueError(f"{path} is a folder: info describes a GGUF file, or this machine without one")
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    return _core.GgufFile(str(path))


def provenance(file: GgufFile) -> dict[str, str]:
    """The short texts under general.* and belle.*, without the checksums: where the model comes from."""
    from .._core import CHECKSUM_KEYS, ENTRY_HASHES_KEY

    hashes = (*CHECKSUM_KEYS, ENTRY_HASHES_KEY)
    names = [name for name in file.keys() if name not in hashes]  # noqa: SIM118
    return {name: _short(file[name]) for name in names if name.startswith(("general.", "belle."))}


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def _file_type(file: GgufFile) -> str | None:
    """What llama.cpp calls a file of such types: q4_0, q4_k_m, …; None where the file does not say."""
    from gguf import LlamaFileType

    number = file.get("general.file_type")
    names = {int(kind): kind.name for kind in LlamaFileType}
    name = names.get(number) if isinstance(number, int) else None
    return name.removeprefix("ALL_").removeprefix("MOSTLY_").lower() if name is not None else None


def _receipt(file: GgufFile) -> dict[str, Any] | None:
    """How its rows were rounded, where that was optimized."""
    from ..convert.optimize.receipt import PREFIX, receipt_of

    return receipt_of({key: file[key] for key in file.keys() if key.startswith(PREFIX)})  # noqa: SIM118


def _types(file: GgufFile) -> dict[str, dict[str, int]]:
    """Tensor type -> number of tensors, weights and bytes."""
    table: dict[str, dict[str, int]] = defaultdict(lambda: {"tensors": 0, "weights": 0, "bytes": 0})
    for tensor in file.tensors():
        entry = table[tensor.type]
        entry["tensors"] += 1
        entry["weights"] += math.prod(tensor.shape)
        entry["bytes"] += tensor.n_bytes
    return dict(table)


def _shape(file: GgufFile, architecture: str) -> dict[str, Any]:
    keys = {
        "n_layers": "block_count",
        "hidden_size": "embedding_length",
        "n_heads": "attention.head_count",
        "n_kv_heads": "attention.head_count_kv",
        "feed_forward_size": "feed_forward_length",
        "context_length": "context_length",
    }
    shape = {name: file.get(f"{architecture}.{key}") for name, key in keys.items()}
    if shape["n_kv_heads"] is None:
        shape["n_kv_heads"] = shape["n_heads"]
    n_vocab = file.array_length("tokenizer.ggml.tokens") if "tokenizer.ggml.tokens" in file else None
    return {**shape, "vocab_size": n_vocab}


def _tokenizer(file: GgufFile) -> dict[str, Any]:
    keys = ("model", "pre", "bos_token_id", "eos_token_id", "add_bos_token", "add_eos_token")
    return {key: file.get(f"tokenizer.ggml.{key}") for key in keys}


def _memory(file: GgufFile, context: int | None, kv: str) -> dict[str, Any]:
    from ..memory import required_memory

    needed = required_memory(file, context=context, kv=kv)
    return {
        "context": needed.context,
        "weights": needed.weights,
        "kv": needed.kv,
        "kv_type": needed.kv_type,
        "kv_bytes_per_token": needed.kv_bytes_per_token,
        "activations": needed.activations,
        "tokenizer": needed.tokenizer,
        "total": needed.total,
        "available": _available(),
    }


def _available() -> dict[str, Any] | None:
    """What this process may still use, and the limit that says so."""
    from ..memory import available_address_space, available_memory

    limits = [limit for limit in (available_memory(), available_address_space()) if limit is not None]
    smallest = min(limits, key=lambda limit: limit.n_bytes, default=None)
    return {"bytes": smallest.n_bytes, "limit": smallest.limit} if smallest is not None else None
