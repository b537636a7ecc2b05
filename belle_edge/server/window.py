"""What shows the page of a server that belongs to a window or a browser: `belle-edge desktop`."""

from __future__ import annotations

from typing import Protocol


class Window(Protocol):
    """What shows the page of this server. Its calls come from any thread."""

    def show(self) -> None:
        """Bring it to the front; a browser opens the page once more."""

    def quit(self) -> None:
        """Close it, and end the server."""
