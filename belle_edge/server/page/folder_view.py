"""Folders of this computer, for choosing models and checkpoints: names only, and only for who sits at it."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any

from starlette.requests import Request

from ...folders import user_path
from ..server_settings import ServerSettings
from .page_errors import PageError, refused

_MOST = 2000  # entries of a folder
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")


def folders_allowed(settings: ServerSettings, request: Request) -> bool:
    """Whether the request comes from this computer, and the server speaks to no other one, nor to other pages."""
    if not settings.is_local or settings.allow_hosts or settings.allow_origins:
        return False
    if settings.socket is not None:
        return True
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def check_allowed(settings: ServerSettings, request: Request) -> None:
    """PageError 403 unless paths may be named."""
    if not folders_allowed(settings, request):
        raise refused(
            "files of this computer are shown only to a page on it, while the server listens on 127.0.0.1 or a "
            "socket and has no --allow-host and no --allow-origin",
            code="folders_not_allowed",
        )


def folder_json(given: str | None) -> dict[str, Any]:
    """What a folder holds; None: the home folder. PageError where it cannot be read."""
    path = Path.home() if not given else user_path("[folders] path", given).absolute()
    try:
        with os.scandir(path) as found:
            entries = sorted(
                (entry for entry in found if not entry.name.startswith(".")),
                key=lambda entry: entry.name.lower(),
            )[:_MOST]
    except OSError as error:
        raise PageError(
            404, f"{path}: this folder cannot be opened: {error.strerror}", code="folder_unreadable"
        ) from None
    folders, models, checkpoints = [], [], []
    for entry in entries:
        try:
            if entry.is_dir():
                folders.append(entry.name)
                if (form := form_of(Path(entry.path))) is not None:
                    checkpoints.append({"name": entry.name, "form": form})
            elif entry.name.lower().endswith(".gguf") and entry.is_file():
                models.append({"name": entry.name, "bytes": entry.stat().st_size})
        except OSError:
            continue
    if (form := form_of(path)) is not None:
        checkpoints.insert(0, {"name": ".", "form": form})
    parent = str(path.parent) if path.parent != path else None
    return {
        "path": str(path),
        "parent": parent,
        "folders": folders,
        "models": models,
        "checkpoints": checkpoints,
    }


def form_of(folder: Path) -> str | None:
    """Of a checkpoint that can be converted, by the names of its files; None for other folders."""
    try:
        names = {entry.name for entry in os.scandir(folder)}
    except OSError:
        return None
    if any(name.endswith(".enc") for name in names):
        return "encrypted"
    if "params.json" in names and any(name.startswith("consolidated.") for name in names):
        return "meta"
    weights = [name for name in names if name.endswith(_WEIGHTS)]
    if "adapter_config.json" in names:
        return None
    if weights and ("config.json" in names or "tokenizer.model" in names):
        return "hugging face"
    return None
