"""Checks of a model file that need no model: is it as it was written?"""

from .integrity import FileReport, verify_file

__all__ = ["FileReport", "verify_file"]
