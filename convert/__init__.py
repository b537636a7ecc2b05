"""Converts BLOOM and LLaMA checkpoints, above all BELLE's, to GGUF files that every GGUF runtime reads."""

from __future__ import annotations

from belle_edge.convert.conversion_report import ConversionReport, TensorReport, VocabularyReport
from belle_edge.convert.pipeline import convert
from belle_edge.convert.progress import ConversionProgress
from belle_edge.convert.quantization import TYPES
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.convert.trim import TrimRequest

__all__ = [
    "TYPES",
    "ConversionProgress",
    "ConversionReport",
    "SourceOptions",
    "TensorReport",
    "TrimRequest",
    "VocabularyReport",
    "convert",
]
