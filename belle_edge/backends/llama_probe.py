"""Finds out in a child process whether llama.cpp runs here, so that a crash does not take the user's process.

llama.cpp repacks weights for the CPU ("extra buffers"), and a build with native flags by GCC 12 dies there of an
illegal instruction on CPUs with AMX. `python -m belle_edge.backends.llama_probe FILE 0|1` writes a tiny model to
FILE and runs it with repacking (1) or without (0).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from .. import _core
from ..errors import BackendError
from ..folders import cache_folder
from ..output_files import whole_file
from ..process_lock import ModuleLock
from ..regular_files import read_regular
from ..strict_json import parse
from .llama_library import INSTALL, find_package, import_library

REBUILD = 'CMAKE_ARGS="-DGGML_NATIVE=OFF" pip install --no-cache-dir --force-reinstall llama-cpp-python'
_TIMEOUT_S = 120
_CACHE_NAME = "llama-probe.json"
_WINDOWS_CRASH = 0xC0000000  # exit codes from here on are exceptions such as "illegal instruction"
_LOGGER = logging.getLogger("belle_edge.llama_cpp")

_lock = ModuleLock()
_answers: dict[str, bool] = {}  # of this process


def extra_buffers_work() -> bool:
    """Whether llama.cpp may repack weights on this machine. Probed once per build and CPU, then remembered.

    Warns when it finds that it may not. Raises BackendMissingError, or BackendError if llama.cpp dies either way.
    """
    with _lock:
        key = _build_key(find_package())
        if key not in _answers:
            known = _remembered(key)
            _answers[key] = _probe(key) if known is None else known
        return _answers[key]


def _probe(key: str) -> bool:
    if getattr(sys, "frozen", False) or not sys.executable:
        return True  # no interpreter to start a child with
    first = _crash_of_child(extra_buffers=True)
    if first is not None:
        second = _crash_of_child(extra_buffers=False)
        if second is not None:
            raise BackendError(
                "[llama.cpp] this build of llama-cpp-python does not run on this CPU "
                f"(a test ended with {second.reason}): "
                f"rebuild it with {REBUILD}, or with a newer compiler (GCC 13 or later)"
            )
        warnings.warn(
            f"llama.cpp runs without repacked weights, which is slower: with them it ended with {first.reason} in a "
            f"test. To repair it: {REBUILD}, or build it with a newer compiler",
            RuntimeWarning,
            stacklevel=6,
        )
    if first is None or first.lasting:
        _remember(key, first is None)
    return first is None


class _Crash(NamedTuple):
    reason: str
    lasting: bool  # it will happen again, unlike being killed by the system or a user


def _crash_of_child(*, extra_buffers: bool) -> _Crash | None:
    """How the child died; None if it ended well. Raises BackendError for an ordinary error in it."""
    paths = [os.path.abspath(entry) for entry in sys.path]
    with tempfile.TemporaryDirectory(prefix="belle-edge-probe-") as folder:
        model = os.path.join(folder, "probe.gguf")
        command = [sys.executable, "-m", "belle_edge.backends.llama_probe", model, str(int(extra_buffers))]
        try:
            child = subprocess.run(
                command,
                capture_output=True,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.DEVNULL,
                timeout=_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return _Crash(f"no answer for {_TIMEOUT_S} s", lasting=False)
    code = child.returncode
    if code == 0:
        return None
    if code < 0:
        lasting = -code not in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
        return _Crash(f"signal {-code} ({signal.strsignal(-code)})", lasting=lasting)
    if code >= _WINDOWS_CRASH:
        return _Crash(f"exception 0x{code:X}", lasting=True)
    lines = child.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
    raise BackendError(
        f"[llama.cpp] llama-cpp-python does not work here: {lines[-1]}; install it again: {INSTALL}"
    )


def _build_key(package: Path) -> str:
    """Changes with the version, the library files and the CPU."""
    try:
        version = metadata.version("llama-cpp-python")
    except metadata.PackageNotFoundError:
        version = ""
    override = os.environ.get("LLAMA_CPP_LIB_PATH", "")  # llama-cpp-python's own variable
    libraries = Path(override) if override else package / "lib"
    files = [package / "__init__.py", *sorted(libraries.glob("*"))]
    stats = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file()]
    cpu = _core.cpu_info()
    parts = [version, stats, cpu["brand"], cpu["features"]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _cache_file() -> Path:
    return cache_folder() / _CACHE_NAME


def _read_cache() -> dict[str, bool]:
    try:
        content = parse(read_regular(_cache_file()))
    except (OSError, ValueError, RuntimeError):  # RuntimeError: no home folder
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: value for key, value in content.items() if isinstance(value, bool)}


def _remembered(key: str) -> bool | None:
    return _read_cache().get(key)


def _remember(key: str, answer: bool) -> None:
    """Best effort: without a writable cache the next process probes again."""
    answers = {**_read_cache(), key: answer}
    try:
        file = _cache_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file, replace=True) as stream:
            stream.write(json.dumps(answers).encode())
    except (OSError, RuntimeError) as error:
        _LOGGER.debug("the result of the probe is not remembered: %s", error)


def _run_child(path: Path, *, extra_buffers: bool) -> None:
    """Load a tiny model as the backend would, and compute a prompt and a token with it."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is an expected answer: no core file
    from .llama_context import LlamaContext
    from .probe_model import N_TOKENS, write_probe_model

    write_probe_model(path)
    library = import_library()
    model = library.load_model(path, extra_buffers=extra_buffers)
    context = LlamaContext(library, model, n_cells=256, threads=1, kv_type="f16")
    slot = context.new_slot()
    context.decode([(slot, list(range(N_TOKENS)))], "last")
    context.decode([(slot, [0])], "last")
    context.close()
    library.api.llama_model_free(model)


if __name__ == "__main__":
    _run_child(Path(sys.argv[1]), extra_buffers=sys.argv[2] == "1")
