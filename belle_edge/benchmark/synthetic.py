"""Files with the true shapes of a model and random q4_0 weights: what a benchmark needs, without a checkpoint.

The weights are drawn so that activations keep their size from layer to layer. Six channels of the activations are
about 20 times as large as the others, the same ones in all layers, as in trained models of 6.7 billion parameters and
more (Dettmers et al. 2022, LLM.int8()): engines that round activations have to do something about them. The same shape
gives the same bytes.
"""

from __future__ import annotations

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
from ..convert.type_mixes import mix_named
from ..errors import ModelFormatError
from ..folders import cache_folder
from ..text.vocabulary import TokenType
from .shapes import Shape, tensor_shapes

_VERSION = 3  # of the bytes; part of the file's name
_POOL_BLOCKS = 466_033  # a prime, about 8 MB: rows that follow each other start at different blocks
_Q4_0 = _core.weight_types()["q4_0"]  # a block: a half-precision scale, then two codes in each byte
_BLOCK_SIZE, _BLOCK_BYTES = _Q4_0["block_size"], _Q4_0["block_bytes"]
_CODE_RMS = math.sqrt(sum(code * code for code in range(-7, 8)) / 15)
_OUTLIERS = 6  # channels; models narrower than BELLE's have one in 64
_OUTLIER_SIZE = 20.0  # beside the other channels'
_SPECIAL = ["<unk>", "<s>", "</s>"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Tensor:
    """A tensor of the file, as the header names it."""

    name: str
    shape: tuple[int, ...]
    ggml_id: int
    n_bytes: int


def synthetic_model(
    shape: Shape, *, folder: Path | None = None, progress: ProgressCallback | None = None
) -> Path:
    """The file of this shape in `folder` (default: the cache folder); written once, the first time.

    Raises ConversionError when the disk has too little room, and OSError for a folder that cannot be written.
    """
    folder = cache_folder() / "synthetic" if folder is None else folder
    path = folder / f"{shape.name}-q4_0-v{_VERSION}.gguf"
    if _is_complete(path):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(path):
        if not _is_complete(path):  # another process may have been faster
            write_synthetic(shape, path, progress=progress)
    return path


def write_synthetic(shape: Shape, path: Path, *, progress: ProgressCallback | None = None) -> None:
    """Write the file; `path` appears when it is complete. Errors as in `synthetic_model`."""
    tensors = list(_tensors(shape))
    header = build_header(shape.architecture, _metadata(shape), tensors)
    total = header.file_bytes
    check_free_space(path, total)
    ends = (*header.offsets[1:], header.n_data_bytes)
    pools: dict[int, bytes] = {}
    with atomic_file(path) as file:
        output = ModelFile(file, header)
        for index, (tensor, offset) in enumerate(zip(tensors, header.offsets, strict=True)):
            if len(tensor.shape) == 1:
                output.write_at(offset, _vector(tensor).tobytes())
            else:
                n_cols = tensor.shape[1]
                if n_cols not in pools:
                    pools[n_cols] = _pool(n_cols)
                for piece in _pieces(pools[n_cols], index, tensor.n_bytes):
                    output.write_at(offset, piece)
                    offset += len(piece)
            if progress is not None:
                progress(ConversionProgress(tensor.name, len(header.content) + ends[index], total))
        output.finish()


def _tensors(shape: Shape) -> Iterator[_Tensor]:
    types = _core.weight_types()
    for name, size in tensor_shapes(shape):
        kind = types["f32" if len(size) == 1 else "q4_0"]
        n_bytes = math.prod(size) // kind["block_size"] * kind["block_bytes"]
        yield _Tensor(name, size, kind["ggml_id"], n_bytes)


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


def _pool(n_cols: int) -> bytes:
    """q4_0 blocks with codes from -7 to 7, whose products with n_cols activations have these activations' size."""
    random = np.random.default_rng(0)
    blocks = np.empty((_POOL_BLOCKS, _BLOCK_BYTES), dtype=np.uint8)
    low, high = (
        random.integers(1, 16, size=(_POOL_BLOCKS, _BLOCK_SIZE // 2), dtype=np.uint8) for _ in range(2)
    )
    blocks[:, 2:] = low | (high << 4)
    scales = random.uniform(0.75, 1.25, size=_POOL_BLOCKS) / (_CODE_RMS * math.sqrt(n_cols))
    blocks[:, :2] = scales.astype("<f2").view(np.uint8).reshape(_POOL_BLOCKS, 2)
    return blocks.tobytes()


def _pieces(pool: bytes, index: int, n_bytes: int) -> Iterator[memoryview]:
    """n_bytes of the pool, around and around, from a place that depends on the tensor's index."""
    view = memoryview(pool)
    start = index * 104_729 % _POOL_BLOCKS * _BLOCK_BYTES
    while n_bytes > 0:
        piece = view[start : start + n_bytes]
        yield piece
        n_bytes -= len(piece)
        start = 0


def _metadata(shape: Shape) -> Metadata:
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
        **type_metadata(mix_named("q4_0", pure=True)),
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
