"""`belle-edge info`: this machine as the engine sees it, or what a GGUF file holds."""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__

if TYPE_CHECKING:
    from .._core import GgufFile

_KV_BYTES = {"f16": 2, "f32": 4}  # per value


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "info",
        help="describe this machine, or a GGUF file",
        description="Without MODEL: version, processor, instruction sets. With MODEL: what the file holds.",
    )
    parser.add_argument("model", metavar="MODEL.gguf", type=Path, nargs="?")
    parser.add_argument("--context", type=int, metavar="N", help="state the cache's size for N tokens, too")
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.context is not None and args.context < 1:
        raise ValueError(f"--context: expected at least 1, got {args.context}")
    report = describe_machine() if args.model is None else describe_file(args.model, context=args.context)
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        print("\n".join(_machine_lines(report) if args.model is None else _file_lines(report)))
    return 0


def describe_machine() -> dict[str, Any]:
    """Version, processor and tiers."""
    from .. import _core

    return {
        "version": __version__,
        "cpu": _core.cpu_info(),
        "isa": _core.default_isa(),
        "tiers": _core.isa_tiers(),
    }


def describe_file(path: Path, *, context: int | None = None) -> dict[str, Any]:
    """What a GGUF file holds; no weight is loaded. Raises OSError or ModelFormatError."""
    from .. import _core
    from ..chat_format import ChatFormat

    if path.is_dir():
        raise ValueError(f"{path} is a folder: info describes a GGUF file, or this machine without one")
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    file = _core.GgufFile(str(path))
    architecture = str(file.get("general.architecture", "unknown"))
    types = _types(file)
    n_weights = sum(entry["weights"] for entry in types.values())
    n_bytes = sum(entry["bytes"] for entry in types.values())
    chat = ChatFormat.from_metadata(file)
    return {
        "file": path.name,
        "size_bytes": file.size_bytes,
        "gguf_version": file.version,
        "name": file.get("general.name"),
        "architecture": architecture,
        "shape": _shape(file, architecture),
        "weights": n_weights,
        "bits_per_weight": round(8 * n_bytes / n_weights, 3) if n_weights else 0.0,
        "types": types,
        "tokenizer": _tokenizer(file),
        "family": chat.family,
        "has_chat_template": chat.template is not None,
        "stop_strings": list(chat.stop_strings),
        "preset": dict(chat.preset),
        "license": file.get("general.license") or file.get("general.license.name"),
        "kv_cache": _kv_cache(file, architecture, types, context),
    }


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
    return {**shape, "vocab_size": file.array_length("tokenizer.ggml.tokens") if _has_tokens(file) else None}


def _has_tokens(file: GgufFile) -> bool:
    return "tokenizer.ggml.tokens" in file


def _tokenizer(file: GgufFile) -> dict[str, Any]:
    keys = ("model", "pre", "bos_token_id", "eos_token_id", "add_bos_token", "add_eos_token")
    return {key: file.get(f"tokenizer.ggml.{key}") for key in keys}


def _kv_cache(
    file: GgufFile, architecture: str, types: dict[str, dict[str, int]], context: int | None
) -> dict[str, Any] | None:
    """Cache size with the type that "auto" chooses; None where the shapes are not plain numbers."""
    shape = _shape(file, architecture)
    numbers = [shape[name] for name in ("n_layers", "n_kv_heads", "n_heads", "hidden_size", "context_length")]
    if not all(isinstance(number, int) and number > 0 for number in numbers):
        return None
    n_layers, n_kv_heads, n_heads, hidden_size, trained = numbers
    key_dim = file.get(f"{architecture}.attention.key_length") or hidden_size // n_heads
    value_dim = file.get(f"{architecture}.attention.value_length") or key_dim
    kv_type = "f32" if types.keys() <= {"f32", "f16", "bf16"} else "f16"
    bytes_per_token = n_layers * n_kv_heads * (key_dim + value_dim) * _KV_BYTES[kv_type]
    n_tokens = context or trained
    return {
        "type": kv_type,
        "bytes_per_token": bytes_per_token,
        "tokens": n_tokens,
        "bytes": bytes_per_token * n_tokens,
    }


def _machine_lines(report: dict[str, Any]) -> list[str]:
    cpu = report["cpu"]
    lines = [
        f"belle-edge {report['version']}",
        f"processor     {cpu['brand']} ({cpu['architecture']}), {cpu['usable_threads']} usable threads",
        f"features      {' '.join(cpu['features'])}",
        "tiers",
    ]
    for tier in report["tiers"]:
        if tier["name"] == report["isa"]:
            state = "active"
        elif tier["supported"]:
            state = "supported"
        elif not tier["compiled"]:
            state = "not compiled"
        else:
            state = f"lacks {' '.join(tier['missing_features'])}"
        lines.append(f"  {tier['name']:<12}{state}")
    return lines


def _file_lines(report: dict[str, Any]) -> list[str]:
    shape, tokenizer, kv = report["shape"], report["tokenizer"], report["kv_cache"]
    preset = ", ".join(f"{key} {value:g}" for key, value in report["preset"].items())
    lines = [
        f"{report['file']}  {size_text(report['size_bytes'])}, GGUF v{report['gguf_version']}",
        f"model         {report['name'] or '(no name)'}",
        f"architecture  {report['architecture']}",
        "shape         " + ", ".join(f"{key} {value}" for key, value in shape.items() if value is not None),
        f"weights       {report['weights']:,} at {report['bits_per_weight']:.2f} bits",
    ]
    for name, entry in sorted(report["types"].items(), key=lambda item: -item[1]["bytes"]):
        lines.append(f"  {name:<10}{entry['tensors']:>5} tensors {size_text(entry['bytes']):>12}")
    lines += [
        "tokenizer     "
        + ", ".join(f"{key} {value}" for key, value in tokenizer.items() if value is not None),
        f"prompts       {report['family'] or 'own' if report['has_chat_template'] else 'no'} template, "
        f"stops {json.dumps(['EOS', *report['stop_strings']], ensure_ascii=False)}",
        f"sampling      {preset or 'no preset'}",
        f"licence       {report['license'] or 'not stated'}",
    ]
    if kv is not None:
        lines.append(
            f"kv cache      {kv['type']}, {size_text(kv['bytes_per_token'])} per token, "
            f"{size_text(kv['bytes'])} for {kv['tokens']} tokens"
        )
    return lines


def size_text(n_bytes: float) -> str:
    """Bytes for people: 1.5 MiB."""
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.2f} GiB"
