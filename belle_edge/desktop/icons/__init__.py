"""The icon, a red seal, in the sizes and formats that systems want. tools/draw_icons.py makes all but the SVG."""

from __future__ import annotations

from pathlib import Path

PNG_SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
_FOLDER = Path(__file__).resolve().parent


def icon_path(size: int) -> Path:
    """The PNG of so many pixels, one of PNG_SIZES."""
    return _FOLDER / f"belle-edge-{size}.png"


def icon_file(ending: str) -> Path:
    """The icon as `svg`, `ico` (Windows) or `icns` (macOS)."""
    return _FOLDER / f"belle-edge.{ending}"
