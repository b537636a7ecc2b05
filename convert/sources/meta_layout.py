"""Meta's own layout of LLaMA: params.json and consolidated.00.pth …, one file per GPU that it was trained on.

Presented with Hugging Face's names and configuration. The rows of queries and keys lie in GGUF's order already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from belle_edge._core import MAX_SIZE
from belle_edge.convert.sources.byte_source import ByteSource
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.checkpoint_files import CheckpointFiles, FolderFiles, parse_json
from belle_edge.convert.sources.joined_tensor import JoinedTensor
from belle_edge.convert.sources.rotary_rows import rotary_row_order
from belle_edge.convert.sources.source_tensors import SourceTensor
from belle_edge.convert.sources.torch_file import open_torch_file
from belle_edge.errors import ConversionError, bounded, excerpt

_SHARD = re.compile(r"consolidated\.(\d{2})\.pth")
_HF_WEIGHTS = re.compile(r"(model|pytorch_model)\b.*\.(safetensors|bin)")
_BLOCK = re.compile(r"layers\.(\d+)\.(.+)\.weight")

# Meta's name → (Hugging Face's, the axis that shards are joined along; None: every shard has all of it).
_TOP: Mapping[str, tuple[str, int | None]] = {
    "tok_embeddings.weight": ("model.embed_tokens.weight", 1),
    "norm.weight": ("model.norm.weight", None),
    "output.weight": ("lm_head.weight", 0),
}
_IN_BLOCK: Mapping[str, tuple[str, int | None]] = {
    "attention.wq": ("self_attn.q_proj", 0),
    "attention.wk": ("self_attn.k_proj", 0),
    "attention.wv": ("self_attn.v_proj", 0),
    "attention.wo": ("self_attn.o_proj", 1),
    "feed_forward.w1": ("mlp.gate_proj", 0),
    "feed_forward.w2": ("mlp.down_proj", 1),
    "feed_forward.w3": ("mlp.up_proj", 0),
    "attention_norm": ("input_layernorm", None),
    "ffn_norm": ("post_attention_layernorm", None),
}
_REFUSED = ("use_scaled_rope", "moe", "quantization_args", "lora_args", "vision_chunk_size")
_SHOWN_SHARDS = 8  # of the missing ones
_LLAMA_2_EPS = 1e-5  # norm_eps of LLaMA 2, and of the largest LLaMA 1
_CODE_LLAMA_THETA = 1e6


def is_meta(files: CheckpointFiles) -> bool:
    """Whether these files are weights in Meta's layout, and nothing else.

    Beside Hugging Face's weights they are a second copy; beside encrypted ones they are the key.
    """
    names = files.names()
    other = any(_HF_WEIGHTS.fullmatch(name) or name.endswith(".enc") for name in names)
    return not other and any(_SHARD.fullmatch(name) for name in names)


def open_meta(files: CheckpointFiles) -> Checkpoint:
    """Open the shards. ConversionError for missing ones, and for what is not one LLaMA."""
    params = parse_json("params.json", files.read("params.json"))
    if params is None:
        raise ConversionError(
            f"[{files.name}] no params.json beside {_shard_names(files)[0]}: it belongs to Meta's download"
        )
    dim, n_heads = _integer(params, "dim"), _integer(params, "n_heads")
    n_kv_heads = _integer(params, "n_kv_heads", default=n_heads)
    _check_params(params, dim, n_heads)
    sources = [files.open(name) for name in _shard_names(files)]
    shards = [_read_shard(source) for source in sources]
    _check_complete(files, sources, shards[0], dim=dim)
    weights = _joined(sources, shards, dim=dim)
    for name, tensor in weights.items():
        heads = {".q_proj.weight": n_heads, ".k_proj.weight": n_kv_heads}.get(name[-14:])
        if heads is not None:
            if tensor.shape != (heads * (dim // n_heads), dim):
                raise ConversionError(
                    f"[{tensor.file}] {name}: expected {heads} heads of {dim // n_heads} rows by params.json, got"
                    f" {excerpt(list(tensor.shape))}"
                )
            order = rotary_row_order(heads, dim // n_heads)
            weights[name] = JoinedTensor(name, tensor.parts, tensor.axis, hf_rows=order)
    config, warning = _config(params, weights, n_kv_heads=n_kv_heads)
    return Checkpoint(
        files=_with_tokenizer(files),
        config=config,
        weights={**weights},
        weight_files=sources,
        warnings=(warning,) if warning else (),
    )


def _shard_names(files: CheckpointFiles) -> list[str]:
    """Names of all shards from number 0 to the highest; ConversionError for gaps."""
    present = set(files.names())
    highest = max(int(match[1]) for name in present if (match := _SHARD.fullmatch(name)))
    names = [f"consolidated.{number:02d}.pth" for number in range(highest + 1)]
    missing = [name for name in names if name not in present]
    if missing:
        raise ConversionError(f"[{files.name}] missing: {', '.join(missing)}; download it again")
    return names


def _read_shard(source: ByteSource) -> dict[str, SourceTensor]:
    """Its tensors, but the rotary frequencies, which follow from params.json."""
    return {
        name: tensor for name, tensor in open_torch_file(source).items() if not name.endswith("rope.freqs")
    }


def _check_complete(
    files: CheckpointFiles, sources: Sequence[ByteSource], shard: Mapping[str, SourceTensor], *, dim: int
) -> None:
    """ConversionError if the number of shards is not the one that the first was cut for."""
    query = shard.get("layers.0.attention.wq.weight")
    fits = query is not None and len(query.shape) == 2 and query.shape[1] == dim
    if query is None or not fits or query.shape[0] == 0 or dim % query.shape[0]:
        found = "nothing" if query is None else excerpt(list(query.shape))
        raise ConversionError(
            f"[{sources[0].name}] layers.0.attention.wq.weight: expected a part of [{dim}, {dim}] as params.json"
            f" says, got {found}"
        )
    expected = dim // query.shape[0]
    if expected > len(sources):
        shown = range(len(sources), min(expected, len(sources) + _SHOWN_SHARDS))
        missing = [f"consolidated.{number:02d}.pth" for number in shown]
        missing += ["…"] if len(missing) < expected - len(sources) else []
        raise ConversionError(
            f"[{files.name}] this model has {expected} shards; missing: {', '.join(missing)}"
        )
    if expected < len(sources):
        raise ConversionError(
            f"[{files.name}] expected {expected} shards by the shape of {sources[0].name}, got {len(sources)};"
            " are files of two models mixed here?"
        )


def _joined(
    sources: Sequence[ByteSource], shards: Sequence[Mapping[str, SourceTensor]], *, dim: int
) -> dict[str, JoinedTensor]:
    """Every tensor under its Hugging Face name, put together from its parts."""
    weights = {}
    for name in dict.fromkeys(name for shard in shards for name in shard):
        parts = []
        for source, shard in zip(sources, shards, strict=True):
            if name not in shard:
                raise ConversionError(f"[{source.name}] {name} is missing, though another shard has it")
            parts.append(shard[name])
        placed_name, axis = _placed(parts[0].file, name)
        if any(len(part.shape) != (1 if axis is None else 2) for part in parts):
            raise ConversionError(
                f"[{parts[0].file}] {name}: expected a {'vector' if axis is None else 'matrix'}, got"
                f" {excerpt([list(part.shape) for part in parts])}"
            )
        if axis is None:
            _check_equal(parts)
            parts, axis = parts[:1], 0
        elif placed_name == "model.embed_tokens.weight" and parts[0].shape[1:] == (dim,):
            axis = 0  # later trainings split the vocabulary
        weights[placed_name] = JoinedTensor(placed_name, tuple(parts), axis)
    return weights


def hf_name(file: str, name: str) -> str:
    """Hugging Face's name of a tensor of Meta's. ConversionError for any other."""
    return _placed(file, name)[0]


def _placed(file: str, name: str) -> tuple[str, int | None]:
    """(Hugging Face's name, axis of the shards) of a tensor of Meta's."""
    if name in _TOP:
        return _TOP[name]
    match = _BLOCK.fullmatch(name)
    if match is None or match[2] not in _IN_BLOCK:
        raise ConversionError(f"[{file}] {bounded(name, 200)}: not a tensor of Meta's LLaMA models")
    part, axis = _IN_BLOCK[match[2]]
    return f"model.layers.{match[1]}.{part}.weight", axis


def _check_equal(parts: Sequence[SourceTensor]) -> None:
    """ConversionError unless the copies of a norm in all shards are the same."""
    first = parts[0]
    for part in parts[1:]:
        same = part.shape == first.shape and part.dtype == first.dtype
        if not same or not np.array_equal(part.rows(0, part.shape[0]), first.rows(0, first.shape[0])):
            raise ConversionError(
                f"[{part.file}] {part.name}: differs from the copy in {first.file}; are these files of one model?"
            )


def _config(
    params: Mapping[str, Any], weights: Mapping[str, SourceTensor], *, n_kv_heads: int
) -> tuple[dict[str, Any], str | None]:
    """(what Hugging Face's config.json would say, a warning about what had to be assumed)."""
    for name in ("model.embed_tokens.weight", "model.layers.0.mlp.gate_proj.weight"):
        if name not in weights:
            raise ConversionError(f"[consolidated.00.pth] no counterpart of {name}: download it again")
    n_rows, vocab_size = weights["model.embed_tokens.weight"].shape[0], params.get("vocab_size", -1)
    if vocab_size not in (-1, n_rows):
        raise ConversionError(
            f"[params.json] vocab_size: {excerpt(vocab_size)}, but tok_embeddings.weight has {n_rows} rows"
        )
    context, warning = _context(params)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": params["dim"],
        "num_hidden_layers": _integer(params, "n_layers"),
        "num_attention_heads": params["n_heads"],
        "num_key_value_heads": n_kv_heads,
        "intermediate_size": weights["model.layers.0.mlp.gate_proj.weight"].shape[0],
        "vocab_size": n_rows,
        "max_position_embeddings": context,
        "rms_norm_eps": params.get("norm_eps", _LLAMA_2_EPS),
        "rope_theta": params.get("rope_theta", 10000.0),
        "tie_word_embeddings": "lm_head.weight" not in weights,
    }
    return config, warning


def _context(params: Mapping[str, Any]) -> tuple[int, str | None]:
    """(tokens of context, how it was found): Meta's files name it nowhere."""
    if params.get("max_seq_len") is not None:
        return _integer(params, "max_seq_len"), None
    eps = params.get("norm_eps", _LLAMA_2_EPS)
    is_65b = params.get("n_layers") == 80 and params.get("n_kv_heads") is None
    if params.get("rope_theta") == _CODE_LLAMA_THETA:
        context, model = 16384, "Code Llama (rope_theta 1e6)"
    elif eps == _LLAMA_2_EPS and not is_65b:
        context, model = 4096, "LLaMA 2 (norm_eps 1e-05)"
    else:
        context, model = 2048, "LLaMA 1 (its shape)" if is_65b else f"LLaMA 1 (norm_eps {excerpt(eps)})"
    return context, f"params.json names no context length: {context} tokens, taking this for {model}"


def _check_params(params: Mapping[str, Any], dim: int, n_heads: int) -> None:
    for key in _REFUSED:
        if params.get(key):
            raise ConversionError(
                f"[params.json] {key}: {excerpt(params[key])} is not supported here; convert the model's Hugging Face"
                " form with llama.cpp's convert_hf_to_gguf.py"
            )
    if dim % n_heads:
        raise ConversionError(f"[params.json] dim {dim} is not a multiple of {n_heads} heads")
    if dim // n_heads % 2:
        raise ConversionError(f"[params.json] heads of {dim // n_heads}: rotary embedding needs pairs")


def _integer(params: Mapping[str, Any], key: str, *, default: int | None = None) -> int:
    value = params.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ConversionError(f"[params.json] expected a positive integer under {key}, got {excerpt(value)}")
    if value > MAX_SIZE:
        raise ConversionError(f"[params.json] {key}: {value} is beyond {MAX_SIZE}")
    return value


class _ParentTokenizer:
    """The files of a model's folder with tokenizer.model from the one above, where Meta's download has it."""

    def __init__(self, files: FolderFiles) -> None:
        self._files, self.name = files, files.name
        self._parent = FolderFiles(files.folder.absolute().parent)

    def names(self) -> list[str]:
        return sorted({*self._files.names(), "tokenizer.model"})

    def read(self, name: str) -> bytes | None:
        return (self._parent if name == "tokenizer.model" else self._files).read(name)

    def open(self, name: str) -> ByteSource:
        return self._files.open(name)


def _with_tokenizer(files: CheckpointFiles) -> CheckpointFiles:
    own = {"tokenizer.model", "tokenizer.json"} & set(files.names())
    if own or not isinstance(files, FolderFiles):
        return files
    parent = _ParentTokenizer(files)
    return files if parent.read("tokenizer.model") is None else parent
