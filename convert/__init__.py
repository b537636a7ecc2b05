"""Converts BLOOM and LLaMA checkpoints, above all BELLE's, to GGUF files that every GGUF runtime reads."""

from __future__ import annotations

from belle_edge.convert.pipeline import convert
from belle_edge.convert.progress import ConversionProgress
from belle_edge.convert.quantize import TYPES
from belle_edge.convert.report import ConversionReport, TensorReport, VocabularyReport

__all__ = ["TYPES", "ConversionProgress", "ConversionReport", "TensorReport", "VocabularyReport", "convert"]
