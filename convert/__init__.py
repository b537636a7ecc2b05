"""Converts BLOOM and LLaMA checkpoints, above all BELLE's, to GGUF files that every GGUF runtime reads.

Names are imported when they are first used, so that what knows types alone is nearly free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from belle_edge.lazy_names import lazy_names

if TYPE_CHECKING:
    from belle_edge.convert.conversion_report import ConversionReport, TensorReport, VocabularyReport
    from belle_edge.convert.optimize.optimization import Optimization
    from belle_edge.convert.pipeline import convert
    from belle_edge.convert.progress import ConversionProgress
    from belle_edge.convert.sources.opening_options import SourceOptions
    from belle_edge.convert.trim import TrimRequest
    from belle_edge.convert.type_mixes import TYPES
    from belle_edge.convert.type_rules import TypeRules

__all__ = [
    "TYPES",
    "ConversionProgress",
    "ConversionReport",
    "Optimization",
    "SourceOptions",
    "TensorReport",
    "TrimRequest",
    "TypeRules",
    "VocabularyReport",
    "convert",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "TYPES": ".type_mixes",
        "ConversionProgress": ".progress",
        "ConversionReport": ".conversion_report",
        "Optimization": ".optimize.optimization",
        "SourceOptions": ".sources.opening_options",
        "TensorReport": ".conversion_report",
        "TrimRequest": ".trim",
        "TypeRules": ".type_rules",
        "VocabularyReport": ".conversion_report",
        "convert": ".pipeline",
    },
)
