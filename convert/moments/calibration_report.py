"""What a calibration did: its closing lines and their machine-readable form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from belle_edge.convert.conversion_report import format_bytes
from belle_edge.languages import said, t
from belle_edge.languages.columns import labelled


@dataclass(frozen=True)
class CalibrationReport:
    """The outcome of a calibration."""

    source: str
    output: str
    output_bytes: int
    architecture: str
    name: str
    n_matrices: int
    n_inputs: int  # matrices that share one count once
    has_full: bool  # moments, and not energies alone
    n_tokens: int
    n_texts: int
    datasets: tuple[str, ...]
    languages: tuple[str, ...]
    token_sha256: str
    memory_bytes: int  # anonymous memory, upper estimate
    warnings: tuple[str, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of all of it."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """For people, in the language of the process."""
        yield _line(
            t("texts"),
            t(
                "{tokens:,} tokens of {texts:,} texts from {data}",
                tokens=self.n_tokens,
                texts=self.n_texts,
                data=", ".join(self.datasets),
            ),
        )
        kind = t("second moments and energies") if self.has_full else t("energies alone (imatrix)")
        yield _line(
            t("inputs"),
            t(
                "{inputs} of {matrices} matrices: {kind}",
                inputs=self.n_inputs,
                matrices=self.n_matrices,
                kind=kind,
            ),
        )
        rate = self.n_tokens / max(self.seconds, 1e-9)
        yield _line(t("time"), t("{seconds:.1f} s ({rate:.0f} tokens/s)", seconds=self.seconds, rate=rate))
        for warning in self.warnings:
            yield t("warning: {text}", text=said(warning))
        yield t("wrote {path}", path=self.output) + f" ({format_bytes(self.output_bytes)})"


def _line(label: str, text: str) -> str:
    return labelled(label, text, n_cells=10)
