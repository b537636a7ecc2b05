"""Trains the demonstration checkpoint from nothing: a tokenizer, then a small BLOOM that survives Q4_0."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import evaluate, tasks
from .build_tokenizer import EOS_ID, PAD_ID, tokenizer_config, train_tokenizer
from .fake_quantize import q4_0_weights

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

IGNORED = -100  # label of a position without loss
CONTEXT = 256  # tokens the model is declared for
TURNS = (1, 1, 1, 2, 3)  # turns of a training conversation, drawn evenly


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result."""

    steps: int = 3600
    batch: int = 64  # conversations per step
    learning_rate: float = 1.5e-3
    warmup_steps: int = 200
    quantized_from: float = 0.7  # share of the steps after which the weights are rounded to Q4_0
    hidden: int = 256
    layers: int = 4
    heads: int = 8
    seed: int = 20
    focus: tuple[str, ...] = ()  # tasks drawn three times as often
    threads: int = 1  # on a shared machine two threads mostly wait for each other


def encode(tokenizer: Tokenizer, turns: Sequence[tasks.Item]) -> tuple[list[int], list[int]]:
    """Return a conversation as (input ids, labels): every answer token and the end after it are learned.

    As in BELLE's multi-turn text an answer is followed by a newline and the next turn, so the end token is a
    label after each answer but never an input.
    """
    ids: list[int] = []
    labels: list[int] = []
    for number, item in enumerate(turns):
        prompt = tokenizer.encode((tasks.TURN_SEPARATOR if number else "") + item.prompt).ids
        text = tokenizer.encode((tasks.TURN_SEPARATOR if number else "") + item.prompt + item.answer).ids
        answer = text[len(prompt) :]
        ids += text
        labels += [IGNORED] * (len(prompt) - 1) + answer + [EOS_ID]
    return ids, labels


def batches(tokenizer: Tokenizer, recipe: Recipe) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (input ids, labels), both [batch, longest], right-padded, similar lengths together."""
    import torch

    rng = random.Random(recipe.seed)
    per_chunk = 64
    for chunk in range(math.ceil(recipe.steps / per_chunk)):
        turns = [rng.choice(TURNS) for _ in range(per_chunk * recipe.batch)]
        seed = recipe.seed * 1_000_003 + chunk
        items = iter(tasks.training_items(seed, sum(turns), focus=recipe.focus))
        rows = sorted(
            (encode(tokenizer, [next(items) for _ in range(n)]) for n in turns), key=lambda row: len(row[0])
        )
        groups = [rows[i : i + recipe.batch] for i in range(0, len(rows), recipe.batch)]
        rng.shuffle(groups)
        for group in groups:
            longest = _rounded(max(len(ids) for ids, _ in group), 4)
            yield (
                torch.tensor([ids + [PAD_ID] * (longest - len(ids)) for ids, _ in group]),
                torch.tensor([labels + [IGNORED] * (longest - len(labels)) for _, labels in group]),
            )


def new_model(recipe: Recipe, vocabulary: int, start: Path | None) -> Any:
    """Return a BloomForCausalLM in float32: untrained, or with the weights of the checkpoint `start`."""
    from safetensors.torch import load_file
    from torch import nn
    from transformers import BloomConfig, BloomForCausalLM

    config = BloomConfig(
        vocab_size=_rounded(vocabulary, 32),
        hidden_size=recipe.hidden,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        bos_token_id=1,
        eos_token_id=EOS_ID,
        pad_token_id=PAD_ID,
    )
    model = BloomForCausalLM(config)
    if start is not None:
        state = load_file(start / "model.safetensors")
        missing = set(model.load_state_dict(state, strict=False).missing_keys)
        if missing - {"lm_head.weight"}:
            raise ValueError(f"[demo] {start} lacks {sorted(missing)}")
    blocks: Any = model.transformer.h
    for block in blocks:
        block.mlp.gelu_impl = nn.GELU(approximate="tanh")  # the same function as BLOOM's, in one kernel
    return model


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine down to 1 % of the peak."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    progress = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return recipe.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def loss_of(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the labelled positions; logits are computed for those only."""
    import torch

    kept = (labels != IGNORED).flatten().nonzero().squeeze(1)
    # A few fixed sizes instead of one per batch: the CPU library prepares its kernels for each new size.
    spare = _rounded(len(kept), 256) - len(kept)
    positions = torch.nn.functional.pad(kept, (0, spare))
    targets = torch.nn.functional.pad(labels.flatten()[kept], (0, spare), value=IGNORED)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.transformer(ids, use_cache=False).last_hidden_state  # [batch, tokens, hidden]
        logits = model.lm_head(hidden.flatten(0, 1)[positions])  # [labelled, vocabulary]
    return torch.nn.functional.cross_entropy(logits.float(), targets, ignore_index=IGNORED)


