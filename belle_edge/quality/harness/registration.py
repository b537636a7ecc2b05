"""The name `belle-edge` among lm-eval's models. Its releases look for no plugins: something of ours runs first."""

from __future__ import annotations

from .installed import require_harness

NAME = "belle-edge"
_HOME = "belle_edge.quality.harness.language_model:BelleLM"  # imported when the model is asked for


def register() -> None:
    """Make `lm_eval.simple_evaluate(model="belle-edge", …)` find our engine. Calling it twice is fine.

    BackendMissingError without lm-eval.
    """
    require_harness()
    from lm_eval.api.registry import model_registry

    if NAME not in model_registry:
        model_registry.register(NAME, target=_HOME)
