"""Beyond one process: a predictor for the workers of Ray Data, Spark and Dask, and jobs over Ray's actors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy_names import lazy_names

if TYPE_CHECKING:
    from .batch_predictor import BatchPredictor

__all__ = ["BatchPredictor"]

__getattr__, __dir__ = lazy_names(__name__, {"BatchPredictor": ".batch_predictor"})