def _rounded(n: int, unit: int) -> int:
    return math.ceil(n / unit) * unit


def train(recipe: Recipe, out: Path, start: Path | None = None) -> None:
    """Train, and write the best validated checkpoint to `out` whenever there is a better one."""
    import torch
    from tokenizers import Tokenizer

    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    tokenizer = train_tokenizer()
    if (
        start is not None
        and Tokenizer.from_file(str(start / "tokenizer.json")).get_vocab() != tokenizer.get_vocab()
    ):
        raise ValueError(f"[demo] {start} has another tokenizer than the present tasks give")
    model = new_model(recipe, tokenizer.get_vocab_size(), start)
    _say(f"{sum(p.numel() for p in model.parameters()):,} parameters, {tokenizer.get_vocab_size()} tokens")
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
        fused=True,
    )
    quantized_from = int(recipe.steps * recipe.quantized_from)
    check_every = max(1, recipe.steps // 10)
    validation = tasks.validation_items(recipe.seed, 300)
    best, began, running = -1.0, time.monotonic(), 0.0
    for step, (ids, labels) in zip(range(recipe.steps), batches(tokenizer, recipe), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe)
        model.train()
        with q4_0_weights(model, enabled=step >= quantized_from):
            loss = loss_of(model, ids, labels)
            torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        running = 0.95 * running + 0.05 * loss.item() if step else loss.item()
        done = step + 1
        if done % 50 == 0:
            left = (time.monotonic() - began) / done * (recipe.steps - done)
            _say(f"step {done}/{recipe.steps}  loss {running:.4f}  {left / 60:.1f} min left")
        if done % check_every == 0 or done == recipe.steps:
            kind = "q4_0" if step >= quantized_from else "f32"
            with q4_0_weights(model, enabled=kind == "q4_0"):
                table = evaluate.measure(model, tokenizer, validation)
            weak = ", ".join(
                f"{task} {right}/{asked}" for task, (right, asked) in table.items() if right < asked
            )
            _say(f"step {done}  validation, {kind}: {evaluate.overall(table):.1%}  ({weak})")
            if step >= quantized_from and evaluate.overall(table) >= best:
                best = evaluate.overall(table)
                save(model, tokenizer, out)


def save(model: Any, tokenizer: Tokenizer, out: Path) -> None:
    """Write the checkpoint in fp16; `out` is replaced as a whole, so it is never half-written."""
    import torch
    from safetensors.torch import save_file

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        state = {
            name: tensor.detach().to(torch.float16).contiguous()
            for name, tensor in model.state_dict().items()
            if name != "lm_head.weight"  # tied to the embedding
        }
        save_file(state, new / "model.safetensors", metadata={"format": "pt"})
        tokenizer.save(str(new / "tokenizer.json"))
        config = {**model.config.to_diff_dict(), "architectures": ["BloomForCausalLM"], "dtype": "float16"}
        config = {**config, "seq_length": CONTEXT, "tie_word_embeddings": True}
        _write_json(new / "config.json", config)
        _write_json(new / "tokenizer_config.json", tokenizer_config())
        _write_json(
            new / "generation_config.json",
            {
                "bos_token_id": 1,
                "do_sample": False,
                "eos_token_id": EOS_ID,
                "max_new_tokens": 48,
                "pad_token_id": PAD_ID,
            },
        )
        for file in new.iterdir():
            file.chmod(0o644)
        for kept in out.glob("README.md"):
            shutil.copy2(kept, new / kept.name)
        old = Path(scratch) / "old"
        try:
            if out.exists():
                os.replace(out, old)
            os.replace(new, out)
        except BaseException:  # an interrupt between the two: put the previous checkpoint back
            if old.exists() and not out.exists():
                os.replace(old, out)
            raise


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(
        json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
