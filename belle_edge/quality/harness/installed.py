"""lm-evaluation-harness, which the extra `eval` brings."""

from __future__ import annotations

from importlib.util import find_spec

from ...errors import BackendMissingError


def require_harness() -> None:
    """BackendMissingError without lm-eval."""
    if find_spec("lm_eval") is None:
        raise BackendMissingError("[harness] lm-eval is not installed: pip install 'belle-edge[eval]'")
