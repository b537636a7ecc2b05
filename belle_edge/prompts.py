"""The public address of the prompt families; the code is in text/prompts.py."""

from __future__ import annotations

from .text.prompts import FAMILIES

__all__ = ["FAMILIES"]
