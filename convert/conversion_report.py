"""What a conversion did, or would do: the closing table and its machine-readable form."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from belle_edge.convert.optimize.layer_table import layer_table, ranges
from belle_edge.convert.optimize.receipt_text import receipt_text
from belle_edge.convert.tokenizer_comparison import TokenizerComparison
from belle_edge.convert.type_costs import TypeCost
from belle_edge.languages import said, t
from belle_edge.languages.columns import labelled
from belle_edge.text.terminal_text import printable_line


@dataclass(frozen=True)
class TensorReport:
    """One tensor of the output."""

    name: str
    shape: tuple[int, ...]
    source_type: str
    type: str
    n_bytes: int
    fallback: (
        str | None
    )  # why it is not of the type asked for; None for norms and biases, which are always f32


@dataclass(frozen=True)
class VocabularyReport:
    """What a trim of the vocabulary saved, and the texts whose tokens were compared before and after it."""

    kept: str  # languages and hashes of corpora
    rows_before: int
    rows_after: int
    file_bytes_saved: int
    weight_bytes_saved: int  # in the file, and of the memory for weights
    n_texts: int
    n_tokens: int

    def lines(self) -> list[str]:
        """For people, in the language of the process."""
        return [
            _line(
                t("rows"),
                t(
                    "{before:,} → {after:,} of the vocabulary for {kept}: "
                    "{file} less in the file, {memory} less memory",
                    before=self.rows_before,
                    after=self.rows_after,
                    kept=said(self._short()),
                    file=format_bytes(self.file_bytes_saved),
                    memory=format_bytes(self.weight_bytes_saved),
                ),
            ),
            _line(
                t("compared"),
                t(
                    "{texts:,} texts, {tokens:,} tokens: the same before and after",
                    texts=self.n_texts,
                    tokens=self.n_tokens,
                ),
            ),
        ]

    def _short(self) -> str:
        """`kept` with the hashes cut to what a reader compares at a glance."""
        return re.sub(r"(sha256:.{8})[^,]*", r"\1…", self.kept)


@dataclass(frozen=True)
class ConversionReport:
    """The outcome of a conversion; with `dry_run` the prediction of it, whose sizes are exact."""

    source: str
    output: str | None
    dry_run: bool
    architecture: str
    type: str
    name: str
    family: str | None
    confidence: str  # in the family, see identify.Identity
    license: str | None
    n_tokens: int
    n_padding_tokens: int
    source_bytes: int
    output_bytes: int
    conversion_memory_bytes: int  # anonymous memory of the conversion, upper estimate
    weight_bytes: int  # memory for the weights when the model runs
    kv_bytes_per_token: int  # and for each token of context, with an f16 cache
    context_length: int
    costs: list[TypeCost]  # of its own type, where the file is just what that says, and of others
    tensors: list[TensorReport] = field(repr=False)
    warnings: list[str]
    seconds: float = 0.0
    vocabulary: VocabularyReport | None = None  # of a trim
    tokenizer: TokenizerComparison | None = None  # with the source's own, where there is one
    optimized: dict[str, Any] | None = (
        None  # the file's receipt (optimize/receipt.py); of a dry run without measures
    )

    @property
    def n_parameters(self) -> int:
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    @property
    def bits_per_weight(self) -> float:
        return 8.0 * self.weight_bytes / max(1, self.n_parameters)

    @property
    def fallbacks(self) -> list[TensorReport]:
        """The matrices that did not get the type asked for."""
        return [tensor for tensor in self.tensors if tensor.fallback]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of all of it."""
        values = asdict(self)
        values |= {"n_parameters": self.n_parameters, "bits_per_weight": round(self.bits_per_weight, 4)}
        values["types"] = {name: {"tensors": count, "bytes": size} for name, count, size, _ in self.by_type()}
        values["fallbacks"] = [tensor.name for tensor in self.fallbacks]
        return values

    def by_type(self) -> list[tuple[str, int, int, float]]:
        """(type, tensors, bytes, bits per weight) of each type in the output, largest first."""
        rows = []
        for name in sorted({tensor.type for tensor in self.tensors}):
            group = [tensor for tensor in self.tensors if tensor.type == name]
            n_bytes = sum(tensor.n_bytes for tensor in group)
            n_values = sum(math.prod(tensor.shape) for tensor in group)
            rows.append((name, len(group), n_bytes, 8.0 * n_bytes / max(1, n_values)))
        return sorted(rows, key=lambda row: -row[2])

    def print(self) -> None:
        """The closing table, on standard output."""
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        title = f"{self.name} → {self.type}" + (t(" (dry run: nothing written)") if self.dry_run else "")
        table = Table(title=escape(printable_line(title)), title_justify="left")
        table.add_column(t("type"))
        for heading in (t("tensors"), t("size"), t("bits per weight")):
            table.add_column(heading, justify="right")
        for name, count, n_bytes, bits in self.by_type():
            table.add_row(name, str(count), format_bytes(n_bytes), f"{bits:.2f}")
        table.add_section()
        table.add_row(
            t("all"), str(len(self.tensors)), format_bytes(self.weight_bytes), f"{self.bits_per_weight:.2f}"
        )
        console = Console(highlight=False, soft_wrap=True)
        console.print(table)
        if self.optimized is not None and "target_bytes" in self.optimized:
            console.print(
                layer_table({tensor.name: tensor.type for tensor in self.tensors if len(tensor.shape) > 1})
            )
        for line in self._lines():
            console.print(escape(printable_line(line)))

    def _lines(self) -> list[str]:
        sizes = f"{format_bytes(self.source_bytes)} → {format_bytes(self.output_bytes)}"
        ratio = self.source_bytes / max(1, self.output_bytes)
        cache = format_bytes(self.kv_bytes_per_token * 1024)
        lines = [
            _line(t("size"), sizes + (t(" ({ratio:.1f}x smaller)", ratio=ratio) if ratio > 1 else "")),
            _line(
                t("memory"),
                t(
                    "{weights} for weights and {cache} per 1024 tokens to run it, up to {most} to convert it",
                    weights=format_bytes(self.weight_bytes),
                    cache=cache,
                    most=format_bytes(self.conversion_memory_bytes),
                ),
            ),
            _line(
                t("family"),
                t(
                    "{family}, licence {licence}",
                    family=self._family_text(),
                    licence=said(self.license) if self.license else t("unknown"),
                ),
            ),
        ]
        lines += self._cost_lines()
        if self.optimized is not None:
            lines.append(_line(t("optimized"), receipt_text(self.optimized)))
        if self.n_padding_tokens:
            counts = {"n": self.n_tokens, "unused": self.n_padding_tokens}
            lines.append(_line(t("tokens"), t("{n}; {unused} unused ones stand for surplus rows", **counts)))
        lines += self.vocabulary.lines() if self.vocabulary else []
        if self.tokenizer is not None and not self.tokenizer.n_different:
            n_texts = self.tokenizer.n_texts
            text = t("{n} test texts get the ids of the source's tokenizer", n=n_texts)
            lines.append(_line(t("tokenizer"), text))
        if not self.dry_run:
            speed = self.source_bytes / 1e6 / max(self.seconds, 1e-9)
            lines.append(_line(t("time"), f"{self.seconds:.1f} s ({speed:.0f} MB/s)"))
        n_vectors = sum(len(tensor.shape) == 1 for tensor in self.tensors)
        lines.append(t("kept as f32: {n} norms and biases, as always", n=n_vectors))
        lines += [
            t("kept as {type}: {names} ({reason})", type=kind, names=names, reason=said(reason))
            for kind, names, reason in self._fallback_groups()
        ]
        lines += [t("warning: {text}", text=said(warning)) for warning in self.warnings]
        if self.output and not self.dry_run:
            lines.append(t("wrote {path}", path=self.output))
        return lines

    def _cost_lines(self) -> list[str]:
        """How far answers are from the float model's, and what else there is."""
        measured = [cost for cost in self.costs if cost.divergence is not None]
        own = next((cost for cost in measured if cost.type == self.type), None)
        others = "; ".join(
            f"{cost.type} {format_bytes(cost.weight_bytes)}, {cost.divergence:.2g}"
            for cost in measured
            if cost.type != self.type
        )
        where = t(
            "measured on a small {architecture} (KL divergence)", architecture=self.architecture.upper()
        )
        lines = []
        if own:
            text = t(
                "{divergence:.2g} from the float model's answers, {where}",
                divergence=own.divergence,
                where=where,
            )
            lines.append(_line(t("cost"), text))
        return [*lines, _line(t("instead"), others + ("" if own else f"; {where}"))] if others else lines

    def _family_text(self) -> str:
        return f"{self.family} ({said(self.confidence)})" if self.family else t("not a known BELLE")

    def _fallback_groups(self) -> list[tuple[str, str, str]]:
        """(type, names, reason), the same tensor of many layers in one: 3 matrices, blk.{0-2}.ffn_down.weight."""
        groups: dict[tuple[str, str], dict[str, list[int]]] = {}
        for tensor in self.fallbacks:
            block = re.match(r"blk\.(\d+)\.(.+)", tensor.name)
            layers = groups.setdefault((tensor.type, tensor.fallback or ""), {}).setdefault(
                block[2] if block else tensor.name, []
            )
            layers += [int(block[1])] if block else []
        return [(kind, _counted(parts), reason) for (kind, reason), parts in groups.items()]


def _line(label: str, text: str) -> str:
    return labelled(label, text, n_cells=10)


def _counted(parts: dict[str, list[int]]) -> str:
    """Names of matrices by part, with their layers, and how many they are where there are several."""
    names = [f"blk.{{{ranges(layers)}}}.{part}" if layers else part for part, layers in parts.items()]
    count = sum(max(1, len(layers)) for layers in parts.values())
    return (t("{n} matrices, ", n=count) if count > 1 else "") + ", ".join(names)


def format_bytes(n_bytes: int) -> str:
    """A size in decimal units, as disks and models are sold."""
    if n_bytes < 1000:
        return f"{n_bytes} B"
    value, unit = next(
        (n_bytes / scale, unit) for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if n_bytes >= scale
    )
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
