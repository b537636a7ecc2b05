"""What the routes of a server share: its settings, models, admission, metrics and end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .admission import Admission
from .early_end import Shutdown
from .metrics import Metrics
from .served_models import ServedModels
from .server_settings import ServerSettings
from .window import Window

if TYPE_CHECKING:
    from .page.desk import Desk
    from .page.page_settings import PageSettings


@dataclass(frozen=True)
class Service:
    """Of one server."""

    settings: ServerSettings
    models: ServedModels
    admission: Admission
    shutdown: Shutdown
    metrics: Metrics
    window: Window | None = None  # of `belle-edge desktop`
    desk: Desk | None = None  # of the chat page

    @classmethod
    def of(
        cls,
        settings: ServerSettings,
        models: ServedModels,
        *,
        window: Window | None = None,
        page: PageSettings | None = None,
    ) -> Service:
        """A service in which nothing runs yet. page None: it has no chat page, and its packages are not needed. Raises
        what opening the history of chats raises."""
        admission = Admission(max_running=settings.max_running, max_waiting=settings.max_waiting)
        shutdown, desk = Shutdown(), None
        if page is not None:
            from .page.desk import Desk

            desk = Desk(page, settings=settings, models=models, admission=admission, shutdown=shutdown)
        return cls(settings, models, admission, shutdown, Metrics(admission, models), window, desk)
