"""Inputs that begin alike as a tree: what several of them have in common stands in it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from .common_beginnings import common_length


@dataclass(frozen=True)
class Input:
    """What one request feeds to a model, and what it asks of the rows."""

    ids: list[int]
    first_row: int  # the first position whose next token is scored
    targets: Sequence[int]  # the tokens after the positions from first_row to the end


@dataclass
class Stretch:
    """Tokens that all inputs below it have in common, after those of the stretch above."""

    begin: int  # position of its first token
    ids: list[int]
    rows: list[int] = field(default_factory=list)  # ascending: places in `ids` of the rows that are scored
    targets: list[int] = field(default_factory=list)  # the token that each of them is scored for
    owners: list[int] = field(default_factory=list)  # the input that each score belongs to
    below: list[Stretch] = field(default_factory=list)

    @property
    def end(self) -> int:
        """Position behind its last token."""
        return self.begin + len(self.ids)


def prefix_tree(inputs: Sequence[Input], start: int = 0) -> list[Stretch]:
    """The stretches that begin at position `start`, one for each token there; every input has one.

    Before `start` the inputs are alike, and nothing is scored. No stretch is empty. On a way down, the scores of one
    input come in the order of its targets.
    """
    order = sorted(range(len(inputs)), key=lambda index: inputs[index].ids)
    roots: list[Stretch] = []
    todo = [(group, start, roots) for group in _by_token(inputs, order, start)]
    while todo:
        group, begin, siblings = todo.pop()
        # Of sorted inputs the first and the last differ before any two others do.
        first, last = inputs[group[0]].ids, inputs[group[-1]].ids
        end = common_length(first, last, min(len(first), len(last)))
        stretch = Stretch(begin, first[begin:end])
        _ask(stretch, inputs, group)
        siblings.append(stretch)
        longer = [index for index in group if len(inputs[index].ids) > end]
        todo += [(part, end, stretch.below) for part in _by_token(inputs, longer, end)]
    return roots


def _by_token(inputs: Sequence[Input], order: Sequence[int], position: int) -> list[list[int]]:
    """Sorted inputs in groups with the same token at `position`."""
    return [list(group) for _, group in groupby(order, key=lambda index: inputs[index].ids[position])]


def _ask(stretch: Stretch, inputs: Sequence[Input], group: Sequence[int]) -> None:
    """Note what the inputs of the group ask of this stretch's rows."""
    asked = [
        (position - stretch.begin, inputs[index].targets[position - inputs[index].first_row], index)
        for index in group
        for position in range(max(stretch.begin, inputs[index].first_row), stretch.end)
    ]
    for row, target, owner in sorted(asked):
        stretch.rows.append(row)
        stretch.targets.append(target)
        stretch.owners.append(owner)
