"""Random damage to the bytes of a file; a seed always gives the same."""

from __future__ import annotations

import random

SIZES = [1, 4, 8, 64, 700, 20_000]  # bytes


def damaged(data: bytes, header_bytes: int, seed: int) -> tuple[bytes, str]:
    """(other bytes, what was done): one operation, most often in the header with its tokenizer tables."""
    choose = random.Random(seed)
    while True:  # zeros over zeros, or bytes swapped with their like, are no damage
        result, what = _damage(data, header_bytes, choose)
        if result != data:
            return result, what


def _damage(data: bytes, header_bytes: int, choose: random.Random) -> tuple[bytes, str]:
    end = header_bytes if choose.random() < 0.7 else len(data)
    operation = choose.choice(["cut", "flip", "flip", "swap", "zero", "noise", "insert", "delete"])
    result = bytearray(data)
    first, n_bytes = choose.randrange(end), choose.choice(SIZES)
    if operation == "cut":
        del result[first:]
    elif operation == "flip":
        for _ in range(choose.choice([1, 1, 2, 8])):
            result[choose.randrange(end)] ^= 1 << choose.randrange(8)
    elif operation == "swap":
        second = choose.randrange(end)
        one, other = data[first : first + n_bytes], data[second : second + n_bytes]
        result[first : first + len(other)] = other
        result[second : second + len(one)] = one
    elif operation == "zero":
        n_bytes = min(n_bytes, len(data) - first)
        result[first : first + n_bytes] = bytes(n_bytes)
    elif operation == "noise":
        n_bytes = min(n_bytes, len(data) - first)
        result[first : first + n_bytes] = choose.randbytes(n_bytes)
    elif operation == "insert":
        result[first:first] = choose.randbytes(n_bytes)
    else:
        del result[first : first + n_bytes]
    return bytes(result), f"{operation}-at-{first}"
