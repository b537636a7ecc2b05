"""A question with places for the values of a row, as `翻译成英文：{text}`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from ..errors import excerpt


@dataclass(frozen=True)
class RowTemplate:
    """Texts, and after each but the last one the name of what stands there."""

    pieces: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def between(cls, template: str, known: Sequence[str]) -> RowTemplate:
        """known: the names that may stand in braces; {{ and }} are braces. ValueError for another one, and for none."""
        pieces, names = [""], []
        for literal, name in _template_parts(template):
            pieces[-1] += literal
            if name is None:
                continue
            if name not in known:
                raise ValueError(f"[template] expected one of {{{'}, {'.join(known)}}}, got {{{name}}}")
            names.append(name)
            pieces.append("")
        if not names:
            raise ValueError(
                f"[template] expected a name in braces, as {{{known[0]}}}, got {excerpt(template)}"
            )
        return cls(tuple(pieces), tuple(names))

    def filled(self, values: Sequence[Any]) -> str:
        """values: one for each of `names`."""
        texts = (f"{value}{piece}" for value, piece in zip(values, self.pieces[1:], strict=True))
        return self.pieces[0] + "".join(texts)


def _template_parts(template: str) -> list[tuple[str, str | None]]:
    try:
        found = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"[template] {error}: {{{{ and }}}} stand for braces") from None
    for _, name, form, conversion in found:
        if form or conversion:
            raise ValueError(f"[template] expected a name alone in braces, got {{{name}}} with a format")
    return [(literal, name) for literal, name, _, _ in found]
