"""How fast is a five-shot task of lm-evaluation-harness by our engine, and by its `hf` model on the same CPU?

    python benchmarks/harness_speed.py CHECKPOINT [--questions 40] [--threads 2] [--repeat 3] [--batch-sizes 1 4 8]
    python benchmarks/harness_speed.py --shape tinyllama-1.1b --tokenizer FOLDER --questions 12

CHECKPOINT: a folder, or a GGUF file that transformers can dequantize; --shape makes a random one. The questions are
made up, in the shape of C-Eval: five examples that all share, then a question with the answers A to D. The requests of
lm-eval's task are timed, from their texts to their scores, by both models in turns. `hf` has the best of the batch
sizes; its "auto" is left out, which on a CPU begins with 64 whole contexts at once.

`one question at a time` is our engine without what questions share: each computes its examples again, as `hf` does.
--few N: these two answer N of the questions only, each of which takes them as long as any other; rates compare.
Needs the extra `test`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import lm_eval
from fidelity_files import float_gguf
from harness_peers import hf_model, machine, our_model
from lm_eval.tasks import TaskManager

SHAPES: dict[str, dict[str, int]] = {
    "tinyllama-1.1b": {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
    },
    "llama-0.5b": {
        "hidden_size": 1536,
        "intermediate_size": 4096,
        "num_hidden_layers": 16,
        "num_attention_heads": 24,
        "num_key_value_heads": 24,
    },
}
_THINGS = (
    "甲同学",
    "乙同学",
    "丙同学",
    "丁同学",
    "某商店",
    "某工厂",
    "一辆汽车",
    "一列火车",
    "一个水池",
    "一本书",
)
_TASK = """\
task: shaped_like_ceval
dataset_path: json
dataset_kwargs:
  data_files: {{dev: {folder}/dev.jsonl, val: {folder}/val.jsonl}}
validation_split: val
fewshot_split: dev
fewshot_config: {{sampler: first_n}}
num_fewshot: 5
output_type: multiple_choice
description: "以下是中国关于初中数学的单项选择题，请选出其中的正确答案。\\n\\n"
doc_to_text: "{{{{question}}}}\\nA. {{{{A}}}}\\nB. {{{{B}}}}\\nC. {{{{C}}}}\\nD. {{{{D}}}}\\n答案："
doc_to_choice: ["A", "B", "C", "D"]
doc_to_target: answer
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


def question(random: Random) -> dict[str, Any]:
    """One of about a hundred characters."""
    one, other = random.sample(_THINGS, 2)
    a, b, c = random.randint(12, 99), random.randint(12, 99), random.randint(3, 19)
    right = a * c + b
    wrong = random.sample([right + 10, right - 10, a * c - b, a + b * c, right + c, right - 1], 3)
    answers = [right, *wrong]
    random.shuffle(answers)
    text = (
        f"{one}每小时完成 {a} 件工作，{other}一共完成了 {b} 件工作。如果{one}连续工作 {c} 小时，"
        f"那么{one}和{other}一共完成的工作件数是____。"
    )
    return {
        "question": text,
        **{letter: f"{answer} 件" for letter, answer in zip("ABCD", answers, strict=True)},
        "answer": answers.index(right),
    }


def write_task(folder: Path, n_questions: int) -> None:
    random = Random(7)
    for name, n_rows in (("dev", 5), ("val", n_questions)):
        rows = [json.dumps(question(random), ensure_ascii=False) for _ in range(n_rows)]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    (folder / "shaped_like_ceval.yaml").write_text(_TASK.format(folder=folder), "utf-8")


