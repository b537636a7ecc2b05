"""A comparison as lines for a terminal of any width, in the language of the process."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...convert.conversion_report import format_bytes
from ...languages import t, tn
from ...languages.columns import padded, right, text_cells
from .result import Candidate, Comparison, LayerError, Measures, Side, TextSet, Verdict, WorstPrompt

_BARS = "▁▂▃▄▅▆▇█"
_GAP = 2  # cells between columns


def report_lines(comparison: Comparison, *, width: int) -> Iterator[str]:
    """width: cells of a line."""
    yield t("reference: {name}", name=_side(comparison.reference))
    yield t("texts: {sets}", sets="; ".join(map(_text_set, comparison.texts)))
    for candidate in comparison.candidates:
        yield ""
        yield from _candidate_lines(candidate, width)


def verdict_text(verdict: Verdict) -> str:
    """The level, and what it means for answers."""
    levels = {
        "identical": t("identical"),
        "close": t("close"),
        "changed": t("changed"),
        "damaged": t("damaged"),
    }
    if not verdict.of:
        return levels[verdict.level]
    words = tn(
        "{n} of {of} answers changes its first word",
        "{n} of {of} answers change their first word",
        n=verdict.n,
        of=verdict.of,
    )
    return f"{levels[verdict.level]}: {words}"


def _side(side: Side) -> str:
    engines = {
        "reference": t("float model, layer by layer"),
        "native": t("our engine"),
        "llama.cpp": "llama.cpp",
    }
    return f"{side.name} ({side.type}, {format_bytes(side.n_bytes)}, {engines[side.engine]})"


def _text_set(texts: TextSet) -> str:
    records = tn("{count} text", "{count} texts", n=texts.n_records, count=texts.n_records)
    tokens = tn("{n:,} token", "{n:,} tokens", n=texts.n_tokens)
    return f"{texts.language} {records}, {tokens} ({texts.name})"


def _candidate_lines(candidate: Candidate, width: int) -> Iterator[str]:
    yield _side(candidate.side)
    yield t("verdict: {text}", text=verdict_text(candidate.verdict))
    if n_broken := candidate.languages["all"].n_broken:
        yield tn(
            "{n} position has no numbers (NaN) and counts as if every token were as probable",
            "{n} positions have no numbers (NaN) and count as if every token were as probable",
            n=n_broken,
        )
    yield from _table(candidate, width)
    counts = candidate.languages["all"].kl_histogram
    yield t(
        "KL from {low:g} to {high:g}: {bars}",
        low=counts.edges[0],
        high=counts.edges[-1],
        bars=_bars(counts.counts),
    )
    if candidate.layers:
        yield _layers_line(candidate.layers)
    for place, prompt in enumerate(candidate.worst, start=1):
        yield from _prompt_lines(place, prompt, width)


def _layers_line(layers: Sequence[LayerError]) -> str:
    errors = [layer.error for layer in layers]
    worst = max(layers, key=lambda layer: layer.error)
    if not worst.error:
        return t("error per layer: none in {n} layers", n=len(errors))
    return t(
        "error per layer: {bars} up to {error:.2g} in layer {layer} of {n}",
        bars=_bars(errors),
        error=worst.error,
        layer=worst.layer + 1,
        n=len(errors),
    )


def _table(candidate: Candidate, width: int) -> Iterator[str]:
    """Measures in rows, languages in columns: as many beside each other as there is room for."""
    labels = [label for label, _ in _rows(candidate.languages["all"])]
    label_cells = max(map(text_cells, labels))
    columns = [
        [t("all") if name == "all" else name, *(value for _, value in _rows(measures))]
        for name, measures in candidate.languages.items()
    ]
    sizes = [max(map(text_cells, column)) + _GAP for column in columns]
    start = 0
    while start < len(columns):
        end = start + 1
        while end < len(columns) and label_cells + sum(sizes[start : end + 1]) <= width:
            end += 1
        if start:
            yield ""
        for place, label in enumerate(["", *labels]):
            cells = zip(columns[start:end], sizes[start:end], strict=True)
            yield padded(label, label_cells) + "".join(right(column[place], size) for column, size in cells)
        start = end


def _rows(measures: Measures) -> list[tuple[str, str]]:
    return [
        (t("positions"), f"{measures.n_tokens:,}"),
        (t("KL mean"), _with_error(measures.kl_mean, measures.kl_error)),
        (t("KL median"), _short(measures.kl_median)),
        (t("KL 99 %"), _short(measures.kl_99)),
        (t("KL largest"), _short(measures.kl_max)),
        (t("top-1 alike"), f"{100 * measures.top1:.1f} %"),
        (t("top-5 alike"), f"{100 * measures.top5:.1f} %"),
        (t("perplexity"), _with_error(measures.perplexity, measures.perplexity_error)),
        (
            t("of the reference"),
            _with_error(measures.reference_perplexity, measures.reference_perplexity_error),
        ),
        (t("ratio of both"), _with_error(measures.ratio, measures.ratio_error)),
    ]


def _with_error(value: float, error: float) -> str:
    if not math.isfinite(value):
        return "∞"
    digits = max(0, min(4, -math.floor(math.log10(error)))) if error > 0 else 4
    if value >= 1e6:
        return f"{value:.3g} ±{error:.1g}"
    return f"{value:.{digits}f} ±{error:.{digits}f}"


def _short(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-6 else "<1e-6" if value else "0"


def _bars(values: Sequence[float]) -> str:
    """A bar for each value, from 0 to the largest that is finite."""
    most = max((value for value in values if math.isfinite(value)), default=0.0)
    return "".join(_bar(value, most) for value in values)


def _bar(value: float, most: float) -> str:
    if value <= 0 or most <= 0:
        return " " if value <= 0 else _BARS[-1]
    return _BARS[min(len(_BARS) - 1, int(min(value / most, 1.0) * len(_BARS)))]


def _prompt_lines(place: int, prompt: WorstPrompt, width: int) -> Iterator[str]:
    head = f"{place}. {prompt.language}, KL {_short(prompt.kl)}: "
    yield head + _cut(prompt.prompt, width - text_cells(head))
    if prompt.answer is None or prompt.reference_answer is None:
        return
    if prompt.first_difference is None:
        yield "   " + t("both: {answer}", answer=_one_line(prompt.answer))
        return
    yield "   " + t("reference: {name}", name=_one_line(prompt.reference_answer))
    yield "   " + t("candidate: {answer}", answer=_one_line(prompt.answer))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, n_cells: int) -> str:
    """One line of at most so many cells."""
    line = _one_line(text)
    if text_cells(line) <= n_cells:
        return line
    while line and text_cells(line) > max(n_cells, 8) - 1:
        line = line[:-1]
    return f"{line}…"
