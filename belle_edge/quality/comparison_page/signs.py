"""The signs of the four verdicts: told apart by their shape, whatever colours an eye or a printer has."""

from __future__ import annotations

from ...languages import msg
from .markup import Markup, tag

LEVELS = ("identical", "close", "changed", "damaged")
NAMES = {
    "identical": msg("As the original"),
    "close": msg("Close to the original"),
    "changed": msg("Noticeably changed"),
    "damaged": msg("Damaged"),
}
# On 24 x 24: the outline, and what is drawn inside it.
_SHAPES = {
    "identical": ("M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20z", "M7.5 9.7h9M7.5 14.3h9"),
    "close": (
        "M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2z",
        "M7.3 12.3l3.3 3.4 6.2-7",
    ),
    "changed": ("M12 2.5L23 21.5H1z", "M12 9.3v5.4M12 18v.2"),
    "damaged": ("M7.8 2h8.4L22 7.8v8.4L16.2 22H7.8L2 16.2V7.8z", "M8.2 8.2l7.6 7.6M15.8 8.2l-7.6 7.6"),
}


def sign_definitions() -> Markup:
    """Once in a document, for `use`."""
    symbols = (
        tag(
            "symbol",
            tag("path", d=outline, class_="sign-ground"),
            tag("path", d=inside, class_="sign-line"),
            id=f"sign-{level}",
            viewBox="0 0 24 24",
        )
        for level, (outline, inside) in _SHAPES.items()
    )
    return tag("svg", *symbols, width=0, height=0, aria_hidden="true", class_="definitions")


def sign(level: str) -> Markup:
    """For a line of text that says the level, too."""
    return tag("svg", placed_sign(level, 0, 0, 24), viewBox="0 0 24 24", aria_hidden="true", class_="sign")


def placed_sign(level: str, x: float, y: float, size: float) -> Markup:
    """Inside a chart; (x, y): its upper left corner."""
    return tag("use", href=f"#sign-{level}", x=x, y=y, width=size, height=size, class_=f"level-{level}")


def scale(level: str) -> Markup:
    """Four steps, the level's own one filled."""
    steps = (tag("span", class_="here" if name == level else None) for name in LEVELS)
    return tag("div", *steps, aria_hidden="true", class_="scale")
