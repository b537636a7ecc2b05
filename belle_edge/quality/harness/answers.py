"""Requests of lm-eval for generated text: their settings, and the answers, many of them in each pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...generation.answer import Answer, Window
from ...generation.batch import stream_batch
from ...generation.loaded_model import LoadedModel
from ...sampling import SAMPLING_NUMBERS, SamplingParams

_PASSED_ON = (*SAMPLING_NUMBERS, "seed")
# Settings of other engines that change nothing when they have one of these values.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "num_beams": (1, None),
    "num_return_sequences": (1, None),
    "use_cache": (True, False, None),
    "early_stopping": (True, False, None),
}


@dataclass(frozen=True)
class AnswerSettings:
    """What the requests of a task say of their answers."""

    params: SamplingParams
    max_tokens: int


@dataclass(frozen=True)
class AnswerRequest:
    ids: list[int]
    settings: AnswerSettings


def settings_of(given: Mapping[str, Any], *, default_max_tokens: int, eos_text: str) -> AnswerSettings:
    """Of lm-eval's generation arguments. Greedy unless they ask for samples; what they leave out is neutral.

    eos_text: it ends an answer, too. ValueError for a setting that the engine does not have, or one out of range.
    """
    from lm_eval.models.utils import normalize_gen_kwargs

    settings: dict[str, Any] = dict(normalize_gen_kwargs(dict(given), default_max_tokens))
    until = [text for text in settings.pop("until") if text]
    stop = [*until, eos_text] if eos_text and eos_text not in until else until
    max_tokens = settings.pop("max_gen_toks")
    if not settings.pop("do_sample"):
        settings["temperature"] = 0.0
    for name, harmless in _NEUTRAL.items():
        if name in settings and (value := settings.pop(name)) not in harmless:
            raise ValueError(
                f"[harness] {name}: expected {harmless[0]}, got {value!r}: answers are sampled or greedy"
            )
    unknown = sorted(settings.keys() - set(_PASSED_ON))
    if unknown:
        raise ValueError(
            f"[harness] generation argument '{unknown[0]}' is unknown (known: until, max_gen_toks, do_sample, "
            f"{', '.join(_PASSED_ON)})"
        )
    return AnswerSettings(SamplingParams().merged(**settings, stop=stop), max_tokens)


def answers_of(
    model: LoadedModel, requests: Sequence[AnswerRequest], *, context: int, max_batch: int
) -> Iterator[tuple[int, str]]:
    """(index, text) of each answer, in the order in which they end. What prompts begin with is computed once.

    context: tokens of prompt and answer together; of a longer prompt the beginning is cut, as lm-eval's `hf` does.
    max_batch: answers that are written at a time. ValueError where an answer leaves no room for a prompt.
    """
    window = Window(model.context)
    order = sorted(
        range(len(requests)), key=lambda index: requests[index].ids
    )  # those that begin alike follow each other

    def answer_of(request: AnswerRequest) -> Answer:
        settings = request.settings
        room = context - settings.max_tokens
        if room < 1:
            raise ValueError(
                f"[harness] max_gen_toks: {settings.max_tokens} tokens leave no room for a prompt in {context}"
            )
        return Answer(
            model.backend,
            model.tokenizer,
            request.ids[-room:],
            settings.params,
            max_tokens=settings.max_tokens,
            window=window,
        )

    answers = [answer_of(requests[index]) for index in order]
    for place, result in stream_batch(model.scheduler, answers, max_batch=max_batch):
        if isinstance(result, ValueError):
            raise result
        yield order[place], _as_decoded(model, result.text)


def _as_decoded(model: LoadedModel, text: str) -> str:
    """An answer as its tokens read by themselves: SentencePiece takes a space off the first one."""
    return text.removeprefix(" ") if model.tokenizer.vocabulary.add_space_prefix else text
