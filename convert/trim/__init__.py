"""A vocabulary cut down to some languages, or to the tokens of some texts."""

from __future__ import annotations

from belle_edge.convert.trim.model import TrimmedModel, trim_vocabulary
from belle_edge.convert.trim.request import TrimRequest

__all__ = ["TrimRequest", "TrimmedModel", "trim_vocabulary"]
