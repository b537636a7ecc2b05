"""What a file of moments says about itself, for receipts and messages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MomentsFacts:
    """Where moments come from."""

    kind: str  # "moments" is ours; "imatrix" and "old imatrix" are llama.cpp's
    n_tokens: int  # that each column's energy is the mean of; 0 where an old imatrix does not say it
    n_texts: int  # of an imatrix its chunks
    datasets: tuple[str, ...]  # what the texts are called: file names without folders, or hashes
    languages: tuple[str, ...]  # of the bundled texts
    token_sha256: str | None  # of the token ids of all texts, and of these texts' lengths; ours alone has it
    model_name: str | None  # that it was computed with
