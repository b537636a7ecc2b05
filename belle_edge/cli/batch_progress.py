"""How far a batch is: a line on standard error that changes on a terminal, and comes now and then in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from ..languages import t

if TYPE_CHECKING:
    from ..batch.forecast import Forecast
    from ..generation.batch_results import BatchProgress

_ON_A_TERMINAL_S, _IN_A_LOG_S = 0.2, 30.0


class ProgressLine:
    """Rate, tokens, and the time left where the number of records is known."""

    def __init__(self, total: int | None, *, quiet: bool) -> None:
        """total: records of the input. quiet: show nothing."""
        self._total = total
        self._n_earlier = 0
        self._quiet, self._moves = quiet, sys.stderr.isatty()
        self._pause_s = _ON_A_TERMINAL_S if self._moves else _IN_A_LOG_S
        self._shown_at = time.monotonic()

    def begin_after(self, n_earlier: int) -> None:
        """So many records were answered by earlier runs."""
        self._n_earlier = n_earlier

    def show(self, progress: BatchProgress) -> None:
        """Show it, if the last time was long enough ago."""
        now = time.monotonic()
        if self._quiet or now - self._shown_at < self._pause_s:
            return
        self._shown_at = now
        text = progress_text(progress, self._total, self._n_earlier)
        start, end = ("\r\x1b[K", "") if self._moves else ("", "\n")
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave no line behind on a terminal."""
        if self._moves and not self._quiet:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def progress_text(progress: BatchProgress, total: int | None, n_earlier: int) -> str:
    """The numbers of a progress, for people."""
    seconds = max(progress.seconds, 1e-9)
    rate = progress.n_done / seconds
    n_done = progress.n_done + n_earlier
    of_total = t("{n} of {total} records", n=n_done, total=max(total, n_done)) if total else None
    text = t(
        "{records}, {rate:.2f} a second, {prompt} + {answer} tokens, {speed:.1f} tokens/s",
        records=of_total or t("{n} records", n=n_done),
        rate=rate,
        prompt=progress.prompt_tokens,
        answer=progress.completion_tokens,
        speed=progress.completion_tokens / seconds,
    )
    if progress.n_failed:
        text += t(", {n} refused", n=progress.n_failed)
    if total and total > n_done and rate > 0:
        text += t(", {time} left", time=duration_text((total - n_done) / rate))
    return text


def forecast_lines(found: Forecast) -> list[str]:
    """A forecast, for people."""
    lines = [
        t("{n} records, {refused} of them refused", n=f"{found.n_records:,}", refused=f"{found.n_refused:,}"),
        t(
            "{prompt} tokens in prompts, at most {answer} in answers",
            prompt=f"{found.prompt_tokens:,}",
            answer=f"{found.most_answer_tokens:,}",
        ),
    ]
    if found.seconds is not None:
        time_text = duration_text(found.seconds)
        lines.append(t("about {time}, by {n} records answered now", time=time_text, n=found.n_measured))
    if found.most_seconds is not None:
        lines.append(
            t(
                "at most {time}, if every answer is as long as it may be",
                time=duration_text(found.most_seconds),
            )
        )
    return lines


def duration_text(seconds: float) -> str:
    """3 s, 2 min 5 s, 3 h 12 min."""
    whole = round(seconds)
    if whole < 60:
        return t("{n} s", n=whole)
    if whole < 3600:
        return t("{m} min {s} s", m=whole // 60, s=whole % 60)
    return t("{h} h {m} min", h=whole // 3600, m=whole % 3600 // 60)
