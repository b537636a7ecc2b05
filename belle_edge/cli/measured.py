"""What `info --verbose` says about the choices that are measured when a model is loaded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..languages import current_translator, t
from ..languages.columns import labelled

if TYPE_CHECKING:
    from .._core import ActivationChoice, ReadAhead


def measured_lines(path: Path) -> Iterator[str]:
    """The active tier's choices for this file; loads the model only where prefill has a choice."""
    from .. import _core
    from ..errors import BelleError
    from ..memory import check_memory, open_file

    name = _core.default_isa()
    tier = next(tier for tier in _core.isa_tiers() if tier["name"] == name)
    forms = tier["activation_forms"]
    if len(forms) == 1:
        yield labelled(t("activations"), t("{form}, the only form of tier {tier}", form=forms[0], tier=name))
        return
    try:
        file = open_file(path)
        check_memory(file)
        model = _core.Model(file)
    except (BelleError, OSError) as error:
        problem = current_translator().error(error)
        yield labelled(t("activations"), t("not measured: {problem}", problem=problem))
        return
    yield from _activation_lines(model.activation_forms, name, forms)
    if tier["prompt_attention"] != "float32":
        yield labelled(
            t("attention"),
            t("of prompts whose activations are coarser than block32: {kind}", kind=tier["prompt_attention"]),
        )
    yield _read_ahead_line(model.read_ahead)


def _activation_lines(choices: list[ActivationChoice], tier: str, forms: list[str]) -> Iterator[str]:
    """The form that each kind of matrix takes in prefill."""
    if not choices:
        yield labelled(
            t("activations"),
            t(
                "nothing to measure: tier {tier} has one form for each of the file's types, "
                "or BELLE_ACTIVATIONS names the form",
                tier=tier,
            ),
        )
        return
    yield labelled(
        t("activations"),
        t("in prefill on tier {tier}, with relative RMS errors of the outputs in %", tier=tier),
    )
    for kind, members in _by_kind(choices).items():
        chosen = Counter(choice["form"] for choice in members)
        counts = ", ".join(f"{n} {form}" for form, n in chosen.most_common()) + _outliers(members)
        measured = [form for form in forms if form in members[0]["errors"]]  # the tier's for this type
        errors = [f"{form} {_range([choice['errors'][form] for choice in members])}" for form in measured]
        rounding = _range([choice["weight_error"] for choice in members])
        yield f"  {kind:<36}{counts:<25} {t('weights')} {rounding}, {', '.join(errors)}"


def _read_ahead_line(read_ahead: ReadAhead) -> str:
    how = t("measured") if read_ahead["measured"] else t("the default, too small a model to measure")
    text = t(
        "weights in decode, one token {one:,} bytes, several {several:,} bytes ({how})",
        one=read_ahead["one_token"],
        several=read_ahead["several_tokens"],
        how=how,
    )
    return labelled(t("read ahead"), text)


def _by_kind(choices: list[ActivationChoice]) -> dict[str, list[ActivationChoice]]:
    """The same matrix of every layer together: blk.*.ffn_up.weight q4_0."""
    kinds: dict[str, list[ActivationChoice]] = {}
    for choice in choices:
        kind = f"{re.sub(r'^blk[.][0-9]+[.]', 'blk.*.', choice['tensor'])} {choice['type']}"
        kinds.setdefault(kind, []).append(choice)
    return kinds


def _outliers(members: list[ActivationChoice]) -> str:
    """How many columns are kept out of the slabs of each matrix."""
    numbers = [len(choice["outliers"]) for choice in members]
    if not any(numbers):
        return ""
    low, high = min(numbers), max(numbers)
    return " (" + t("{n} outliers", n=high if low == high else f"{low}-{high}") + ")"


def _range(errors: list[float]) -> str:
    low, high = f"{100 * min(errors):.2g}", f"{100 * max(errors):.2g}"
    return low if low == high else f"{low}-{high}"
