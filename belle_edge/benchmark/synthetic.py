"""Files with the true shapes of a model and random weights: what a benchmark needs, without a checkpoint.

The weights are drawn so that activations keep their size from layer to layer. Six channels of the activations are
about 20 times as large as the others, the same ones in all layers, as in trained models of 6.7 billion parameters and
more (Dettmers et al. 2022, LLM.int8()): engines that round activations have to do something about them. The same shape
and types give the same bytes.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..convert.architectures.mapped_model import Metadata
from ..convert.gguf_tokenizer import TokenizerTables
from ..convert.gguf_writer import ModelFile, build_header
from ..convert.output_metadata import type_metadata
from ..convert.partial_file import atomic_file, check_free_space
from ..convert.progress import ConversionProgress, ProgressCallback
from ..convert.type_mixes import type_for_rows
from ..convert.type_rules import TypeRules
from ..errors import ModelFormatError
from ..folders import cache_folder
from ..text.vocabulary import TokenType
from .shapes import Shape, tensor_shapes
from .weight_pools import Pool

_VERSION = 3  # of the bytes; part of the file's name
Q4_0 = TypeRules("q4_0", pure=True)  # what every type is compared with
_OUTLIERS = 6  # channels; models narrower than BELLE's have one in 64
_OUTLIER_SIZE = 20.0  # beside the other channels'
_SPECIAL = ["<unk>", "<s>", "</s>"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Tensor:
    """A tensor of the file, as the header names it."""

    name: str
    shape: tuple[int, ...]
    type: str
    ggml_id: int
    n_bytes: int


def synthetic_model(
    shape: Shape,
    *,
    rules: TypeRules = Q4_0,
    folder: Path | None = None,
    progress: ProgressCallback | None = None,
) -> Path:
    """The file of this shape and these types in `folder` (default: the cache folder); written once, the first time.

    Raises ConversionError when the disk has too little room, and OSError for a folder that cannot be written.
    """
    folder = cache_folder() / "synthetic" if folder is None else folder
    path = folder / f"{shape.name}-{_type_name(shape, rules)}-v{_VERSION}.gguf"
    if _is_complete(path):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(path):
        if not _is_complete(path):  # another process may have been faster
            write_synthetic(shape, path, rules=rules, progress=progress)
    return path


def _type_name(shape: Shape, rules: TypeRules) -> str:
    """What names the file's types: a type alone, or a mix with a hash of what it makes of each matrix."""
    types = [tensor.type for tensor in _tensors(shape, rules) if len(tensor.shape) > 1]
    if set(types) == {rules.label}:
        return rules.label
    return f"{rules.label}-{hashlib.sha256(' '.join(types).encode()).hexdigest()[:8]}"


def write_synthetic(
    shape: Shape, path: Path, *, rules: TypeRules = Q4_0, progress: ProgressCallback | None = None
) -> None:
    """Write the file; `path` appears when it is complete. Errors as in `synthetic_model`."""
    tensors = list(_tensors(shape, rules))
    header = build_header(shape.architecture, _metadata(shape, rules), tensors)
    total = header.file_bytes
    check_free_space(path, total)
    ends = (*header.offsets[1:], header.n_data_bytes)
    pools: dict[tuple[str, int], Pool] = {}
    with atomic_file(path) as file:
        output = ModelFile(file, header)
        for index, (tensor, offset) in enumerate(zip(tensors, header.offsets, strict=True)):
            if len(tensor.shape) == 1:
                output.write_at(offset, _vector(tensor).tobytes())
            else:
                key = (tensor.type, tensor.shape[1])
                if key not in pools:
                    pools[key] = Pool.of(*key)
                for piece in pools[key].pieces(index, tensor.n_bytes):
                    output.write_at(offset, piece)
                    offset += len(piece)
            if progress is not None:
                progress(ConversionProgress(tensor.name, len(header.content) + ends[index], total))
        output.finish()


