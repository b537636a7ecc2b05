"""The conversion from end to end: open, map, identify, plan, then stream every tensor into the output."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from belle_edge._core import kv_head_bytes
from belle_edge.convert.conversion_report import ConversionReport, TensorReport
from belle_edge.convert.gguf_job import prepare_gguf
from belle_edge.convert.job import Job, conversion_memory_bytes, planner
from belle_edge.convert.keyword_groups import groups_of
from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.optimize.calibrating import Calibrating, Run
from belle_edge.convert.optimize.optimization import Optimization
from belle_edge.convert.optimize.optimized_job import Opened, optimized_job
from belle_edge.convert.optimize.receipt import receipt_of
from belle_edge.convert.output import Output
from belle_edge.convert.progress import ProgressCallback
from belle_edge.convert.source_model import read_source
from belle_edge.convert.sources.gguf.gguf_source import is_gguf, open_gguf, parts_of
from belle_edge.convert.sources.opening import open_checkpoint
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.convert.trim import TrimRequest
from belle_edge.convert.type_costs import TypeCost, other_costs, type_cost
from belle_edge.convert.type_rules import TypeRules
from belle_edge.errors import ConversionError
from belle_edge.settings import threads_or_all

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from belle_edge.convert.keyword_groups import ConversionSettings


def convert(
    src: str | Path,
    out: str | Path | None = None,
    *,
    type: str | TypeRules | None = None,
    family: str | None = None,
    source: SourceOptions | None = None,
    trim: TrimRequest | None = None,
    optimize: str | bool | Optimization | None = None,
    force: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    threads: int = 0,
    progress: ProgressCallback | None = None,
    **settings: Unpack[ConversionSettings],
) -> ConversionReport:
    """Convert a checkpoint to a GGUF file.

    src: a Hugging Face folder, a weight file in one, or a hub id (then `revision` may name a branch, tag or commit);
        or a folder of Meta's with params.json and consolidated.*.pth; or a llama.cpp file from before GGUF (ggml,
        ggjt); or a GGUF file, whose matrices get other types.
    out: the file to write; it appears only when it is complete. May be left out with `dry_run`.
    type: of the matrices, a type or a mix of types: f16, q8_0, q4_k_m, … (`TypeRules`); None: the default mix. Norms
        and biases are always f32. Or a `TypeRules`, or its other fields by name:
        tensor_type: "blk.*.ffn_down=q8_0", or several: types of the matrices whose names match; the last one counts.
        head_type, embedding_type: of the output matrix, and of the embedding.
        pure: only the type that most matrices of the mix have.
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
    optimize: how carefully rows are rounded, "fast" or "best": by what the matrices are multiplied with on texts. None:
        each value to the nearest. "best" computes that along the rounded model, layer after layer. Or by name:
        calibration: the texts, as for `calibrate`; or a moments file of it, or an imatrix of llama.cpp. None: those
            that come with the package.
        target_size: bytes that the file may have, as 3900000000 or "3.9GB": types are chosen for each matrix by what
            its rounding does to answers. `type` and `pure` are left out then.
    force: overwrite an existing `out`, and drop an interrupted conversion of it.
    resume: go on with an interrupted conversion of `out`, if there is one; the result is the same byte for byte.
    dry_run: write nothing; the report's sizes are exact all the same. With target_size texts are computed even so.
    threads: for quantization, 0 = every usable processor.
    progress: called after every block of a few MB.

    Raises ConversionError, with the file or tensor and what to do, OSError for failing reads and writes, and ValueError
    for a number of threads out of range, a name that is no setting, and a setting beside the group it belongs to.
    """
    start = time.monotonic()
    threads = threads_or_all("[threads]", threads)
    rules, source, trim, optimization = groups_of(type, source, trim, optimize, settings)
    target = Path(out).expanduser() if out is not None else None
    if target is None and not dry_run:
        raise ConversionError("[out] no output file given")
    output = None
    if target is not None and not dry_run:
        output = Output(target, force=force, resume=resume, threads=threads, progress=progress)
        parts = parts_of(src) if is_gguf(src) else ()
        texts = [*(trim.corpora if trim else ()), *(optimization.files if optimization else ())]
        output.check(src, [*source.places, *parts, *texts])
    opened = _open(src, source, trim, family=family)
    with ExitStack() as made:
        if optimization is None:
            job = opened.plan(rules)
        else:
            run = Run(None if dry_run else target, force, resume, threads, progress)
            calibrating = made.enter_context(Calibrating(src, source, optimization, run, family=family))
            job = optimized_job(opened, rules, optimization, calibrating, dry_run=dry_run)
        if output is not None:
            job = output.write(job)
    return _report(
        job,
        source=str(src),
        target=target,
        dry_run=dry_run,
        seconds=time.monotonic() - start,
    )


def _open(src: str | Path, source: SourceOptions, trim: TrimRequest | None, *, family: str | None) -> Opened:
    """A GGUF, or a checkpoint in any other form."""
    if not is_gguf(src):
        found = read_source(open_checkpoint(src, source), family=family)
        return Opened(planner(found, trim=trim), lambda: CalibrationSource.of_checkpoint(found))
    if trim is not None:
        raise ConversionError(
            f"[vocab] {Path(src).name} is a GGUF file: a vocabulary is cut down when the checkpoint is converted"
        )
    file = open_gguf(src, source)
    return Opened(
        lambda rules: prepare_gguf(file, rules, family=family),
        lambda: CalibrationSource.of_gguf(file, family=family),
    )


def _report(job: Job, *, source: str, target: Path | None, dry_run: bool, seconds: float) -> ConversionReport:
    facts = job.facts
    return ConversionReport(
        source=source,
        output=str(target) if target is not None else None,
        dry_run=dry_run,
        architecture=facts.architecture,
        type=job.mix.name,
        name=facts.name,
        family=facts.family,
        confidence=facts.confidence,
        license=facts.license,
        n_tokens=facts.n_tokens,
        n_padding_tokens=facts.n_padding_tokens,
        source_bytes=facts.source_bytes,
        output_bytes=job.output_bytes,
        conversion_memory_bytes=conversion_memory_bytes(job),
        weight_bytes=job.weight_bytes,
        kv_bytes_per_token=facts.n_layers * kv_head_bytes("f16", facts.kv_width),
        context_length=facts.context_length,
        costs=_costs(job),
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
        optimized=receipt_of(job.metadata),
        tokenizer=facts.tokenizer,
    )


def _costs(job: Job) -> list[TypeCost]:
    """That of the file's own type first, where the file is just what the name says; then of others."""
    facts, shapes = job.facts, {tensor.name: tensor.shape for tensor in job.planned}
    shape = {"n_layers": facts.n_layers, "key_sharing": facts.key_sharing}
    own = type_cost(job.mix.name, shapes, facts.architecture, **shape)
    others = other_costs(own.type, shapes, facts.architecture, **shape)
    return [own, *others] if own.weight_bytes == job.weight_bytes else others
