"""BELLE Edge: Chinese instruction models of the BELLE project, converted to GGUF and run on an ordinary CPU.

    from belle_edge import Belle

    with Belle.load("belle.gguf") as model:
        print(model.generate("你好"))

Names are imported when they are first used, so that `import belle_edge` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .errors import (
    BackendError,
    BackendMissingError,
    BelleError,
    ConversionError,
    ModelFormatError,
    UnsupportedModelError,
)

if TYPE_CHECKING:
    from .answer import TokenLogprob
    from .conversation import Conversation
    from .generation import AsyncStream, Generation, Stream, Timings
    from .model import Belle
    from .sampling import SamplingParams
    from .tokenizer import Tokenizer

_LAZY = {
    "AsyncStream": "generation",
    "Belle": "model",
    "Conversation": "conversation",
    "Generation": "generation",
    "SamplingParams": "sampling",
    "Stream": "generation",
    "Timings": "generation",
    "TokenLogprob": "answer",
    "Tokenizer": "tokenizer",
}

__all__ = [
    "AsyncStream",
    "BackendError",
    "BackendMissingError",
    "Belle",
    "BelleError",
    "Conversation",
    "ConversionError",
    "Generation",
    "ModelFormatError",
    "SamplingParams",
    "Stream",
    "Timings",
    "TokenLogprob",
    "Tokenizer",
    "UnsupportedModelError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
