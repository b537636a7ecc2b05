"""A vocabulary cut down to some languages, or to the tokens of some texts."""

from __future__ import annotations

from belle_edge.convert.trim.request import TrimRequest
from belle_edge.convert.trim.trimming import TrimmedModel, trim_vocabulary

__all__ = ["TrimRequest", "TrimmedModel", "trim_vocabulary"]
