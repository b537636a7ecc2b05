"""argparse's help, wrapped by cells of the terminal: Chinese characters take two, and have no blanks between them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from ..languages import t
from ..languages.columns import text_cells
from .wrapping import wrapped


class HelpFormatter(argparse.HelpFormatter):
    """Help in the language of the process."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        """As argparse's, which counts a wide character of the prefix as one cell."""
        prefix = t("usage: ") if prefix is None else prefix
        self._width -= text_cells(prefix) - len(prefix)
        super().add_usage(usage, actions, groups, prefix)

    def start_section(self, heading: str | None) -> None:
        """As argparse's, which does not wrap the heading."""
        if heading is not None:
            heading = "\n".join(self._split_lines(heading, self._width - 1))
        super().start_section(heading)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(" ".join(text.split()), lambda: width).split("\n")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = self._split_lines(text, width - len(indent))
        return "\n".join(indent + line for line in lines)


class RawHelpFormatter(HelpFormatter):
    """As `HelpFormatter`, for descriptions whose lines are as they should be: long ones are wrapped."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = [line for given in text.splitlines() for line in wrapped(given, lambda: width).split("\n")]
        return "".join(f"{indent}{line}\n" for line in lines)
