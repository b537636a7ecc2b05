"""A calibration with everything decided and nothing written."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from belle_edge.convert.gguf_writer import ModelFile
from belle_edge.convert.moments.calibration_report import CalibrationReport
from belle_edge.convert.moments.calibration_run import CalibrationRun, groups_of
from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.moments.hidden_states import HiddenStates
from belle_edge.convert.moments.moments_facts import MomentsFacts
from belle_edge.convert.moments.moments_file import Moments
from belle_edge.convert.moments.moments_layout import MomentsLayout
from belle_edge.convert.moments.token_texts import TokenTexts
from belle_edge.convert.moments.weight_sample import WeightSample
from belle_edge.convert.partial_file import check_free_space, partial_file
from belle_edge.convert.progress import ProgressCallback
from belle_edge.convert.quantization import BLOCK_BYTES
from belle_edge.convert.reference import ReferenceModel
from belle_edge.errors import ConversionError

PASS_TOKENS = 4096  # that the reference model takes through a layer together


@dataclass(frozen=True)
class CalibrationTask:
    """What is computed, and where each result lies in the file."""

    source: CalibrationSource
    texts: TokenTexts
    model: ReferenceModel
    facts: MomentsFacts
    layout: MomentsLayout
    threads: int

    @classmethod
    def of(
        cls,
        source: CalibrationSource,
        texts: TokenTexts,
        *,
        full: bool,
        threads: int,
    ) -> CalibrationTask:
        """Plan. ConversionError for a model that is not computed here."""
        if not texts.n_tokens:
            raise ConversionError(
                "[data] expected texts, got none with a token: give more of them with --data"
            )
        model = ReferenceModel(source.tensors, source.metadata, threads=threads)
        facts = MomentsFacts(
            kind="moments",
            n_tokens=texts.n_tokens,
            n_texts=len(texts.lengths),
            datasets=tuple(file.name for file in texts.files),
            languages=tuple(file.language for file in texts.files if file.language is not None),
            token_sha256=texts.sha256,
            model_name=source.name,
        )
        layout = MomentsLayout.of(
            groups_of(model),
            facts,
            WeightSample.of(source.tensors),
            architecture=source.architecture,
            full=full,
        )
        return cls(source, texts, model, facts, layout, threads)

    @property
    def memory_bytes(self) -> int:
        """Upper estimate of anonymous memory: interpreter and tokenizer, hidden states, activations, a layer's sums."""
        shape, n_tokens = self.model.shape, self.texts.n_tokens
        together = min(n_tokens, PASS_TOKENS)
        attention = 2 * (shape.q_width + shape.kv_width) + 2 * shape.width
        activations = together * (attention + 2 * shape.feed_forward)
        widths = [group.n_columns for group in self.layout.groups]
        inputs_of_layer = len(self.model.inputs(0))
        sums = sum(width * width for width in widths[:inputs_of_layer])
        packing = max(width * width for width in widths)
        floats = 3 * n_tokens * shape.width + activations + sums + packing
        n_rows = self.model.tensors["token_embd.weight"].shape[0]
        return (128 << 20) + 2048 * n_rows + 7 * BLOCK_BYTES + 4 * floats

    @property
    def fingerprint(self) -> str:
        """A hash of what decides the file: its header, and the state of the files that the model lies in."""
        digest = hashlib.sha256(self.layout.header.content)
        for file in self.source.weight_files:
            digest.update(f"\0{file.stamp}".encode())
        return digest.hexdigest()

    def write(self, out: Path, *, force: bool, resume: bool, progress: ProgressCallback | None) -> None:
        """Compute, and give the file its name when it is complete."""
        states = HiddenStates(out, calibration=self.fingerprint)
        n_state_bytes = (
            2 * 4 * self.texts.n_tokens * self.model.width
        )  # the last layer's, while the next is written
        check_free_space(out, self.layout.header.file_bytes + n_state_bytes)
        try:
            with partial_file(out, conversion=self.fingerprint, resume=resume, replace=force) as (
                file,
                journal,
            ):
                output = ModelFile(file, self.layout.header)
                run = CalibrationRun(
                    self.model,
                    self.texts,
                    self.layout,
                    output,
                    journal,
                    states,
                    self.threads,
                    progress,
                )
                for source in self.source.weight_files:
                    source.begin_pass()
                run.compute(resume=resume)
                for source in self.source.weight_files:
                    source.end_pass()
                output.finish()
        except ConversionError:
            states.remove()
            raise
        states.remove()

    def check_complete(self, out: Path) -> None:
        """ConversionError unless the file that is there is what this task writes."""
        found = Moments.open(out)
        sample = WeightSample.of(self.source.tensors)
        is_same_model = found.sample is not None and sample.is_of(found.sample)
        if found.facts != self.facts or found.has_full != self.layout.has_full or not is_same_model:
            raise ConversionError(
                f"[{out}] is of another calibration, and complete: --force overwrites it, or choose another name"
            )

    def report(self, src: str, out: Path, *, warnings: Sequence[str], seconds: float) -> CalibrationReport:
        """What was done."""
        groups = self.layout.groups
        return CalibrationReport(
            source=src,
            output=str(out),
            output_bytes=self.layout.header.file_bytes,
            architecture=self.source.architecture,
            name=self.source.name,
            n_matrices=sum(len(group.matrices) for group in groups),
            n_inputs=len(groups),
            has_full=self.layout.has_full,
            n_tokens=self.texts.n_tokens,
            n_texts=len(self.texts.lengths),
            datasets=self.facts.datasets,
            languages=self.facts.languages,
            token_sha256=self.texts.sha256,
            memory_bytes=self.memory_bytes,
            warnings=tuple(warnings),
            seconds=seconds,
        )
