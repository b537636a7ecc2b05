"""The conversion from end to end: open, map, identify, plan, then stream every tensor into the output."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from belle_edge._core import kv_head_bytes
from belle_edge.convert.conversion_report import ConversionReport, TensorReport
from belle_edge.convert.job import Job, conversion_memory_bytes, prepare
from belle_edge.convert.keyword_groups import source_and_trim
from belle_edge.convert.output import Output
from belle_edge.convert.output_metadata import display_name
from belle_edge.convert.progress import ProgressCallback
from belle_edge.convert.source_model import read_source
from belle_edge.convert.sources.opening import open_checkpoint
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.convert.trim import TrimRequest
from belle_edge.errors import ConversionError
from belle_edge.settings import threads_or_all

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from belle_edge.convert.keyword_groups import ConversionSettings


def convert(
    src: str | Path,
    out: str | Path | None = None,
    *,
    type: str | None = None,
    family: str | None = None,
    source: SourceOptions | None = None,
    trim: TrimRequest | None = None,
    force: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    threads: int = 0,
    progress: ProgressCallback | None = None,
    **settings: Unpack[ConversionSettings],
) -> ConversionReport:
    """Convert a checkpoint to a GGUF file.

    src: a Hugging Face folder, a weight file in one, or a hub id (then `revision` may name a branch, tag or commit);
    or a folder of Meta's with params.json and consolidated.*.pth; or a llama.cpp file from before GGUF (ggml, ggjt).
    out: the file to write; it appears only when it is complete. May be left out with `dry_run`.
    type: of the matrices: f32, f16, bf16, q4_0, q4_1 or q8_0; None: q4_0. Norms and biases are always f32.
    family: prompt family (belle, belle-llama, belle-ext, belle-v2, none) in place of the recognised one.
    source: how the source is opened; or its fields by name:
        key: of an encrypted checkpoint (.enc files): Meta's original weights, or the folder with them.
        tokenizer: a folder or hub id whose tokenizer is taken, and whose config.json where the source has none.
        gptq_zeros: how a GPTQ checkpoint stores its zeros, "minus-one" or "plain"; None: found out.
        lora: folders of LoRA adapters (PEFT) to merge in float32, or (folder, weight).
        revision: of a hub id.
    trim: what to keep of the vocabulary; None: all of it. Kept tokens get new ids. Or by name:
        vocab: languages ("zh", "en", …) to keep the tokens of; others go, with their rows. Byte-level BPE (BLOOM) only.
        vocab_from: text, .json or .jsonl files to keep the tokens of, besides those of `vocab`.
    force: overwrite an existing `out`, and drop an interrupted conversion of it.
    resume: go on with an interrupted conversion of `out`, if there is one; the result is the same byte for byte.
    dry_run: write nothing; the report's sizes are exact all the same.
    threads: for quantization, 0 = every usable processor.
    progress: called after every block of a few MB.

    Raises ConversionError, with the file or tensor and what to do, OSError for failing reads and writes, and ValueError
    for a number of threads out of range, a name that is no setting, and a setting beside the group it belongs to.
    """
    start = time.monotonic()
    threads = threads_or_all("[threads]", threads)
    source, trim = source_and_trim(source, trim, settings)
    target = Path(out).expanduser() if out is not None else None
    if target is None and not dry_run:
        raise ConversionError("[out] no output file given")
    output = None
    if target is not None and not dry_run:
        output = Output(target, force=force, resume=resume, threads=threads, progress=progress)
        output.check(src, [*source.places, *(trim.corpora if trim is not None else ())])
    job = prepare(read_source(open_checkpoint(src, source), family=family), type=type, trim=trim)
    if output is not None:
        output.write(job)
    return _report(
        job,
        source=str(src),
        target=target,
        dry_run=dry_run,
        seconds=time.monotonic() - start,
    )


def _report(job: Job, *, source: str, target: Path | None, dry_run: bool, seconds: float) -> ConversionReport:
    model, tables, identity = job.source.model, job.source.tables, job.source.identity
    return ConversionReport(
        source=source,
        output=str(target) if target is not None else None,
        dry_run=dry_run,
        architecture=model.architecture,
        type=job.type,
        name=display_name(identity, model),
        family=identity.family,
        confidence=identity.confidence,
        license=identity.license.id if identity.license else None,
        n_tokens=len(tables.tokens),
        n_padding_tokens=tables.n_padding,
        source_bytes=job.source.checkpoint.n_bytes,
        output_bytes=job.output_bytes,
        conversion_memory_bytes=conversion_memory_bytes(job),
        weight_bytes=job.weight_bytes,
        kv_bytes_per_token=model.n_layers * kv_head_bytes("f16", model.kv_width),
        context_length=model.context_length,
        tensors=[
            TensorReport(
                tensor.name,
                tensor.shape,
                tensor.tensor.source.dtype,
                tensor.type,
                tensor.n_bytes,
                tensor.fallback,
            )
            for tensor in job.planned
        ],
        warnings=job.warnings,
        seconds=seconds,
        vocabulary=job.vocabulary,
        tokenizer=tables.comparison,
    )