class Recorded:
    """The requests that lm-eval makes of the task, taken down in place of an answer."""

    def __init__(self, model: Any) -> None:
        self._answer = model.loglikelihood
        self.requests: list[Any] = []
        model.loglikelihood = self.take_down

    def take_down(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        self.requests = list(requests)
        return [(0.0, False)] * len(requests)


def requests_of_task(model: Any, folder: Path) -> list[Any]:
    """What a model is asked; its method is as before afterwards."""
    recorded = Recorded(model)
    lm_eval.simple_evaluate(
        model=model,
        tasks=["shaped_like_ceval"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        bootstrap_iters=0,
    )
    del model.loglikelihood
    return recorded.requests


def timed(model: Any, requests: list[Any]) -> tuple[float, list[tuple[float, bool]]]:
    begin = time.perf_counter()
    answers = model.loglikelihood(requests, disable_tqdm=True)
    return time.perf_counter() - begin, answers


def one_at_a_time(model: Any, requests: list[Any]) -> float:
    """Seconds for the questions of four requests each, with nothing shared between them."""
    return sum(timed(model, requests[first : first + 4])[0] for first in range(0, len(requests), 4))


def random_checkpoint(folder: Path, shape: str, tokenizer: Path) -> Path:
    """A LLaMA of random weights with a tokenizer that transformers reads from a folder."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    words = AutoTokenizer.from_pretrained(tokenizer)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words), max_position_embeddings=2048, tie_word_embeddings=False, **SHAPES[shape]
    )
    target = folder / shape
    LlamaForCausalLM(config).save_pretrained(target)
    words.save_pretrained(target)
    return target


def measure(original: Path, folder: Path, options: argparse.Namespace) -> None:
    ours = our_model(float_gguf(original, folder), threads=options.threads)
    write_task(folder, options.questions)
    requests = requests_of_task(ours, folder)
    tokens = [len(ours.tok_encode("".join(request.args))) for request in requests[::4]]
    theirs = hf_model(original, threads=options.threads, batch_size=1, max_length=ours.model.context)
    print(f"{original.name}, float32; {machine(options.threads)}; lm-eval {lm_eval.__version__}")
    print(f"{options.questions} questions of {statistics.mean(tokens):.0f} tokens with their examples\n")
    sweep = dict.fromkeys(options.batch_sizes, 0.0)
    few = requests[: 4 * (options.few or options.questions)]
    for size in sweep if len(sweep) > 1 else ():
        theirs.batch_size_per_gpu = size
        sweep[size] = timed(theirs, few[: 4 * 8])[0]
    theirs.batch_size_per_gpu = min(sweep, key=lambda size: sweep[size])
    print(
        "hf, seconds for some questions by batch size:",
        {size: round(took, 1) for size, took in sweep.items()},
    )
    seconds: dict[str, list[float]] = {"ours": [], "hf": [], "one question at a time": []}
    for _ in range(options.repeat):
        took, mine = timed(ours, requests)
        seconds["ours"].append(took)
        took, other = timed(theirs, few)
        seconds["hf"].append(took)
        seconds["one question at a time"].append(one_at_a_time(ours, few))
    difference = max(abs(one - another) for (one, _), (another, _) in zip(mine, other, strict=False))
    n_questions = {name: len(requests if name == "ours" else few) / 4 for name in seconds}
    rates = {name: n_questions[name] / statistics.median(several) for name, several in seconds.items()}
    print(f"largest difference of a log-probability: {difference:.1e}\n")
    print("| model | questions | seconds: median (least, most) | questions a second | as fast as hf |")
    print("|---|--:|--:|--:|--:|")
    for name, several in seconds.items():
        print(
            f"| {name} | {n_questions[name]:.0f} | {statistics.median(several):.1f} ({min(several):.1f}, "
            f"{max(several):.1f}) | {rates[name]:.3f} | {rates[name] / rates['hf']:.1f}x |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--tokenizer", type=Path, help="for --shape: a folder with a tokenizer")
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--few", type=int, help="questions for hf (default: all)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 4, 8])
    options = parser.parse_args()
    if (options.checkpoint is None) == (options.shape is None):
        parser.error("expected a checkpoint or --shape")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        original = options.checkpoint or random_checkpoint(folder, options.shape, options.tokenizer)
        measure(original, folder, options)


if __name__ == "__main__":
    main()
