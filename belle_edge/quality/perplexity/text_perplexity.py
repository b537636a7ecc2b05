"""The perplexity of a loaded model on a file: running text in windows, or the answers of records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from belle_edge.convert.moments.data_files import DataFile
from belle_edge.errors import ConversionError
from belle_edge.model import Belle
from belle_edge.quality.perplexity.estimate import Estimate, LossSums
from belle_edge.quality.perplexity.token_losses import batches, token_losses
from belle_edge.quality.texts.scored_text import ScoredText, answer_text, windows
from belle_edge.quality.texts.text_files import records, running_text

DEFAULT_WINDOW = 512  # tokens, as llama.cpp's tool has


@dataclass(frozen=True)
class Material:
    """What a file gives to score."""

    name: str  # of the file, without its folder
    kind: Literal["windows", "answers"]
    texts: Sequence[ScoredText]  # with something to score in each
    n_context: int  # tokens of a text, at most
    n_cut: int = 0  # answers that the context cut
    n_left_out: int = (
        0  # records without anything to score: empty answers, and questions as long as the context
    )
    n_whole: int = 0  # records that are no dialogue: all their tokens but the first are scored
    in_template: bool = False  # whether dialogues were put into a chat template


@dataclass(frozen=True)
class Step:
    """Sent after each text."""

    n_done: int
    n_texts: int
    estimate: Estimate  # of the texts so far


def read_material(
    model: Belle, file: DataFile, *, context: int | None = None, most: int | None = None
) -> Material:
    """Read and tokenize a file.

    context: tokens of a window (None: 512), or of a record with its answer (None: the model's context). most: windows,
    or records, at most. Raises ValueError for a context beyond the model's, and for a text shorter than two windows;
    ConversionError, with file and line, for what cannot be read.
    """
    if context is not None and context > model.context:
        raise ValueError(f"[perplexity] context: expected at most the model's {model.context}, got {context}")
    if file.is_json:
        return _answers(model, file, context or model.context, most)
    n_context = context or min(DEFAULT_WINDOW, model.context)
    text = running_text(file)
    found = windows(text, model.tokenizer, n_context=n_context, most=most, name=str(file.path))
    return Material(file.name, "windows", found, n_context)


def measure(model: Belle, material: Material, *, progress: Callable[[Step], None]) -> Estimate:
    """Score all texts. Raises what the engine does."""
    sums, n_done = LossSums(), 0
    for batch in batches(model.backend, material.texts):
        for losses in token_losses(model.backend, batch):
            sums.add(losses)
            n_done += 1
            progress(Step(n_done, len(material.texts), sums.estimate()))
    return sums.estimate()


def _answers(model: Belle, file: DataFile, n_context: int, most: int | None) -> Material:
    found = list(islice(records(file), most))
    texts = [
        answer_text(record, model.tokenizer, model.chat_format, most_tokens=n_context) for record in found
    ]
    scored = [text for text in texts if text.n_scored]
    if not scored:
        raise ConversionError(
            f"[{file.path}] nothing to score in its {len(found)} records: expected answers with text, behind questions"
            f" shorter than {n_context} tokens"
        )
    return Material(
        file.name,
        "answers",
        scored,
        n_context,
        n_cut=sum(text.is_cut for text in scored),
        n_left_out=len(texts) - len(scored),
        n_whole=sum(not record.text.messages for record in found),
        in_template=model.chat_format.template is not None,
    )
