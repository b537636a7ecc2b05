"""Our engine as a model of lm-evaluation-harness; needs the extra `eval`.

`BelleLM` takes a loaded `Belle`. `python -m belle_edge.quality.harness` is lm-eval's command with the model
`belle-edge` in it.
"""

from typing import TYPE_CHECKING

from ...lazy_names import lazy_names

if TYPE_CHECKING:
    from .language_model import BelleLM as BelleLM
    from .registration import register as register

__all__ = ["BelleLM", "register"]

__getattr__, __dir__ = lazy_names(__name__, {"BelleLM": ".language_model", "register": ".registration"})
