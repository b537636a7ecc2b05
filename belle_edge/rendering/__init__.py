"""Markdown, code and formulas to safe HTML. Knows nothing else of this package.

Needs the extra `server`; nobody imports it before it is used.
"""

from __future__ import annotations

from .growing import GrowingText
from .html_blocks import render
from .visible_text import visible_line

__all__ = ["GrowingText", "render", "visible_line"]
