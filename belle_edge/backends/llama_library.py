"""llama-cpp-python as this package uses it: imported, checked, silenced; its error lines kept for messages."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import logging
import os
from collections import deque
from pathlib import Path
from typing import Any

from ..errors import BackendError, BackendMissingError, ModelFormatError, UnsupportedModelError
from ..process_lock import ModuleLock

INSTALL = "pip install 'belle-edge[llama]'"
MINIMUM_VERSION = "0.3.15"  # the first with a unified cache, llama_memory_* and use_extra_bufts
_NEEDED = (
    "llama_model_load_from_file",
    "llama_memory_seq_cp",
    "llama_state_seq_set_data",
    "llama_vocab_is_eog",
)
ALL_LAYERS = 9999
_LOG_LEVEL_ERROR = 4  # GGML_LOG_LEVEL_ERROR in ggml.h
_LOGGER = logging.getLogger("belle_edge.llama_cpp")

_lock = ModuleLock()
_library: Library | None = None


class Library:
    """The imported package: `api` holds llama.cpp's C functions and structures under their own names."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.version = str(getattr(api, "__version__", "unknown"))
        missing = [name for name in _NEEDED if not hasattr(api, name)]
        if missing or "use_extra_bufts" not in dict(api.llama_model_params._fields_):
            raise BackendError(
                f"[llama.cpp] llama-cpp-python {self.version} is too old, {MINIMUM_VERSION} or newer is needed: "
                f"{INSTALL} --upgrade"
            )
        self._errors: deque[str] = deque(maxlen=3)
        self._callback = api.llama_log_callback(self._log)  # kept alive: llama.cpp may call it at any time
        api.llama_log_set(self._callback, ctypes.c_void_p(0))
        api.llama_backend_init()

    def _log(self, level: int, text: bytes | None, _user_data: object) -> None:
        line = (text or b"").decode("utf-8", "replace").strip()
        if line:
            _LOGGER.debug("%s", line)
            if level == _LOG_LEVEL_ERROR:
                self._errors.append(line)

    def take_errors(self) -> str:
        """The last error lines, as the end of a message; they are forgotten then."""
        lines = list(self._errors)
        self._errors.clear()
        return f"; llama.cpp says: {' / '.join(lines)}" if lines else ""

    def load_model(
        self, path: Path, *, extra_buffers: bool, vocabulary_only: bool = False, devices: Any = None
    ) -> Any:
        """A pointer for `llama_model_free`. extra_buffers: weights may be repacked for this CPU. devices: hold all
        layers, as `rpc_devices` gives them; None: this machine's memory does.

        Raises UnsupportedModelError or ModelFormatError with llama.cpp's own words.
        """
        params = self.api.llama_model_default_params()
        params.n_gpu_layers = 0 if devices is None else ALL_LAYERS
        if devices is not None:
            params.devices = ctypes.cast(devices, ctypes.c_void_p)
        params.use_extra_bufts = extra_buffers
        params.vocab_only = vocabulary_only
        self._errors.clear()
        model = self.api.llama_model_load_from_file(os.fsencode(path), params)
        if not model:
            reason = self.take_errors()
            kind = UnsupportedModelError if "unknown" in reason else ModelFormatError
            raise kind(f"[llama.cpp] {path.name} does not load (version {self.version}){reason}")
        return model


def find_package() -> Path:
    """The folder of llama_cpp, without running any of its code. Raises BackendMissingError."""
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise BackendMissingError(f"[llama.cpp] llama-cpp-python is not installed: {INSTALL}")
    return Path(spec.origin).parent


def import_library() -> Library:
    """The library, imported once per process. Raises BackendMissingError or BackendError."""
    global _library
    with _lock:
        if _library is None:
            find_package()
            try:
                api = importlib.import_module("llama_cpp")
            except Exception as error:  # its loader raises RuntimeError, OSError or FileNotFoundError
                raise BackendError(
                    f"[llama.cpp] llama-cpp-python does not load ({error}); install it again: {INSTALL}"
                ) from error
            _library = Library(api)
        return _library
