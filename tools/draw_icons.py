"""Draws the icon of the desktop, a red seal with 贝, as SVG, PNG, ICO and ICNS: python tools/draw_icons.py.

One description of the strokes makes all of them, so that no font and no drawing program is needed.
"""

from __future__ import annotations

import argparse
import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / "belle_edge" / "desktop" / "icons"
PNG_SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
CANVAS = 64.0
SEAL, PAPER = (0xB0, 0x2A, 0x1F), (0xFF, 0xF8, 0xEC)  # those of the page's own icon
INSET, RADIUS = 3.0, 13.0  # of the seal
WIDTH = 5.5  # of a stroke
# The strokes of 贝: the frame that is open below, the long stroke to the left, the short one to the right.
FRAME = [(20.0, 39.0), (20.0, 14.0), (44.0, 14.0), (44.0, 39.0)]
LEFT_DOWN = [(32.0, 22.0), (32.0, 35.0)]
LEFT_CURVE = ((32.0, 35.0), (32.0, 43.0), (27.0, 48.0), (18.0, 51.0))  # cubic: start, two controls, end
RIGHT = [(35.0, 43.0), (46.0, 51.0)]
_OVERSAMPLING = 4  # samples along each side of a pixel
_ICNS = {b"icp4": 16, b"icp5": 32, b"icp6": 64, b"ic07": 128, b"ic08": 256, b"ic09": 512}
_ICO_SIZES = (16, 24, 32, 48, 64, 256)

Point = tuple[float, float]


def svg() -> str:
    """The drawing as paths."""
    side = CANVAS - 2 * INSET
    lines = ["M" + "L".join(f"{x:g} {y:g}" for x, y in line) for line in (FRAME, LEFT_DOWN, RIGHT)]
    curve = "C" + " ".join(f"{x:g} {y:g}" for x, y in LEFT_CURVE[1:])
    strokes = lines[0] + lines[1] + curve + lines[2]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CANVAS:g} {CANVAS:g}">'
        f'<rect x="{INSET:g}" y="{INSET:g}" width="{side:g}" height="{side:g}" rx="{RADIUS:g}" fill="{_hex(SEAL)}"/>'
        f'<path d="{strokes}" fill="none" stroke="{_hex(PAPER)}" stroke-width="{WIDTH:g}" '
        'stroke-linecap="round" stroke-linejoin="round"/></svg>\n'
    )


def pixels(size: int) -> np.ndarray:
    """The drawing as [size, size, 4] bytes: red, green, blue, opacity."""
    n = size * _OVERSAMPLING
    at = (np.arange(n, dtype=np.float32) + 0.5) * np.float32(CANVAS / n)
    x, y = at[None, :], at[:, None]
    seal = _mean(_in_rounded_square(x, y), size)
    lines = [pair for line in (FRAME, LEFT_DOWN, _points(LEFT_CURVE), RIGHT) for pair in pairwise(line)]
    ink = np.zeros((n, n), bool)
    for start, end in lines:
        ink |= _distance(x, y, start, end) <= WIDTH / 2
    share = _mean(ink, size) / np.maximum(seal, 1e-6)
    colour = np.array(SEAL) + np.clip(share, 0, 1)[..., None] * (np.array(PAPER) - np.array(SEAL))
    return np.concatenate([colour, 255 * seal[..., None]], axis=2).round().astype(np.uint8)


def png(image: np.ndarray) -> bytes:
    """[height, width, 4] bytes as a PNG file."""
    height, width, _ = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)


def ico(images: dict[int, bytes]) -> bytes:
    """PNG files by size as one Windows icon."""
    entries, content = b"", b""
    start = 6 + 16 * len(images)
    for size, image in images.items():
        side = size % 256  # 0 stands for 256
        entries += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(image), start + len(content))
        content += image
    return struct.pack("<HHH", 0, 1, len(images)) + entries + content


def icns(images: dict[bytes, bytes]) -> bytes:
    """PNG files by type as one macOS icon."""
    content = b"".join(name + struct.pack(">I", 8 + len(image)) + image for name, image in images.items())
    return b"icns" + struct.pack(">I", 8 + len(content)) + content


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    drawn = {size: png(pixels(size)) for size in PNG_SIZES}
    for size, image in drawn.items():
        (FOLDER / f"belle-edge-{size}.png").write_bytes(image)
    (FOLDER / "belle-edge.svg").write_text(svg(), encoding="utf-8")
    (FOLDER / "belle-edge.ico").write_bytes(ico({size: drawn[size] for size in _ICO_SIZES}))
    (FOLDER / "belle-edge.icns").write_bytes(icns({name: drawn[size] for name, size in _ICNS.items()}))


def _in_rounded_square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    half = CANVAS / 2 - INSET - RADIUS
    dx, dy = np.maximum(abs(x - CANVAS / 2) - half, 0), np.maximum(abs(y - CANVAS / 2) - half, 0)
    return dx * dx + dy * dy <= RADIUS * RADIUS


def _points(curve: Sequence[Point], n: int = 12) -> list[Point]:
    """A cubic Bézier curve as a line through n + 1 points."""
    start, first, second, end = map(np.array, curve)
    t = np.linspace(0, 1, n + 1)[:, None]
    u = 1 - t
    at = u**3 * start + 3 * u * u * t * first + 3 * u * t * t * second + t**3 * end
    return [(float(x), float(y)) for x, y in at]


def _distance(x: np.ndarray, y: np.ndarray, start: Point, end: Point) -> np.ndarray:
    """From each point to a line that ends."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)


def _mean(samples: np.ndarray, size: int) -> np.ndarray:
    """Of the samples of each pixel."""
    return samples.reshape(size, _OVERSAMPLING, size, _OVERSAMPLING).mean(axis=(1, 3), dtype=np.float64)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02X}" for part in colour)


if __name__ == "__main__":
    main()
