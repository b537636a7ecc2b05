"""A comparison as one HTML file: verdicts, tables and charts in 中文, English and Español, readable offline."""

from __future__ import annotations

from .page_file import write_page

__all__ = ["write_page"]
