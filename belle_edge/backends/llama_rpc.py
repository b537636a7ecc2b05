"""llama.cpp's RPC servers: processes on other machines that hold layers of a model too large for one.

What travels is neither encrypted nor signed, and a server obeys whoever reaches its port (docs/DISTRIBUTED.md).
"""

from __future__ import annotations

import ctypes
import importlib
import socket
from collections.abc import Sequence
from typing import Any

from ..errors import BackendError, excerpt
from .llama_library import Library

REBUILD = (
    "CMAKE_ARGS=-DGGML_RPC=ON pip install --force-reinstall --no-deps --no-cache-dir --no-binary :all:"
    " llama-cpp-python"
)
_PATIENCE_S = 10.0  # for a connection


def checked_servers(servers: Any) -> tuple[str, ...]:
    """Texts as "host:port". ValueError for others."""
    if isinstance(servers, (str, bytes)) or not isinstance(servers, Sequence):
        raise ValueError(f"[llama.cpp] rpc_servers: expected a list of 'host:port', got {excerpt(servers)}")
    for server in servers:
        host, _, port = server.rpartition(":") if isinstance(server, str) else ("", "", "")
        if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
            raise ValueError(f"[llama.cpp] rpc_servers: expected 'host:port', got {excerpt(server)}")
    return tuple(servers)


def rpc_devices(library: Library, servers: Sequence[str]) -> Any:
    """Their devices, as `llama_model_params.devices` takes them: an array of pointers that ends with a null one.

    Raises BackendError for a build without RPC, and for a server that does not answer: there llama.cpp would end this
    process.
    """
    ggml = importlib.import_module("llama_cpp._ggml").libggml
    if not library.api.llama_supports_rpc() or not hasattr(ggml, "ggml_backend_rpc_add_server"):
        raise BackendError(f"[llama.cpp] llama-cpp-python {library.version} was built without RPC: {REBUILD}")
    add = _function(ggml, "ggml_backend_rpc_add_server", ctypes.c_void_p, ctypes.c_char_p)
    count = _function(ggml, "ggml_backend_reg_dev_count", ctypes.c_size_t, ctypes.c_void_p)
    device = _function(ggml, "ggml_backend_reg_dev_get", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    found: list[Any] = []
    for server in servers:
        _connect(server)
        registry = add(server.encode("ascii", "replace"))
        n_devices = count(registry) if registry else 0
        if n_devices == 0:
            raise BackendError(
                f"[llama.cpp] the RPC server {server} has no device for this version of llama.cpp"
                f"{library.take_errors()}"
            )
        found += [device(registry, index) for index in range(n_devices)]
    return (ctypes.c_void_p * (len(found) + 1))(*found, None)


def _connect(server: str) -> None:
    host, _, port = server.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
    except OSError as error:
        raise BackendError(f"[llama.cpp] no RPC server answers at {server}: {error}") from None


def _function(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function
