"""Loading a model compares every byte of its file with the checksums in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from belle_edge._core import GgufFile, Model, linear, quantize, weight_types
from belle_edge.errors import ModelFormatError

from ..gguf.checksummed import add_checksums
from .gguf_models import RANDOM_MODELS, random_llama

CHUNK_BYTES = 1 << 20


@pytest.fixture(params=["llama", "bloom"])
def sound(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    plain = RANDOM_MODELS[request.param]().write(tmp_path / "plain.gguf", "q8_0")
    return add_checksums(plain, tmp_path / "sound.gguf")


def flipped(source: Path, at: int) -> Path:
    """A copy with one bit of one byte flipped."""
    data = bytearray(source.read_bytes())
    data[at] ^= 4
    path = source.with_name("damaged.gguf")
    path.write_bytes(data)
    return path


def test_the_sound_file_loads(sound: Path) -> None:
    plain = Model(str(sound.with_name("plain.gguf")))
    for threads in (1, 2):
        model = Model(str(sound), threads=threads)
        for one, other in zip(
            model.forward([(model.new_sequence(), [1, 2, 3])]),
            plain.forward([(plain.new_sequence(), [1, 2, 3])]),
            strict=True,
        ):
            assert (one == other).all()


def test_each_tensor(sound: Path) -> None:
    for tensor in GgufFile(str(sound)).tensors():
        for at in (tensor.offset, tensor.offset + tensor.n_bytes - 1):
            with pytest.raises(
                ModelFormatError, match=r"damaged\.gguf: bytes .* do not match their checksum"
            ):
                Model(str(flipped(sound, at)), threads=2)


def test_header_and_padding(sound: Path) -> None:
    tensors = GgufFile(str(sound)).tensors()
    ends = [tensor.offset + tensor.n_bytes for tensor in tensors]
    gaps = [at for at in ends if at < sound.stat().st_size and all(at != tensor.offset for tensor in tensors)]
    for at in (100, tensors[0].offset - 1, *gaps):
        with pytest.raises(ModelFormatError, match=r"checksum|damaged"):
            Model(str(flipped(sound, at)))


def test_the_tensor_is_named(tmp_path: Path) -> None:
    """In a file of several chunks; the damage is found before the values are looked at."""
    model = random_llama(hidden=256, feed_forward=1024)
    path = add_checksums(model.write(tmp_path / "plain.gguf", "f32"), tmp_path / "sound.gguf")
    file = GgufFile(str(path))
    assert file.checksums is not None
    assert file.checksums["n_chunks"] > 5
    (tensor,) = (tensor for tensor in file.tensors() if tensor.name == "blk.1.ffn_up.weight")
    with pytest.raises(ModelFormatError, match=r"'blk\.1\.ffn_up\.weight'"):
        Model(str(flipped(path, tensor.offset + tensor.n_bytes // 2)), threads=2)


def test_bytes_that_belong_to_no_tensor(tmp_path: Path) -> None:
    """A whole chunk behind the last tensor."""
    plain = random_llama().write(tmp_path / "plain.gguf", "q4_0")
    plain.write_bytes(plain.read_bytes() + bytes(2 << 20))
    path = add_checksums(plain, tmp_path / "sound.gguf")
    assert Model(str(path)).config["vocab_size"] == 301
    with pytest.raises(ModelFormatError, match=r"\(padding\)"):
        Model(str(flipped(path, path.stat().st_size - 1)))


def test_the_first_of_several_damages_is_named(tmp_path: Path) -> None:
    """Whatever thread comes first."""
    model = random_llama(hidden=256, feed_forward=1024)
    path = add_checksums(model.write(tmp_path / "plain.gguf", "f32"), tmp_path / "sound.gguf")
    offset = GgufFile(str(path)).data_offset
    damaged = path
    for chunk in (2, 3, 4):
        damaged = flipped(damaged, offset + chunk * CHUNK_BYTES + 1000)
    begin, end = offset + 2 * CHUNK_BYTES, offset + 3 * CHUNK_BYTES
    for _ in range(20):
        with pytest.raises(ModelFormatError, match=f"bytes {begin} to {end} "):
            Model(str(damaged), threads=4)


@pytest.mark.parametrize("type", ["f32", "f16", "bf16", "q4_0", "q4_1", "q8_0"])
def test_matrices_across_the_pieces_in_which_a_file_is_read(type: str) -> None:
    """Panels that begin in one piece and end in the next: the same outputs, bit for bit, as of few rows alone."""
    info = weight_types()[type]
    n_blocks = (3 << 20) // 1003 // info["block_bytes"]
    random = np.random.default_rng(7)
    weights = random.normal(size=(1003, n_blocks * info["block_size"])).astype(np.float32)
    rows = quantize(weights, type)
    x = random.normal(size=(2, weights.shape[1])).astype(np.float32)
    y = linear(rows, type, x, threads=2)
    for first in range(0, 1003, 16):
        np.testing.assert_array_equal(y[:, first : first + 16], linear(rows[first : first + 16], type, x))
