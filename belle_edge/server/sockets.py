"""Where a server listens: an address and a port, or a UNIX socket that its owner alone can open."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .server_settings import ServerSettings

_BACKLOG = 128  # connections that wait to be taken


@contextmanager
def open_socket(settings: ServerSettings) -> Iterator[socket.socket]:
    """A listening socket; its file goes with it. OSError, which says where, and what stands there already."""
    made = _listening(settings)
    try:
        yield made
    finally:
        made.close()
        if settings.socket is not None:
            settings.socket.unlink(missing_ok=True)


def _listening(settings: ServerSettings) -> socket.socket:
    if settings.socket is not None:
        return _unix_socket(settings.socket)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise OSError(f"[server] host: no address of the name {settings.host!r} ({error.strerror})") from None
    made = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise OSError(
            f"[server] cannot listen on {settings.host}:{settings.port}: {error.strerror}; --port names another"
        ) from None
    return made


def address_of(listener: socket.socket, settings: ServerSettings) -> str:
    """What a client writes."""
    if settings.socket is not None:
        return f"unix:{settings.socket}"
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


def _unix_socket(path: Path) -> socket.socket:
    """A socket that its owner alone can use. A stale one gives way; anything else that stands there stays."""
    if not hasattr(socket, "AF_UNIX"):
        raise OSError("[server] socket: this system has no UNIX sockets: use --host and --port")
    _remove_stale(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        made.bind(str(path))
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise OSError(f"[server] cannot listen on the socket {path}: {error.strerror or error}") from None
    finally:
        os.umask(mask)
    return made


def _remove_stale(path: Path) -> None:
    """OSError for what is no socket, and for one on which a server answers."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(f"[server] socket: {path} exists and is no socket: name another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise FileExistsError(
        f"[server] socket: a server answers on {path} already: stop it, or name another path"
    )
