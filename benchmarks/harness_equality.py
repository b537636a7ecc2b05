"""Does our engine answer lm-evaluation-harness as its `hf` model does? Five tasks over local files, request by request.

    python benchmarks/harness_equality.py CHECKPOINT [--family belle] [--threads 2]

CHECKPOINT: a folder, or a GGUF file that transformers can dequantize. The tasks are those of examples/evaluation: run
it in the root of the repository. Two of them run a second time in the model's chat template.
Needs the extra `test`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lm_eval
from fidelity_files import float_gguf
from harness_peers import hf_model, machine, our_model
from lm_eval.tasks import TaskManager

TASKS = Path("examples/evaluation")
IN_TEMPLATE = ("ceval-valid_computer_network", "triviaqa")


@dataclass
class Row:
    """One task: what both models answered."""

    task: str
    n_requests: int = 0
    difference: float = 0.0  # the largest of a log-probability
    n_other: int = 0  # other texts, or another greedy choice
    metrics: tuple[str, str] = ("", "")

    def add(self, ours: Any, theirs: Any) -> None:
        """One answer: a text, a log-probability, or a pair of that and whether it is greedy."""
        self.n_requests += 1
        if isinstance(ours, str):
            self.n_other += ours != theirs
            return
        (mine, *my_choice), (other, *other_choice) = (
            (answer if isinstance(answer, (tuple, list)) else (answer,)) for answer in (ours, theirs)
        )
        self.difference = max(self.difference, abs(mine - other))
        self.n_other += my_choice != other_choice


def evaluated(model: Any, *, chat: bool) -> dict[str, Any]:
    """Results and samples of the tasks."""
    found: dict[str, Any] = lm_eval.simple_evaluate(
        model=model,
        tasks=["belle_local"],
        task_manager=TaskManager(include_path=str(TASKS)),
        log_samples=True,
        bootstrap_iters=0,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
    )
    return found


def compared(ours: dict[str, Any], theirs: dict[str, Any], names: list[str]) -> Iterator[Row]:
    for name in names:
        row = Row(name, metrics=(metrics(ours, name), metrics(theirs, name)))
        for mine, other in zip(ours["samples"][name], theirs["samples"][name], strict=True):
            assert mine["arguments"] == other["arguments"]
            for one, another in zip(mine["resps"], other["resps"], strict=True):
                row.add(one[0], another[0])
        yield row


def metrics(found: dict[str, Any], task: str) -> str:
    values = {name.partition(",")[0]: value for name, value in found["results"][task].items()}
    return " ".join(
        f"{name} {value:.4f}"
        for name, value in values.items()
        if isinstance(value, float) and "stderr" not in name
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--family")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="without the chat template")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours = our_model(
            float_gguf(options.checkpoint, Path(folder)), threads=options.threads, family=options.family
        )
    theirs = hf_model(
        options.checkpoint, threads=options.threads, batch_size=1, max_length=ours.model.context
    )
    theirs.tokenizer.chat_template = ours.chat_template(True)
    print(f"{options.checkpoint.name}, float32; {machine(options.threads)}; lm-eval {lm_eval.__version__}\n")
    print("| task | requests | largest difference | other answers | ours | hf |")
    print("|---|--:|--:|--:|---|---|")
    for chat in (False,) if options.plain else (False, True):
        found = [evaluated(model, chat=chat) for model in (ours, theirs)]
        names = [name for name in found[0]["samples"] if not chat or name in IN_TEMPLATE]
        for row in compared(found[0], found[1], names):
            print(
                f"| {row.task}{', chat template' if chat else ''} | {row.n_requests} | {row.difference:.1e} | "
                f"{row.n_other} | {row.metrics[0]} | {row.metrics[1]} |"
            )


if __name__ == "__main__":
    main()
