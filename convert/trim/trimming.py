"""A model and its tokenizer cut down to the tokens that a request keeps, proved on texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from belle_edge.convert.architectures.mapped_model import MappedModel, MappedTensor, Metadata
from belle_edge.convert.gguf_tokenizer import TokenizerTables
from belle_edge.convert.sources.row_subset import RowSubset
from belle_edge.convert.trim.corpus import corpus_texts, in_prompt, prompt_frame
from belle_edge.convert.trim.languages import characters_of
from belle_edge.convert.trim.membership import AllowedText
from belle_edge.convert.trim.proof import compare, sample_texts
from belle_edge.convert.trim.request import TrimRequest
from belle_edge.convert.trim.selection import Selection, close, ids_within, indispensable_ids
from belle_edge.convert.trim.tokenizer_json import trimmed_json
from belle_edge.errors import ConversionError
from belle_edge.text.tokenizer import Tokenizer

_VOCABULARY_TENSORS = ("token_embd.weight", "output.weight", "output.bias")  # one row, or value, per token


@dataclass(frozen=True)
class TrimmedModel:
    """What takes the place of a model and its tables, and what the report and the file say about it."""

    model: MappedModel
    tables: TokenizerTables
    kept: str  # languages and hashes of corpora
    n_rows_before: int
    n_texts: int  # compared before and after
    n_tokens: int  # of these texts

    @property
    def metadata(self) -> Metadata:
        return {
            "belle.vocabulary.original_rows": self.n_rows_before,
            "belle.vocabulary.kept": self.kept,
        }


def trim_vocabulary(
    model: MappedModel, tables: TokenizerTables, request: TrimRequest, *, template: str | None
) -> TrimmedModel:
    """Keep the tokens that `request` asks for, see selection.py; rows without a token go, too.

    template: the model's chat template; texts of a corpus are taken in its words as well.
    Raises ConversionError for a vocabulary that is not byte-level BPE, for unusable corpora, and for a text whose
    tokens changed.
    """
    if tables.model != "gpt2":
        raise ConversionError(
            "[vocab] expected a byte-level BPE vocabulary (BLOOM's), got SentencePiece's (LLaMA's), which is small and"
            " whose tokens are not made by a list of merges: convert without --vocab and --vocab-from"
        )
    before = Tokenizer.from_metadata(tables.metadata())
    wanted = indispensable_ids(tables, before)
    samples: list[int] = []
    allowed = AllowedText(())
    if request.languages:
        allowed = AllowedText(characters_of(request.languages))
        samples = sorted(ids_within(tables, before, allowed))
        wanted.update(samples)
    frame = prompt_frame(template)
    for text in _corpus(request, frame):
        wanted.update(before.encode(text, add_bos=False, add_eos=False))
    selection = close(tables, wanted)
    trimmed = trimmed_tables(tables, selection)
    after = Tokenizer.from_metadata(trimmed.metadata())
    n_texts, n_tokens = (
        sum(counts)
        for counts in zip(
            compare(before, after, selection.ids, sample_texts(before, samples, allowed)),
            compare(before, after, selection.ids, _corpus(request, frame)),
            strict=True,
        )
    )
    return TrimmedModel(
        trimmed_model(model, selection), trimmed, request.kept(), model.n_vocab_rows, n_texts, n_tokens
    )


def trimmed_tables(tables: TokenizerTables, selection: Selection) -> TokenizerTables:
    """The tables of the kept tokens under their new ids."""
    new_ids = {old: new for new, old in enumerate(selection.ids)}

    def mapped(old: int | None) -> int | None:
        return None if old is None else new_ids[old]

    merges = tables.merges or []
    return dataclasses.replace(
        tables,
        tokens=[tables.tokens[old] for old in selection.ids],
        types=[tables.types[old] for old in selection.ids],
        merges=[merges[place] for place in selection.merges],
        bos_id=mapped(tables.bos_id),
        eos_id=mapped(tables.eos_id),
        unk_id=mapped(tables.unk_id),
        pad_id=mapped(tables.pad_id),
        strip_left=[new_ids[old] for old in tables.strip_left],
        strip_right=[new_ids[old] for old in tables.strip_right],
        end_ids=[new_ids[old] for old in tables.end_ids],
        huggingface_json=trimmed_json(tables.huggingface_json, selection)
        if tables.huggingface_json is not None
        else None,
        n_padding=0,
    )


def trimmed_model(model: MappedModel, selection: Selection) -> MappedModel:
    """The model with the kept rows of its vocabulary tensors."""
    rows = np.array(selection.ids, dtype=np.intp)
    tensors = [
        MappedTensor(tensor.name, RowSubset(tensor.source, rows))
        if tensor.name in _VOCABULARY_TENSORS
        else tensor
        for tensor in model.tensors
    ]
    size = {key: rows.size for key in model.metadata if key.endswith(".vocab_size")}
    return dataclasses.replace(
        model, tensors=tensors, n_vocab_rows=int(rows.size), metadata={**model.metadata, **size}
    )


def _corpus(request: TrimRequest, frame: str | None) -> Iterator[str]:
    """Every text of the corpora, alone and as it meets the words of a prompt."""
    for path in request.corpora:
        for text in corpus_texts(path):
            yield text
            if frame is not None:
                yield in_prompt(frame, text)
