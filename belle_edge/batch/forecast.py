"""What a job will take, before it is run: its tokens counted, its time predicted from a few of its records."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .batch_job import BatchJob
from .input_records import InputRecord

_MOST_TOKENS = 64  # of an answer that is written for the measurement
_MOST_PROBLEMS = 5  # that are kept


@dataclass(frozen=True)
class Forecast:
    """Of all records of an input. Times are in seconds; None where there was nothing to measure."""

    n_records: int
    n_refused: int
    prompt_tokens: int
    most_answer_tokens: int  # if every answer is as long as it may be
    n_measured: int  # records that were answered for it
    seconds: (
        float | None
    )  # with answers as long as those measured; None: they were longer than what was written
    most_seconds: float | None
    problems: Sequence[str]  # of the first records that are refused


def forecast(job: BatchJob, records: Iterable[InputRecord], *, max_batch: int) -> Forecast:
    """Count everything, and answer up to `max_batch` records taken by chance. Memory does not grow with the input."""
    chance = random.Random(0)
    n_records = n_prompt = n_most = n_good = 0
    sample: list[tuple[Mapping[str, Any], int]] = []  # items, and tokens of their answers at most
    problems: list[str] = []
    for record in records:
        n_records += 1
        try:
            item, n_tokens, n_limit = job.measured(record)
        except ValueError as error:
            if len(problems) < _MOST_PROBLEMS:
                problems.append(f"line {record.line}: {error}")
            continue
        n_prompt, n_most, n_good = n_prompt + n_tokens, n_most + n_limit, n_good + 1
        place = chance.randrange(n_good)  # Vitter's algorithm R
        if len(sample) < max_batch:
            sample.append((item, n_limit))
        elif place < max_batch:
            sample[place] = (item, n_limit)
    seconds = most_seconds = None
    if sample:
        seconds, most_seconds = _predicted(job, sample, n_good, n_prompt, n_most)
    return Forecast(
        n_records, n_records - n_good, n_prompt, n_most, len(sample), seconds, most_seconds, problems
    )


def _predicted(
    job: BatchJob, sample: Sequence[tuple[Mapping[str, Any], int]], n_records: int, n_prompt: int, n_most: int
) -> tuple[float | None, float]:
    """Seconds with answers as in the sample, and with the longest ones."""
    short_s, short = _timed(job, [{**item, "max_tokens": 1} for item, _ in sample])
    cut = [{**item, "max_tokens": min(limit, _MOST_TOKENS)} for item, limit in sample]
    long_s, long = _timed(job, cut)
    a_prompt_token_s = short_s / max(1, sum(prompt for prompt, _, _ in short))
    n_steps = sum(max(0, answer - 1) for _, answer, _ in long)
    a_token_s = max(0.0, long_s - short_s) / n_steps if n_steps else 0.0
    reading_s = n_prompt * a_prompt_token_s
    ended = all(
        reason != "length" or limit <= _MOST_TOKENS
        for (_, _, reason), (_, limit) in zip(long, sample, strict=True)
    )
    mean = sum(answer for _, answer, _ in long) / len(long)
    return reading_s + n_records * mean * a_token_s if ended else None, reading_s + n_most * a_token_s


def _timed(job: BatchJob, items: Sequence[Mapping[str, Any]]) -> tuple[float, list[tuple[int, int, str]]]:
    """Wall time of answering `items`, and for each its tokens, those of its answer, and why it ended."""
    start = time.perf_counter()
    results = [result.generation for result in job.answers(items)]
    seconds = time.perf_counter() - start
    return seconds, [
        (0, 0, "stop")
        if result is None
        else (result.prompt_tokens, result.completion_tokens, result.finish_reason)
        for result in results
    ]
