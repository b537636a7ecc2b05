"""What was measured, as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from belle_edge.languages import tn
from belle_edge.quality.perplexity.estimate import Estimate
from belle_edge.quality.perplexity.text_perplexity import Material


def material_lines(material: Material) -> Iterator[str]:
    """What is scored of a file, and what is not."""
    n = len(material.texts)
    if material.kind == "windows":
        yield tn(
            "{name}: {n} window of {context} tokens; its second half is scored",
            "{name}: {n} windows of {context} tokens; the second half of each is scored",
            n=n,
            name=material.name,
            context=material.n_context,
        )
        return
    n -= material.n_whole
    if n and material.in_template:
        yield tn(
            "{name}: {n} answer, behind its question in the model's template; only its tokens are scored",
            "{name}: {n} answers, behind their questions in the model's template; only their tokens are scored",
            n=n,
            name=material.name,
        )
    elif n:
        yield tn(
            "{name}: {n} answer, behind its question without a template; only its tokens are scored",
            "{name}: {n} answers, behind their questions without a template; only their tokens are scored",
            n=n,
            name=material.name,
        )
    yield from _exceptions(material)


def _exceptions(material: Material) -> Iterator[str]:
    if n := material.n_whole:
        yield tn(
            "{n} text without a dialogue, scored whole", "{n} texts without a dialogue, scored whole", n=n
        )
    if n := material.n_cut:
        yield tn(
            "{n} of them cut at {context} tokens",
            "{n} of them cut at {context} tokens",
            n=n,
            context=material.n_context,
        )
    if n := material.n_left_out:
        yield tn(
            "{n} record left out: an empty answer, or a question that fills the context",
            "{n} records left out: empty answers, or questions that fill the context",
            n=n,
        )


def estimate_line(estimate: Estimate) -> str:
    """The result, with the digits that llama.cpp's tool shows."""
    values = {"perplexity": f"{estimate.perplexity:.4f}", "loss": f"{estimate.loss:.4f}"}
    if estimate.error is None:
        return tn(
            "perplexity {perplexity} over {n} token (loss {loss})",
            "perplexity {perplexity} over {n} tokens (loss {loss})",
            n=estimate.n_scored,
            **values,
        )
    return tn(
        "perplexity {perplexity} ± {error} over {n} token (loss {loss})",
        "perplexity {perplexity} ± {error} over {n} tokens (loss {loss})",
        n=estimate.n_scored,
        error=f"{estimate.error:.5f}",
        **values,
    )


def to_dict(material: Material, estimate: Estimate, running: Sequence[float]) -> dict[str, Any]:
    """For JSON. running: the perplexity after each text."""
    return {
        "name": material.name,
        "kind": material.kind,
        "n_texts": len(material.texts),
        "context": material.n_context,
        "n_scored": estimate.n_scored,
        "loss": estimate.loss,
        "perplexity": estimate.perplexity,
        "error": estimate.error,
        "n_cut": material.n_cut,
        "n_left_out": material.n_left_out,
        "n_whole": material.n_whole,
        "in_template": material.in_template,
        "running": list(running),
    }