def _tensors(shape: Shape, rules: TypeRules) -> Iterator[_Tensor]:
    sizes = dict(tensor_shapes(shape))
    matrices = {name: size for name, size in sizes.items() if len(size) > 1}
    choices = rules.types_of(matrices, n_layers=shape.n_layers)
    types = _core.weight_types()
    for name, size in sizes.items():
        type = (type_for_rows(choices[name].type, size[-1]) or "f16") if name in choices else "f32"
        kind = types[type]
        n_bytes = math.prod(size) // kind["block_size"] * kind["block_bytes"]
        yield _Tensor(name, size, type, kind["ggml_id"], n_bytes)


def _vector(tensor: _Tensor) -> NDArray[np.float32]:
    """No biases; norms that change nothing, but for those before matrices, which make the outlier channels."""
    if tensor.name.endswith(".bias"):
        return np.zeros(tensor.shape, dtype=np.float32)
    weights = np.ones(tensor.shape, dtype=np.float32)
    if tensor.name.startswith("blk."):
        (n_channels,) = tensor.shape
        n_outliers = min(_OUTLIERS, max(1, n_channels // 64))
        weights[np.random.default_rng(0).choice(n_channels, n_outliers, replace=False)] = _OUTLIER_SIZE
        weights /= math.sqrt(np.square(weights).mean())
    return weights


def _metadata(shape: Shape, rules: TypeRules) -> Metadata:
    head_dim = shape.hidden // shape.n_heads
    own: dict[str, int | float] = {
        "context_length": shape.context,
        "embedding_length": shape.hidden,
        "feed_forward_length": shape.feed_forward,
        "block_count": shape.n_layers,
        "attention.head_count": shape.n_heads,
        "attention.head_count_kv": shape.n_heads,
    }
    if shape.architecture == "bloom":
        own["attention.layer_norm_epsilon"] = 1e-5
    else:
        own |= {
            "attention.layer_norm_rms_epsilon": 1e-6,
            "rope.dimension_count": head_dim,
            "rope.freq_base": 10000.0,
        }
    return {
        "general.name": f"{shape.name}, synthetic weights",
        **type_metadata(rules.mix),
        **{f"{shape.architecture}.{key}": value for key, value in own.items()},
        **_tokenizer(shape).metadata(),
    }


def _tokenizer(shape: Shape) -> TokenizerTables:
    """A vocabulary of the right kind and size that both engines accept; its words mean nothing."""
    if shape.architecture == "bloom":
        from tokenizers.pre_tokenizers import ByteLevel

        single, kind, model, pre = sorted(ByteLevel.alphabet()), TokenType.NORMAL, "gpt2", "bloom"
    else:
        single, kind, model, pre = [f"<0x{i:02X}>" for i in range(256)], TokenType.BYTE, "llama", "default"
    byte_level = model == "gpt2"
    n_words = shape.n_vocab - len(_SPECIAL) - len(single)
    words = ["\u2581", *(f"t{i}" for i in range(n_words))][:n_words]  # first SentencePiece's space
    return TokenizerTables(
        model=model,
        pre=pre,
        tokens=[*_SPECIAL, *single, *words],
        types=[
            TokenType.UNKNOWN,
            *[TokenType.CONTROL] * 2,
            *[kind] * len(single),
            *[TokenType.NORMAL] * n_words,
        ],
        scores=None if byte_level else [0.0] * shape.n_vocab,
        merges=["t 0"] if byte_level else None,  # llama.cpp wants at least one
        unk_id=0,
        bos_id=1,
        eos_id=2,
        add_bos=not byte_level,
        add_eos=False,
    )


def _is_complete(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        _core.GgufFile(str(path))  # refuses a file that was cut
    except ModelFormatError:
        _log.warning("%s is damaged; it is written again", path)
        path.unlink(missing_ok=True)
        return False
    return True


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _log.warning("%s: another process is making it; waiting", path.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
