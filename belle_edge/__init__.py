"""BELLE Edge: Chinese instruction models of the BELLE project, converted to GGUF and run on an ordinary CPU.

    from belle_edge import Belle

    with Belle.load("belle.gguf") as model:
        print(model.generate("你好"))

Names are imported when they are first used, so that `import belle_edge` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._version import __version__
from .errors import (
    BackendError,
    BackendMissingError,
    BelleError,
    ContextLengthError,
    ConversionError,
    ModelFormatError,
    QueueFullError,
    UnsupportedModelError,
)
from .lazy_names import lazy_names

if TYPE_CHECKING:
    from .generation.answer import TokenLogprob
    from .generation.choice_scores import Choice
    from .generation.conversation import Conversation
    from .generation.streams import AsyncStream, Generation, Stream, Timings
    from .model import Belle
    from .sampling import SamplingParams
    from .text.tokenizer import Tokenizer

__all__ = [
    "AsyncStream",
    "BackendError",
    "BackendMissingError",
    "Belle",
    "BelleError",
    "Choice",
    "ContextLengthError",
    "Conversation",
    "ConversionError",
    "Generation",
    "ModelFormatError",
    "QueueFullError",
    "SamplingParams",
    "Stream",
    "Timings",
    "TokenLogprob",
    "Tokenizer",
    "UnsupportedModelError",
    "__version__",
]


__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AsyncStream": ".generation.streams",
        "Belle": ".model",
        "Choice": ".generation.choice_scores",
        "Conversation": ".generation.conversation",
        "Generation": ".generation.streams",
        "SamplingParams": ".sampling",
        "Stream": ".generation.streams",
        "Timings": ".generation.streams",
        "TokenLogprob": ".generation.answer",
        "Tokenizer": ".text.tokenizer",
    },
)
