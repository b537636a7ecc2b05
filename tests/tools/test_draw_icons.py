"""The icons in the package are those that tools/draw_icons.py draws, and are sound files."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import draw_icons
import numpy as np
import pytest

from belle_edge.desktop.icons import PNG_SIZES, icon_file, icon_path


def read_png(content: bytes) -> np.ndarray:
    """[height, width, 4]; checks sums and sizes of the parts."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    parts, at = {}, 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        name, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", content, at + 8 + length)[0] == zlib.crc32(name + body)
        parts[name] = body
        at += 12 + length
    width, height, *form = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert form == [8, 6, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, 1 + 4 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 4)


@pytest.mark.parametrize("size", PNG_SIZES)
def test_png(size: int) -> None:
    image = read_png(icon_path(size).read_bytes())
    assert image.shape == (size, size, 4)
    if size <= 64:  # the larger ones take long
        drawn = draw_icons.pixels(size).astype(int)
        assert abs(drawn - image.astype(int)).max() <= 1  # another NumPy may round otherwise
    assert image[0, 0, 3] == 0
    assert tuple(image[size // 12, size // 2]) == (*draw_icons.SEAL, 255)


def test_the_drawing_is_of_paths_alone() -> None:
    text = icon_file("svg").read_text(encoding="utf-8")
    assert text == draw_icons.svg()
    names = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}
    assert names == {"svg", "rect", "path"}


def test_windows_and_macos() -> None:
    content = icon_file("ico").read_bytes()
    _, kind, n = struct.unpack_from("<HHH", content)
    assert (kind, n) == (1, 6)
    for i in range(n):
        side, _, _, _, _, bits, length, start = struct.unpack_from("<BBBBHHII", content, 6 + 16 * i)
        image = read_png(content[start : start + length])
        assert (image.shape[0] % 256, bits) == (side, 32)
    content = icon_file("icns").read_bytes()
    assert (content[:4], struct.unpack_from(">I", content, 4)[0]) == (b"icns", len(content))
    at, sizes = 8, []
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at + 4)
        sizes.append(read_png(content[at + 8 : at + length]).shape[0])
        at += length
    assert sizes == [16, 32, 64, 128, 256, 512]


def test_all_of_it_is_small() -> None:
    folder = Path(icon_file("svg")).parent
    assert sum(path.stat().st_size for path in folder.iterdir()) < 64 << 10
