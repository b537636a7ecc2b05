"""Exceptions of BELLE Edge. Each message says where, what was expected, what was found and what to do."""

from __future__ import annotations


class BelleError(Exception):
    """Base of the errors that are particular to this package."""


class ModelFormatError(BelleError, ValueError):
    """A model file is damaged or inconsistent; the message names the file, and the tensor or offset."""


class UnsupportedModelError(BelleError, ValueError):
    """A well-formed model needs something that the native engine does not implement; the message names it."""


class BackendError(BelleError, RuntimeError):
    """An engine outside this package cannot be used or failed; the message says what to do."""


class BackendMissingError(BackendError, ImportError):
    """The package that an engine needs is not installed; the message says how to install it."""


class ConversionError(BelleError, ValueError):
    """A checkpoint cannot be converted; the message names the file or tensor and says what to do."""
