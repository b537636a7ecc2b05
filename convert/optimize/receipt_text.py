"""The receipt of an optimized file in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from belle_edge.languages import t

_SHOWN_NAMES = 3


def receipt_text(receipt: Mapping[str, Any]) -> str:
    """One line, in the language of the process; names as in `receipt.receipt_of`. Foreign files may lack any."""
    parts = [_how(receipt), _data(receipt)]
    if receipt.get("error_ratio"):
        parts.append(t("errors are {ratio:.2f} of nearest rounding's", ratio=receipt["error_ratio"]))
    if receipt.get("column_scales"):
        parts.append(t("columns of {n:,} inputs are scaled", n=receipt["column_scales"]))
    if receipt.get("held_out_tokens"):
        parts.append(
            t(
                "divergence from the float model {written:.2g}, {nearest:.2g} with nearest rounding "
                "({n:,} tokens of other texts)",
                written=receipt.get("divergence", 0.0),
                nearest=receipt.get("divergence_nearest", 0.0),
                n=receipt["held_out_tokens"],
            )
        )
    return "; ".join(part for part in parts if part)


def _how(receipt: Mapping[str, Any]) -> str:
    effort, size = receipt.get("effort"), receipt.get("target_bytes")
    words = []
    if effort:
        words.append(f"{effort} ({receipt.get('method', '')})")
    if size:
        words.append(t("types chosen for {size} bytes", size=size))
    return ", ".join(words)


def _data(receipt: Mapping[str, Any]) -> str:
    names = [name for name in receipt.get("data", ()) if isinstance(name, str)]
    shown = ", ".join(names[:_SHOWN_NAMES]) + (", …" if len(names) > _SHOWN_NAMES else "")
    if names == ["bundled"]:
        shown = t("the bundled texts")
    n_tokens = receipt.get("tokens")
    if not shown:
        return t("{n:,} tokens", n=n_tokens) if n_tokens else ""
    return t("{n:,} tokens of {data}", n=n_tokens, data=shown) if n_tokens else shown
