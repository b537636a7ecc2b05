"""How a desktop runs: the server first, then its window, and the end of both."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from ..errors import BelleError
from ..languages import t
from ..server.listening import ended_by_signals
from ..server.page.page_settings import PageSettings
from ..server.served_models import ServedModels
from ..server.server_settings import ServerSettings
from ..server.service import Service
from ..server.sockets import open_socket
from . import first_start
from .browser_window import BrowserWindow
from .server_thread import ServerThread
from .single_instance import Instance, Place
from .webview_window import NoWindowError, WebviewWindow, has_display

LOGGER = logging.getLogger("belle_edge")
_GRACE_S = 2.0  # for answers when the window is closed; what they have by then is kept
_TIMEOUT_S = 24 * 3600.0  # an answer of a large model on a small computer takes its time
_KEEP_ALIVE_S = 3600.0
_KEY_BYTES = 32


def desktop_settings() -> ServerSettings:
    """This computer alone, a free port, and a key of this start: others on this computer cannot call it."""
    return ServerSettings(
        port=0,
        api_key=secrets.token_urlsafe(_KEY_BYTES),
        grace_s=_GRACE_S,
        timeout_s=_TIMEOUT_S,
        keep_alive_s=_KEEP_ALIVE_S,
    )


class DesktopWindow:
    """The window that there is: of the system, or else of the browser. What the server calls from its thread."""

    def __init__(self, folder: Path, *, browser: bool) -> None:
        """browser: use the browser, whether or not there could be a window. BelleError without a display."""
        self._folder = folder
        self._shown: WebviewWindow | BrowserWindow | None = None
        self._ended = False
        self.in_use: Callable[[], bool] = lambda: True
        if not has_display() and not (browser and os.environ.get("BROWSER")):
            raise BelleError(
                "[desktop] this session has no display: `belle-edge serve` gives an address for any browser, "
                "`belle-edge chat` needs none"
            )
        self._browser = browser

    def run(self, address: str) -> None:
        """Until it is closed. For the main thread."""
        if not self._browser:
            try:
                self._open(WebviewWindow(), address)
                return
            except NoWindowError as error:
                LOGGER.warning("note: %s", error)
                LOGGER.warning("note: the page opens in the browser")
        self._open(BrowserWindow(self._folder, in_use=lambda: self.in_use()), address)

    def show(self) -> None:
        """Bring it to the front."""
        if self._shown is not None:
            self._shown.show()

    def quit(self) -> None:
        """Close it."""
        self._ended = True
        if self._shown is not None:
            self._shown.quit()

    def _open(self, shown: WebviewWindow | BrowserWindow, address: str) -> None:
        self._shown = shown
        if not self._ended:
            shown.run(address)


def run_desktop(
    instance: Instance,
    make_models: Callable[[ServerSettings], ServedModels],
    *,
    page: PageSettings,
    browser: bool,
) -> None:
    """Serve and show the page until its window is closed, a signal comes, or the server ends.

    make_models: of these settings. Raises what is wrong with the models, and BelleError where nothing can be shown.
    """
    settings = desktop_settings()
    window = DesktopWindow(instance.folder, browser=browser)
    with open_socket(settings) as listener:
        service = Service.of(settings, make_models(settings), window=window, page=page)
        if (desk := service.desk) is not None:
            window.in_use = lambda: desk.is_used
        server = ServerThread(service, listener, ended=window.quit)
        place = Place(listener.getsockname()[1], settings.api_key or "", os.getpid())
        with ended_by_signals(window.quit):
            server.start()
            try:
                instance.announce(place)
                if len(service.models.names) == 1:
                    first_start.load(place, service.models.names[0])
                print(
                    t("BELLE Edge is open (port {port} of this computer). Ctrl-C ends it.", port=place.port),
                    file=sys.stderr,
                )
                window.run(place.address)
            finally:
                instance.withdraw()  # a start from now on waits for the lock
                server.stop()
