"""Measures a demonstration checkpoint: greedy answers on held-out items, per task and weight type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import tasks
from .tasks import Item

if TYPE_CHECKING:
    import torch

MAX_NEW_TOKENS = 48
WEIGHT_TYPES = ("f32", "q8_0", "q4_0")


def score(items: Sequence[Item], answer: Callable[[str], str]) -> dict[str, tuple[int, int]]:
    """Return {task: (right, asked)} for any engine; `answer` maps a prompt to its greedy text."""
    table: dict[str, tuple[int, int]] = {}
    for item in items:
        right, asked = table.get(item.task, (0, 0))
        table[item.task] = (right + tasks.is_correct(item, answer(item.prompt)), asked + 1)
    return table


def overall(table: dict[str, tuple[int, int]]) -> float:
    """Return the share of right answers over all items of a score table."""
    return sum(right for right, _ in table.values()) / sum(asked for _, asked in table.values())


def generate_all(model: Any, tokenizer: Any, prompts: Sequence[str]) -> dict[str, str]:
    """Greedy answers by transformers, prompts of equal length together so that nothing is ever padded."""
    import torch

    by_length: dict[int, list[tuple[str, list[int]]]] = defaultdict(list)
    for prompt, ids in zip(prompts, (tokenizer.encode(p).ids for p in prompts), strict=True):
        by_length[len(ids)].append((prompt, ids))
    answers: dict[str, str] = {}
    for length, group in by_length.items():
        batch = torch.tensor([ids for _, ids in group])
        with torch.inference_mode():
            output = model.generate(
                batch, attention_mask=torch.ones_like(batch), do_sample=False, max_new_tokens=MAX_NEW_TOKENS
            )
        for (prompt, _), row in zip(group, output[:, length:].tolist(), strict=True):
            answers[prompt] = tokenizer.decode(row, skip_special_tokens=True)
    return answers


def measure(model: torch.nn.Module, tokenizer: Any, items: Sequence[Item]) -> dict[str, tuple[int, int]]:
    """Score a transformers model on `items`."""
    model.eval()
    answers = generate_all(model, tokenizer, [item.prompt for item in items])
    return score(items, answers.__getitem__)


def load(folder: Path, weight_type: str) -> tuple[Any, Any]:
    """Load (model, tokenizer), all float32; a quantized `weight_type` sends the matrices through gguf."""
    import torch
    from gguf import GGMLQuantizationType, quants
    from tokenizers import Tokenizer
    from transformers import BloomForCausalLM

    model = BloomForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if weight_type != "f32":
        kind = GGMLQuantizationType[weight_type.upper()]
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 2:
                    values = quants.dequantize(quants.quantize(parameter.numpy(), kind), kind)
                    parameter.copy_(torch.from_numpy(values))
    return model, Tokenizer.from_file(str(folder / "tokenizer.json"))


def report(folder: Path, *, n: int, seed: int) -> str:
    """Return the accuracy table of a checkpoint as Markdown."""
    items = tasks.held_out_items(seed, n)
    columns = []
    for weight_type in WEIGHT_TYPES:
        model, tokenizer = load(folder, weight_type)
        columns.append(measure(model, tokenizer, items))
    lines = [
        "| task | items | " + " | ".join(WEIGHT_TYPES) + " |",
        "|---|---:|" + "---:|" * len(WEIGHT_TYPES),
    ]
    for task, (_, asked) in columns[0].items():
        lines.append(
            f"| {task} | {asked} | " + " | ".join(f"{c[task][0] / asked:.1%}" for c in columns) + " |"
        )
    lines.append(f"| **all** | {len(items)} | " + " | ".join(f"**{overall(c):.1%}**" for c in columns) + " |")
    return "\n".join(lines)
