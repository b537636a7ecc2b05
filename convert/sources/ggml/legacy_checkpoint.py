"""A file from before GGUF as a checkpoint with Hugging Face's names and configuration.

Tensors have Meta's names; the rows of queries and keys lie in GGUF's order already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from belle_edge.convert.sources.byte_source import ByteSource
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.checkpoint_files import CheckpointFiles
from belle_edge.convert.sources.ggml.legacy_blocks import GgmlBlockTensor, GgmlFloatTensor
from belle_edge.convert.sources.ggml.legacy_file import (
    MAGIC_BYTES,
    GgmlEntry,
    GgmlFile,
    GgmlHeader,
    has_ggml_magic,
    read_ggml,
)
from belle_edge.convert.sources.ggml.legacy_vocabulary import read_vocabulary
from belle_edge.convert.sources.hf_layout import has_weights
from belle_edge.convert.sources.meta_layout import hf_name
from belle_edge.convert.sources.rotary_rows import rotary_row_order
from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.convert.sources.tokenizer_folder import WithoutTokenizer, read_config
from belle_edge.errors import ConversionError

_EMBEDDING, _KEYS = "model.embed_tokens.weight", "model.layers.0.self_attn.k_proj.weight"
_GATE = "model.layers.0.mlp.gate_proj.weight"
_ASSUMED: Mapping[str, Any] = {  # what the first LLaMA has
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
}


def ggml_file_in(files: CheckpointFiles, only: str | None = None) -> str | None:
    """The name of the file to open as one from before GGUF: `only`, or the one such .bin of a folder without others.

    ConversionError where there are several.
    """
    if only is not None:
        return only if _is_ggml(files, only) else None
    if has_weights(files):
        return None
    names = [name for name in files.names() if name.endswith(".bin") and _is_ggml(files, name)]
    if len(names) > 1:
        raise ConversionError(
            f"[{files.name}] {len(names)} files of weights: {', '.join(names)}; give the one to convert as SRC"
        )
    return names[0] if names else None


def open_ggml(
    files: CheckpointFiles,
    name: str,
    *,
    config_files: CheckpointFiles | None = None,
    vocabulary: bool = True,
) -> Checkpoint:
    """Open the file `name`. ConversionError for damage, and for what is not one whole LLaMA.

    config_files: where to look for config.json, which the file has too little to stand for; None: `files`.
    vocabulary: whether to read the one in the file.
    """
    if f"{name}.1" in files.names():
        raise _one_of_several(name)
    source = files.open(name)
    file = read_ggml(source)
    weights = _weights(source, file)
    config, warning = _config(name, file.header, weights, read_config(config_files or files) or {})
    warnings = [warning, *_rounding(file)]
    return Checkpoint(
        files=WithoutTokenizer(files),
        config=config,
        weights=weights,
        weight_files=[source],
        provenance={"belle.source.ggml.format": file.format.name},
        warnings=tuple(text for text in warnings if text),
        vocabulary=read_vocabulary(name, file) if vocabulary else None,
    )


def _is_ggml(files: CheckpointFiles, name: str) -> bool:
    try:
        source = files.open(name)
    except ConversionError:  # empty, or not the file itself
        return False
    return has_ggml_magic(source.read(0, min(MAGIC_BYTES, source.size_bytes)).tobytes())


def _weights(source: ByteSource, file: GgmlFile) -> dict[str, SourceTensor]:
    """Every tensor under its Hugging Face name; the embedding is the one that the header promises."""
    entries = {hf_name(source.name, entry.name): entry for entry in file.tensors}
    _check_whole(source.name, file.header, entries)
    head_dim = file.header.n_rot
    weights: dict[str, SourceTensor] = {}
    for name, entry in entries.items():
        order = None
        if name.endswith((".q_proj.weight", ".k_proj.weight")):
            order = rotary_row_order(entry.shape[0] // head_dim, head_dim)
        if entry.type in ("f32", "f16"):
            weights[name] = GgmlFloatTensor(
                entry.name, source, entry.type, entry.shape, entry.offset, hf_rows=order
            )
        else:
            weights[name] = GgmlBlockTensor(
                entry.name,
                source,
                entry.type,
                entry.shape,
                entry.offset,
                entry.n_bytes,
                file.format,
                hf_rows=order,
            )
    return weights


def _check_whole(name: str, header: GgmlHeader, entries: Mapping[str, GgmlEntry]) -> None:
    """ConversionError for a part of a model, for missing tensors, and for sizes that no tensor has."""
    for needed in (_EMBEDDING, _KEYS, _GATE):
        if needed not in entries:
            raise ConversionError(f"[{name}] no counterpart of {needed}: it is cut off, download it again")
    shape, expected = entries[_EMBEDDING].shape, (header.n_vocab, header.n_embd)
    if shape == expected:
        return
    is_part = shape[0] == header.n_vocab and len(shape) == 2 and header.n_embd % shape[1] == 0
    if is_part:
        raise _one_of_several(name)
    raise ConversionError(
        f"[{name}] tok_embeddings.weight: expected {list(expected)} as the header says, got {list(shape)};"
        " download it again"
    )


def _one_of_several(name: str) -> ConversionError:
    return ConversionError(
        f"[{name}] one of several files of a model ({name}, {name}.1, …), which are not joined here: convert the"
        " original checkpoint, or a llama.cpp file in one piece (ggjt)"
    )


def _config(
    name: str, header: GgmlHeader, weights: Mapping[str, SourceTensor], given: Mapping[str, Any]
) -> tuple[dict[str, Any], str | None]:
    """(what config.json would say, a warning about what had to be assumed).

    given: config.json where there is one; it counts where the file says nothing, if it is of this model.
    """
    n_kv_heads, rest = divmod(weights[_KEYS].shape[0], header.n_rot)
    if rest or header.n_head % max(1, n_kv_heads):
        raise ConversionError(
            f"[{name}] layers.0.attention.wk.weight: expected heads of {header.n_rot} rows that divide"
            f" {header.n_head} heads, got {weights[_KEYS].shape[0]} rows; download it again"
        )
    stated = {
        "hidden_size": header.n_embd,
        "num_hidden_layers": header.n_layer,
        "num_attention_heads": header.n_head,
    }
    other = [key for key, value in stated.items() if given.get(key, value) != value]
    known = {} if other else {key: value for key, value in given.items() if value is not None}
    config = {
        **_ASSUMED,
        **known,
        **stated,
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_key_value_heads": n_kv_heads,
        "head_dim": header.n_rot,
        "intermediate_size": weights[_GATE].shape[0],
        "vocab_size": header.n_vocab,
        "tie_word_embeddings": False,
    }
    return config, _assumption(known, other)


def _assumption(known: Mapping[str, Any], other: list[str]) -> str | None:
    """What was assumed, and why where a configuration was there."""
    stated = {*known, *(known.get("rope_parameters") or {})}
    assumed = {key: value for key, value in _ASSUMED.items() if key not in stated}
    if not assumed:
        return None
    values = ", ".join(f"{key} {value:g}" for key, value in assumed.items())
    aside = f" (config.json is of another model by its {other[0]})" if other else ""
    return (
        f"files from before GGUF say neither norm epsilon nor context: {values} assumed, as for the first LLaMA{aside};"
        " a folder with the model's config.json as --tokenizer says better (LLaMA 2: 1e-05 and 4096)"
    )


def _rounding(file: GgmlFile) -> list[str]:
    """A warning where scales lose precision."""
    types = {entry.type for entry in file.tensors} - {"f32", "f16"}
    if not types or file.format.scale_bytes == 2:
        return []
    return [
        f"{file.format.name} has block scales in float32: those of {', '.join(sorted(types))} are rounded to half"
        " precision where blocks are taken over, the codes are exact"
    ]
