"""The types of a model's matrices as a table: a row for layers that are alike, a column for each of their matrices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from belle_edge.languages import t

if TYPE_CHECKING:
    from rich.table import Table

_BLOCK = re.compile(r"blk\.(\d+)\.(.+)\.weight")


def layer_table(types: Mapping[str, str]) -> Table:
    """Of the matrices' types, by GGUF's names."""
    from rich.table import Table

    rows, columns = _by_layer(types)
    table = Table(title=t("types by layer"), title_justify="left")
    for heading in (t("layer"), *columns):
        table.add_column(heading)
    for layers, cells in _grouped(rows, columns):
        table.add_row(ranges(layers), *cells)
    others = {name: kind for name, kind in types.items() if _BLOCK.fullmatch(name) is None}
    table.caption = ", ".join(f"{name.removesuffix('.weight')} {kind}" for name, kind in others.items())
    return table


def _by_layer(types: Mapping[str, str]) -> tuple[dict[int, dict[str, str]], list[str]]:
    """Layer -> part -> type, and the parts in the order of the file."""
    rows: dict[int, dict[str, str]] = {}
    columns: list[str] = []
    for name, kind in types.items():
        if (match := _BLOCK.fullmatch(name)) is not None:
            rows.setdefault(int(match[1]), {})[match[2]] = kind
            columns += [match[2]] if match[2] not in columns else []
    return dict(sorted(rows.items())), columns


def _grouped(
    rows: Mapping[int, Mapping[str, str]], columns: Sequence[str]
) -> list[tuple[list[int], list[str]]]:
    """Layers that follow each other and are alike, with their types."""
    groups: list[tuple[list[int], list[str]]] = []
    for layer, kinds in rows.items():
        cells = [kinds.get(column, "") for column in columns]
        if groups and groups[-1][1] == cells:
            groups[-1][0].append(layer)
        else:
            groups.append(([layer], cells))
    return groups


def ranges(numbers: Sequence[int]) -> str:
    """Increasing numbers, those that follow each other as a range: 0-3,7,9."""
    texts: list[str] = []
    for number in numbers:
        first, _, last = texts[-1].partition("-") if texts else ("", "", "")
        if texts and number == int(last or first) + 1:
            texts[-1] = f"{first}-{number}"
        else:
            texts.append(str(number))
    return ",".join(texts)
