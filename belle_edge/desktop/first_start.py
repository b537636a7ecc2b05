"""What is asked of a desktop that runs: to load a model; by a second start, to take in models and show its window."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ..errors import BelleError
from ..strict_json import parse
from .single_instance import Place

_TIMEOUT_S = 10.0
_MOST_BYTES = 1 << 20  # of a response


def show(place: Place, models: Sequence[Path]) -> None:
    """Hand over the models of the command line, then bring the window to the front.

    OSError where nobody answers there. BelleError for what the first one refuses.
    """
    for path in models:
        _post(place, "/page/v1/models", {"path": str(path.expanduser().absolute())})
    _post(place, "/page/v1/window", {})


def load(place: Place, name: str) -> None:
    """Begin to load a model; the page shows how far it is, and what fails. Raises as `show`."""
    _post(place, f"/page/v1/models/{quote(name, safe='')}/load", {})


def _post(place: Place, path: str, body: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=_TIMEOUT_S)
    try:
        headers = {"Authorization": f"Bearer {place.key}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read(_MOST_BYTES)
    except http.client.HTTPException as error:
        raise OSError(f"[desktop] port {place.port}: expected BELLE Edge, got {error!r}") from None
    finally:
        connection.close()
    if response.status >= 300:
        raise BelleError(f"[desktop] the BELLE Edge that is open already: {_reason(content)}")


def _reason(content: bytes) -> str:
    try:
        return str(parse(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode("utf-8", "replace")
