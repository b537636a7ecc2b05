"""Exceptions of BELLE Edge. Each message says where, what was expected, what was found and what to do."""

from __future__ import annotations

import reprlib

_MAX_CHARS = 2000  # of a message; what a file holds is quoted in it
_EXCERPT_CHARS = 80


def excerpt(value: object) -> str:
    """What came from outside, as a message quotes it: like `repr`, but short, whatever its size, depth and faults."""
    short = reprlib.Repr()  # looks at the beginning of long texts and lists only
    short.maxlevel, short.maxstring, short.maxother, short.maxlong = 3, _EXCERPT_CHARS, _EXCERPT_CHARS, 40
    try:
        text = short.repr(value[:_EXCERPT_CHARS] if isinstance(value, (bytes, bytearray)) else value)
    except Exception:  # an int of more digits than Python writes, or an object with a fault
        text = f"a value of type {type(value).__name__}"
    return bounded(text, 2 * _EXCERPT_CHARS)


def bounded(text: str, max_chars: int = _MAX_CHARS) -> str:
    """`text` with its middle left out where it is longer: both ends of a message matter, place and advice."""
    if len(text) <= max_chars:
        return text
    n_end = max_chars // 3
    return f"{text[: max_chars - n_end - 3]} … {text[len(text) - n_end :]}"


class BelleError(Exception):
    """Base of the errors that are particular to this package. A message has at most 2,000 characters."""

    def __init__(self, message: object = "", *more: object) -> None:
        super().__init__(bounded(message) if isinstance(message, str) else message, *more)


class ModelFormatError(BelleError, ValueError):
    """A model file is damaged or inconsistent; the message names the file, and the tensor or offset."""


class UnsupportedModelError(BelleError, ValueError):
    """A well-formed model needs something that the native engine does not implement; the message names it."""


class ContextLengthError(BelleError, ValueError):
    """A prompt has more tokens than the context holds; nothing is ever cut."""


class BackendError(BelleError, RuntimeError):
    """An engine outside this package cannot be used or failed; the message says what to do."""


class BackendMissingError(BackendError, ImportError):
    """The package that an engine or a setting needs is not installed; the message says how to install it."""


class QueueFullError(BelleError, RuntimeError):
    """Too many requests wait for this model already; the message has the numbers. Trying again later may help."""


class RewrittenFileWarning(UserWarning):
    """Another program wrote a file of this package anew; the message says what it changed."""


class ConversionError(BelleError, ValueError):
    """A checkpoint cannot be converted; the message names the file or tensor and says what to do."""
