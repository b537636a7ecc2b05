"""Layers on llama.cpp's RPC servers: the same answers, or an error that says what is missing."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle
from belle_edge.errors import BackendError

pytestmark = pytest.mark.slow
# What llama.cpp's own program `rpc-server` does, which its Python package does not bring.
SERVER = """
import ctypes, sys
from llama_cpp._ggml import libggml

find, start = libggml.ggml_backend_dev_by_name, libggml.ggml_backend_rpc_start_server
find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
start.restype = None
start.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p]
devices = (ctypes.c_void_p * 1)(find(b"CPU"))
start(sys.argv[1].encode(), None, 1, 1, ctypes.cast(devices, ctypes.c_void_p))
"""


@pytest.fixture(scope="module")
def model(converted: Callable[[str, str], Path]) -> Path:
    return converted("llama", "q4_0")


@pytest.fixture
def server(llama_cpp: Any) -> Iterator[str]:
    """Where an RPC server listens; skips with a build that has none."""
    if not llama_cpp.llama_supports_rpc():
        pytest.skip("this build of llama-cpp-python has no RPC: CMAKE_ARGS=-DGGML_RPC=ON")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    code = f"import sys; sys.path[:0] = {[str(Path(llama_cpp.__file__).parents[1])]!r}\n{SERVER}"
    process = subprocess.Popen([sys.executable, "-c", code, place], stdout=-3, stderr=-3)
    try:
        host, port = place.split(":")
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
        yield place
    finally:
        process.kill()
        process.wait()


def test_the_same_answers(server: str, model: Path) -> None:
    def texts(**load: Any) -> list[str]:
        with Belle.load(model, backend="llama.cpp", threads=1, context=128, **load) as loaded:
            assert loaded.details.get("rpc_servers") == load.get("rpc_servers")
            prompts = ["Once upon a time", "The cat"]
            return [
                result.text
                for result in loaded.generate_batch(prompts, raw=True, temperature=0, max_tokens=12)
            ]

    assert texts(rpc_servers=[server]) == texts()


def test_a_server_that_does_not_answer(server: str, model: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        place = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(BackendError, match=f"no RPC server answers at {place}"):
            Belle.load(model, backend="llama.cpp", rpc_servers=[place])


def test_a_build_without_it(llama_cpp: Any, model: Path) -> None:
    if llama_cpp.llama_supports_rpc():
        pytest.skip("this build of llama-cpp-python has RPC")
    with pytest.raises(BackendError, match="built without RPC: CMAKE_ARGS=-DGGML_RPC=ON pip install"):
        Belle.load(model, backend="llama.cpp", rpc_servers=["127.0.0.1:50052"])


@pytest.mark.parametrize("servers", ["127.0.0.1:50052", ["127.0.0.1"], [":5"], ["a:0"], ["a:x"], [5], 5])
def test_what_is_no_server(llama_cpp: Any, model: Path, servers: Any) -> None:
    with pytest.raises(ValueError, match="rpc_servers: expected"):
        Belle.load(model, backend="llama.cpp", rpc_servers=servers)


def test_the_native_engine_has_none(model: Path) -> None:
    with pytest.raises(ValueError, match="rpc_servers: they need backend="):
        Belle.load(model, rpc_servers=["127.0.0.1:50052"])
