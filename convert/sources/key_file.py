"""The key of encrypted BELLE files: Meta's original weights. Is a file the right one, and what is it if not?"""

from __future__ import annotations

import hashlib
import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.byte_source import MappedBytes
from belle_edge.convert.sources.checkpoint_files import check_real_file, require_regular
from belle_edge.convert.sources.torch_file import open_torch_file
from belle_edge.errors import ConversionError

WINDOW_BYTES = 10 * 1024 * 1024  # of payload and of key, read in step
_MIN_REPEATED_BYTES = 1 << 20  # a shorter window at the key's end is repeated in memory up to this
_PIECE_BYTES = 8 << 20


@dataclass(frozen=True)
class Original:
    """A file of Meta's, as their checksum lists and downloads state it."""

    model: str
    name: str
    md5: str
    size_bytes: int | None = None  # None: not stated


LLAMA_7B = Original("LLaMA-7B", "consolidated.00.pth", "6efc8dab194ab59e49cd24be5574d85e", 13_476_939_516)
ORIGINALS = (
    LLAMA_7B,
    Original("LLaMA-13B", "consolidated.00.pth", "0804c42ca65584f50234a86d71e6916a"),
    Original("LLaMA-13B", "consolidated.01.pth", "016017be6040da87604f77703b92f2bc"),
    Original("LLaMA-2-7B", "consolidated.00.pth", "daa8e3109935070df7fe8fc42d34525e"),
    Original("LLaMA-2-7B-chat", "consolidated.00.pth", "0c4837f3ef97f648452f91faed308a07"),
)


def needed_key(model_name: str) -> str:
    """In words, what the files of a model are encrypted with. model_name: of a folder or repository; "" for any."""
    words = (
        f"{LLAMA_7B.name} of Meta's original {LLAMA_7B.model} ({LLAMA_7B.size_bytes:,} bytes, md5 {LLAMA_7B.md5}),"
        " which Meta gives to those who apply for LLaMA"
    )
    # The cards of BELLE-LLaMA-13B-2M and of the EXT models list different checksums of the same encrypted small file.
    if re.search(r"llama-13b", model_name, re.IGNORECASE):
        words += (
            "; this model may need consolidated.00.pth or consolidated.01.pth of LLaMA-13B instead: try them"
        )
    return words


class KeyFile:
    """The key stream: windows of the key in step with those of a payload, from the start again after the last."""

    def __init__(self, path: Path) -> None:
        """Raises ConversionError for a file that cannot be a key, warns of one whose size is not LLaMA-7B's."""
        self.path = _checked(_located(path))
        self._file = MappedBytes(self.path)
        self.name, self.size_bytes, self.stamp = self._file.name, self._file.size_bytes, self._file.stamp
        self._n_windows = -(-self.size_bytes // WINDOW_BYTES)
        tail = self._file.read((self._n_windows - 1) * WINDOW_BYTES, (self.size_bytes - 1) % WINDOW_BYTES + 1)
        # A whole number of repetitions continues as the window itself does, and is fewer steps than a tiny window.
        self._tail = (
            np.tile(tail, -(-_MIN_REPEATED_BYTES // tail.size)) if tail.size < _MIN_REPEATED_BYTES else tail
        )
        self.has_known_size = self.size_bytes in {original.size_bytes for original in ORIGINALS}
        if not self.has_known_size:
            warnings.warn(
                f"[{self.name}] the key has {self.size_bytes:,} bytes, {LLAMA_7B.name} of {LLAMA_7B.model} has"
                f" {LLAMA_7B.size_bytes:,}: it is cut off or another file, the files' hashes will tell",
                stacklevel=2,
            )

    def apply(self, payload: NDArray[np.uint8], offset: int) -> NDArray[np.uint8]:
        """payload XOR key, for bytes that start at `offset` of the whole payload; a new array."""
        result = np.empty(payload.size, dtype=np.uint8)
        done = 0
        while done < payload.size:
            key = self._stretch(offset + done)[: payload.size - done]
            stop = done + key.size
            np.bitwise_xor(payload[done:stop], key, out=result[done:stop])
            done = stop
        return result

    def _stretch(self, offset: int) -> NDArray[np.uint8]:
        """The key from `offset` of the payload on, as far as it lies in one piece."""
        window, start = divmod(offset, WINDOW_BYTES)
        key_window = window % self._n_windows
        if key_window < self._n_windows - 1:
            return self._file.read(key_window * WINDOW_BYTES + start, WINDOW_BYTES - start)
        return self._tail[start % self._tail.size :][: WINDOW_BYTES - start]

    @property
    def state(self) -> str:
        """What its MD5 says of the key, as half a sentence; reads all of the key, when first asked."""
        original = next((known for known in ORIGINALS if known.md5 == self.md5), None)
        if original == LLAMA_7B:
            return f"the key is {LLAMA_7B.name} of {LLAMA_7B.model} as Meta published it"
        if original is not None:
            return f"the key is {original.name} of {original.model}, not that of {LLAMA_7B.model}"
        return f"the key is not {LLAMA_7B.name} of {LLAMA_7B.model}, or damaged: md5 {self.md5}, not {LLAMA_7B.md5}"

    @cached_property
    def md5(self) -> str:
        digest = hashlib.md5(usedforsecurity=False)
        for start in range(0, self.size_bytes, _PIECE_BYTES):
            digest.update(self._file.read(start, min(_PIECE_BYTES, self.size_bytes - start)).data)
        return digest.hexdigest()


def _located(path: Path) -> Path:
    """The file itself, where a folder was given the one in it."""
    if path.is_file():
        return path
    if not path.is_dir():
        require_regular(path)
        raise ConversionError(f"[{path}] no such key file: it has to be {needed_key('')}")
    places = [path / LLAMA_7B.name, path / "7B" / LLAMA_7B.name]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        kind = "weights in Hugging Face's layout" if (path / "config.json").is_file() else "a folder"
        raise ConversionError(f"[{path}] {kind} without {LLAMA_7B.name}: the key has to be {needed_key('')}")
    return found


def _checked(path: Path) -> Path:
    """`path`, unless it is recognisably something else; ConversionError says what."""
    check_real_file(path)
    with path.open("rb") as file:
        start = file.read(9)
    kind = ""
    if start.startswith(b"GGUF"):
        kind = "a GGUF file"
    elif path.name.endswith(".enc"):
        kind = "encrypted itself"
    elif path.suffix == ".safetensors" or start[8:] == b"{":
        kind = "a safetensors file"
    elif start.startswith(b"PK\x03\x04") and _is_hugging_face(path):
        kind = "weights in Hugging Face's layout"
    if kind:
        raise ConversionError(f"[{path.name}] {kind}, not the key: that has to be {needed_key('')}")
    return path


def _is_hugging_face(path: Path) -> bool:
    """Whether a torch file has tensors under transformers' names instead of Meta's."""
    try:
        names = open_torch_file(MappedBytes(path))
    except ConversionError:  # cut off, perhaps: its size and the hashes will show it
        return False
    return any(
        ".self_attn." in name or "embed_tokens" in name or ".self_attention." in name for name in names
    )
