"""An error of a start from the menu, where no terminal could show it, as a page in the browser."""

from __future__ import annotations

import html
from pathlib import Path

from ..output_files import whole_file
from .browser_window import open_in_browser

_NAME = "error.html"
_PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<title>BELLE Edge</title>
<body style="font: 1rem/1.7 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem">
<h1>BELLE Edge</h1>
<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{text}</pre>
"""


def show_error(folder: Path, text: str) -> None:
    """Write `text` to a page in `folder`, and open it where there is a browser. Raises OSError."""
    path = folder / _NAME
    with whole_file(path, replace=True, mode=0o600) as file:
        file.write(_PAGE.format(text=html.escape(text)).encode())
    open_in_browser(path.as_uri())
