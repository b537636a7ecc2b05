"""Dense float32 arithmetic: the same bits on every instruction set and for any number of threads.

Each output of a product is one chain of fused multiply-adds over the depth, from 0 upwards. A row's outputs do not
depend on other rows. threads 0 = every usable processor; isa "" = the best one of `isas()`. Shapes and values that do
not fit are a ValueError that names them, and so is an `isa` that does not run here.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_Floats: TypeAlias = NDArray[np.float32]

def isas() -> list[str]:
    """The instruction sets that run here, best first: "avx512", "avx2", "plain"."""

def linear(
    x: _Floats, rows: _Floats | NDArray[np.float16] | NDArray[np.uint16], *, threads: int = 0, isa: str = ""
) -> _Floats:
    """x [n, k] by the transposed rows [m, k] -> [n, m]. Rows are float32, float16, or bfloat16 bits as uint16."""

def add_moments(moments: _Floats, x: _Floats, *, threads: int = 0, isa: str = "") -> None:
    """Add x^T x of x [n, k] to moments [k, k], in place: to the lower triangle with the diagonal; the rest stays."""

def rms_norm(x: _Floats, weight: _Floats, eps: float, *, threads: int = 0, isa: str = "") -> _Floats:
    """x [n, width] / sqrt(mean(x^2) + eps) * weight [width]"""

def layer_norm(
    x: _Floats, weight: _Floats, bias: _Floats, eps: float, *, threads: int = 0, isa: str = ""
) -> _Floats:
    """(x [n, width] - mean) / sqrt(variance + eps) * weight [width] + bias [width]"""

def silu_product(gate: _Floats, up: _Floats, *, threads: int = 0, isa: str = "") -> _Floats:
    """silu(gate) * up, both [n, width]: LLaMA's feed-forward"""

def gelu(x: _Floats, *, threads: int = 0, isa: str = "") -> _Floats:
    """GELU of x [n, width] by tanh, as BLOOM has it."""

def attention(
    q: _Floats,
    k: _Floats,
    v: _Floats,
    *,
    n_heads: int,
    n_kv_heads: int,
    lengths: Sequence[int],
    alibi_slopes: _Floats | None = None,
    threads: int = 0,
    isa: str = "",
) -> _Floats:
    """Causal attention inside each text: q [n, n_heads * dim], k and v [n, n_kv_heads * dim] -> [n, n_heads * dim].

    lengths: tokens of each text, n together; a text's outputs do not depend on the others. alibi_slopes: [n_heads].
    """

def rotate(
    x: _Floats,
    positions: NDArray[np.uint32],
    *,
    n_heads: int,
    base: float,
    dims: int,
    scale: float = 1.0,
    threads: int = 0,
) -> _Floats:
    """Rotary positions [n] on x [n, n_heads * dim]: neighbouring pairs, as in GGUF's LLaMA files.

    dims: leading dimensions of a head that are rotated. scale: positions are multiplied by it.
    """
