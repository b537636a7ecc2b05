"""GPTQ's packed codes, and the same numbers as GGUF blocks: bits are moved, nothing is rounded but d and m.

GPTQ packs the codes of one output (a column of the array) along the inputs, LSB first, into 32-bit words. A GGUF row is
one output: blocks of 32 inputs, each with its scale d (and offset m) in half precision before its codes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from belle_edge._core import BLOCK_SIZE

Words = NDArray[np.uint32]


_LOW_NIBBLES, _HIGH_NIBBLES = np.uint32(0x0F0F0F0F), np.uint32(0xF0F0F0F0)
_LOW_HALF, _HIGH_HALF = np.uint32(0x0000FFFF), np.uint32(0xFFFF0000)
_SECOND_BYTE = np.uint32(0x0000FF00)
_SIGN_BITS = np.uint32(0x80808080)


def unpack(words: Words, bits: int) -> NDArray[np.uint8]:
    """Codes of `bits` bits [32 n / bits, …] from words [n, …]; those of 3 bits may reach over two words."""
    period = 3 if bits == 3 else 1  # words after which codes start at a word again
    n_codes = period * 32 // bits
    grouped = words.reshape(-1, period, *words.shape[1:])
    codes = np.empty((grouped.shape[0], n_codes, *words.shape[1:]), dtype=np.uint8)
    mask = np.uint32((1 << bits) - 1)
    for index in range(n_codes):
        word, shift = divmod(index * bits, 32)
        value = grouped[:, word] >> np.uint32(shift)
        if shift + bits > 32:
            value = value | (grouped[:, word + 1] << np.uint32(32 - shift))
        codes[:, index] = value & mask
    return codes.reshape(-1, *words.shape[1:])


def pack_nibbles(codes: NDArray[np.uint8]) -> Words:
    """Codes below 16 [n, …] as GPTQ words of 4 bits [n / 8, …]."""
    grouped = codes.reshape(-1, 8, *codes.shape[1:])
    words = np.zeros((grouped.shape[0], *codes.shape[1:]), dtype=np.uint32)
    for index in range(8):
        words |= grouped[:, index].astype(np.uint32) << np.uint32(4 * index)
    return words


def q4_0_blocks(words: Words, d: NDArray[np.float16]) -> NDArray[np.uint8]:
    """q4_0: d · (code - 8). words [n_in / 8, n_out], d [n_blocks, n_out] → [n_out, bytes per row]."""
    return _assembled(d, _gguf_nibbles(words))


def q4_1_blocks(words: Words, d: NDArray[np.float16], m: NDArray[np.float16]) -> NDArray[np.uint8]:
    """q4_1: d · code + m. words [n_in / 8, n_out], d and m [n_blocks, n_out] → [n_out, bytes per row]."""
    nibbles = _gguf_nibbles(words)
    blocks = np.empty((words.shape[1], nibbles.shape[0], 5), dtype=np.uint32)
    blocks[:, :, 0] = (d.view(np.uint16) | (m.view(np.uint16).astype(np.uint32) << np.uint32(16))).T
    blocks[:, :, 1:] = nibbles.transpose(2, 0, 1)
    return blocks.view(np.uint8).reshape(words.shape[1], -1)


def q8_0_blocks(words: Words, d: NDArray[np.float16]) -> NDArray[np.uint8]:
    """q8_0: d · (code - 128). words [n_in / 4, n_out], d [n_blocks, n_out] → [n_out, bytes per row]."""
    signed = words ^ _SIGN_BITS  # 0 … 255 to the two's complement of -128 … 127
    return _assembled(d, signed.reshape(-1, BLOCK_SIZE // 4, words.shape[1]))


def _gguf_nibbles(words: Words) -> Words:
    """[n_in / 8, n_out] → [n_blocks, 4, n_out]: byte i of a block holds code i below and code i + 16 above.

    In GPTQ's order neighbours share a byte, so even and odd codes are handled apart and their bytes interleaved.
    """
    blocks = words.reshape(-1, 4, words.shape[1])
    first, second = blocks[:, :2], blocks[:, 2:]  # codes 0 … 15 and 16 … 31
    even = (first & _LOW_NIBBLES) | ((second & _LOW_NIBBLES) << np.uint32(4))
    odd = ((first >> np.uint32(4)) & _LOW_NIBBLES) | (second & _HIGH_NIBBLES)
    result = np.empty((blocks.shape[0], 2, 2, words.shape[1]), dtype=np.uint32)
    result[:, :, 0] = _middle_swapped((even & _LOW_HALF) | (odd << np.uint32(16)))
    result[:, :, 1] = _middle_swapped((even >> np.uint32(16)) | (odd & _HIGH_HALF))
    return result.reshape(blocks.shape)


def _middle_swapped(words: Words) -> Words:
    """Bytes a b c d as a c b d."""
    difference = (words ^ (words >> np.uint32(8))) & _SECOND_BYTE
    return np.asarray(words ^ difference ^ (difference << np.uint32(8)))


def _assembled(d: NDArray[np.float16], words: Words) -> NDArray[np.uint8]:
    """Blocks of d [n_blocks, n_out] and codes [n_blocks, n_words, n_out] → [n_out, bytes per row], by 16 bits."""
    n_blocks, n_words, n_out = words.shape
    rows = np.empty((n_out, n_blocks, 1 + 2 * n_words), dtype=np.uint16)
    rows[:, :, 0] = d.view(np.uint16).T
    rows[:, :, 1::2] = (words & _LOW_HALF).astype(np.uint16).transpose(2, 0, 1)
    rows[:, :, 2::2] = (words >> np.uint32(16)).astype(np.uint16).transpose(2, 0, 1)
    return rows.view(np.uint8).reshape(n_out, -1)
