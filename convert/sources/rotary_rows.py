"""The two orders that the rows of a query or key projection come in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.source_tensors import SourceTensor


def rotary_row_order(n_heads: int, head_dim: int) -> NDArray[np.intp]:
    """Hugging Face's row of each GGUF row.

    Hugging Face rotates dimension i with i + head_dim/2; GGUF's LLaMA and Meta's own code rotate neighbours 2i and
    2i+1, so the two halves of each head are interleaved.
    """
    rows = np.arange(n_heads * head_dim, dtype=np.intp)
    return np.asarray(rows.reshape(n_heads, 2, head_dim // 2).transpose(0, 2, 1).reshape(-1))


def hf_rows(tensor: SourceTensor) -> NDArray[np.intp] | None:
    """Hugging Face's row of each row of a tensor that lies in GGUF's order already; None for any other tensor.

    Such a tensor has the attribute of this name: Meta's files do, and what is merged onto them.
    """
    rows: NDArray[np.intp] | None = getattr(tensor, "hf_rows", None)
    return rows
