"""What calling a tokenizer returns: a dict whose entries are attributes as well, padded and made into tensors."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Sequence
from typing import Any

from .array_tensors import TensorKind, make_tensor


class BatchEncoding(UserDict[str, Any]):
    """input_ids and attention_mask, as entries (`inputs["input_ids"]`), attributes, and for `**inputs`."""

    def __getattr__(self, name: str) -> Any:
        if name == "data" or name not in self.data:
            raise AttributeError(name)
        return self.data[name]

    def to(self, *_args: Any, **_options: Any) -> BatchEncoding:
        """Itself: everything is on the CPU."""
        return self


def pad_rows(
    rows: Sequence[Sequence[int]], *, length: int, pad_id: int, side: str, multiple_of: int | None = None
) -> tuple[list[list[int]], list[list[int]]]:
    """Rows filled up to `length` tokens, or the next multiple, on one side; and their attention masks."""
    if side not in ("left", "right"):
        raise ValueError(f"[tokenizer] padding_side: expected 'left' or 'right', got {side!r}")
    if multiple_of:
        length = -(-length // multiple_of) * multiple_of
    ids, masks = [], []
    for row in rows:
        fill = [pad_id] * (length - len(row))
        ids.append([*fill, *row] if side == "left" else [*row, *fill])
        zeros, ones = [0] * len(fill), [1] * len(row)
        masks.append([*zeros, *ones] if side == "left" else [*ones, *zeros])
    return ids, masks


def batch_encoding(
    rows: list[list[int]],
    masks: list[list[int]],
    *,
    single: bool,
    return_tensors: str | None,
    with_mask: bool,
    with_types: bool,
    with_length: bool = False,
) -> BatchEncoding:
    """Lists (one list for a single text), or tensors int64 [n_texts, n_tokens]."""
    fields: dict[str, Any] = {"input_ids": rows}
    if with_types:
        fields["token_type_ids"] = [[0] * len(row) for row in rows]
    if with_mask:
        fields["attention_mask"] = masks
    if with_length:
        fields["length"] = [len(row) for row in rows]
    if return_tensors is not None:
        kind = tensor_kind(return_tensors)
        return BatchEncoding({name: make_tensor(value, kind) for name, value in fields.items()})
    return BatchEncoding(
        {name: value[0] if single and name != "length" else value for name, value in fields.items()}
    )


def tensor_kind(name: str) -> TensorKind:
    """ "pt" or "np". ValueError for the names of other frameworks."""
    value = getattr(name, "value", name)
    if value == "pt":
        return "pt"
    if value == "np":
        return "np"
    raise ValueError(f"[tokenizer] return_tensors: expected 'pt', 'np' or None, got {value!r}")
