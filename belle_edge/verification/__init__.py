"""Checks of a model file that need no model: is it as it was written, and is it what its source says?"""

from .contents import ContentReport, verify_contents
from .integrity import FileReport, verify_file

__all__ = ["ContentReport", "FileReport", "verify_contents", "verify_file"]
