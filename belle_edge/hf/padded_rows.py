"""Rows of token ids as `generate` gets them: lists of equal lengths, and where their padding ends."""

from __future__ import annotations

from typing import Any

from ..errors import excerpt
from .array_tensors import to_lists


def token_rows(ids: Any) -> list[list[int]]:
    """[n_rows, n_tokens] as lists; one row may come without its outer dimension."""
    rows = _lists(ids, "input_ids")
    if any(isinstance(token_id, bool) for row in rows for token_id in row):
        raise ValueError("[generate] input_ids: expected whole numbers, got true and false")
    return rows


def _lists(values: Any, name: str) -> list[list[int]]:
    listed = to_lists(values)
    rows = listed if isinstance(listed, list) and listed and isinstance(listed[0], list) else [listed]
    if not all(isinstance(row, list) for row in rows):
        raise ValueError(f"[generate] {name}: expected rows of whole numbers, got {excerpt(values)}")
    if len({len(row) for row in rows}) > 1:
        raise ValueError(
            "[generate] rows of different lengths: the tokenizer's padding=True makes them equal"
        )
    if not all(isinstance(token_id, int) for row in rows for token_id in row):
        raise ValueError(f"[generate] {name}: expected whole numbers")
    return rows


def spans(rows: list[list[int]], mask: Any, *, pad_id: int | None) -> list[tuple[int, int]]:
    """(start, end) of the real tokens of each row: where the mask is 1, or, without a mask, not padding."""
    if mask is None:
        visible = [[int(token_id != pad_id) for token_id in row] for row in rows]
    else:
        visible = _lists(mask, "attention_mask")
        if [len(row) for row in visible] != [len(row) for row in rows]:
            raise ValueError("[generate] attention_mask: expected the shape of input_ids")
    spans = []
    for row in visible:
        seen = [index for index, value in enumerate(row) if value]
        start, end = (seen[0], seen[-1] + 1) if seen else (0, 0)
        if len(seen) != end - start and mask is not None:
            raise ValueError("[generate] attention_mask: expected ones without a gap in each row")
        spans.append((start, end))
    return spans


def check_positions(positions: Any, visible: list[tuple[int, int]]) -> None:
    """ValueError unless positions are None, or count the real tokens of each row from 0."""
    if positions is None:
        return
    rows = _lists(positions, "position_ids")
    if len(rows) != len(visible):
        raise ValueError(f"[generate] position_ids: expected {len(visible)} rows, got {len(rows)}")
    for row, (start, end) in zip(rows, visible, strict=True):
        if row[start:end] != list(range(end - start)):
            raise ValueError(
                "[generate] position_ids: expected 0, 1, 2, … over the tokens that the mask shows: other positions "
                "are not implemented by this engine"
            )


def check_prompt(ids: list[int], context: int) -> None:
    """ValueError unless there are 1 to `context` ids."""
    if not ids:
        raise ValueError("[generate] a prompt is empty (or all padding): there is nothing to start from")
    if len(ids) > context:
        raise ValueError(
            f"[generate] a prompt has {len(ids)} tokens, the context holds {context}: shorten it"
        )
