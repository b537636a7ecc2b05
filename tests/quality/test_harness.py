"""Our engine as one of lm-eval's models. Its answers meet those of the `hf` model in test_harness_equality.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle

from .harness_models import PAIRS, SHOTS, asked

lm_eval = pytest.importorskip("lm_eval")
from belle_edge.generation.token_scores import score  # noqa: E402
from belle_edge.quality.harness import BelleLM, register  # noqa: E402  (needs lm-eval)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def belle(converted: Callable[[str, str], Path]) -> Iterator[Belle]:
    with Belle.load(converted("bloom", "q4_0"), threads=1) as model:
        yield model


@pytest.fixture(scope="module")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a multiple-choice task over a local file, and one that generates."""
    folder = tmp_path_factory.mktemp("tasks")
    rows = [{"q": f"{n}+1=?", "choices": ["A", "B", "C"], "gold": n % 3} for n in range(6)]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    data = f"dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {folder / 'sums.jsonl'}\ntest_split: test\n"
    (folder / "sums.yaml").write_text(
        f"task: sums\n{data}fewshot_split: test\nfewshot_config:\n  sampler: first_n\nnum_fewshot: 2\n"
        'output_type: multiple_choice\ndoc_to_text: "Human: {{q}}\\n\\nAssistant:"\ndoc_to_choice: choices\n'
        "doc_to_target: gold\nmetric_list:\n  - metric: acc\n",
        "utf-8",
    )
    (folder / "written.yaml").write_text(
        f'task: written\n{data}output_type: generate_until\ndoc_to_text: "{{{{q}}}}"\ndoc_to_target: "2"\n'
        'generation_kwargs:\n  until: ["。"]\n  max_gen_toks: 6\nmetric_list:\n  - metric: exact_match\n',
        "utf-8",
    )
    return folder


def evaluated(model: Any, folder: Path, cache: Path, **options: Any) -> dict[str, Any]:
    from lm_eval.tasks import TaskManager

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_DATASETS_CACHE", str(cache))
        patch.setenv("HF_HUB_OFFLINE", "1")
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        found: dict[str, Any] = lm_eval.simple_evaluate(
            model=model, tasks=["sums", "written"], task_manager=manager, bootstrap_iters=0, **options
        )
    return found


@pytest.mark.slow
def test_tasks_over_local_files(belle: Belle, task_folder: Path, tmp_path: Path) -> None:
    lm = BelleLM(belle)
    found = evaluated(lm, task_folder, tmp_path, log_samples=True)
    assert 0 <= found["results"]["sums"]["acc,none"] <= 1
    samples = found["samples"]["sums"]
    assert len(samples) == 6
    for sample in samples:
        again = lm.loglikelihood(asked("loglikelihood", *sample["arguments"]), disable_tqdm=True)
        assert again == sample["filtered_resps"]
        assert len(again) == 3
    assert all("。" not in sample["resps"][0][0] for sample in found["samples"]["written"])
    assert found["config"]["model_file"] == belle.path.name


@pytest.mark.slow
def test_it_is_found_by_its_name(
    converted: Callable[[str, str], Path], task_folder: Path, tmp_path: Path
) -> None:
    register()
    register()
    found = evaluated(
        "belle-edge",
        task_folder,
        tmp_path,
        model_args=f"path={converted('bloom', 'q4_0')},threads=1,max_length=128",
        apply_chat_template=True,
        log_samples=True,
        limit=2,
    )
    assert found["n-samples"]["sums"]["effective"] == 2
    ((context, _),) = found["samples"]["written"][0]["arguments"]
    assert context == "Human: 0+1=?\n\nAssistant:"


def test_results_are_kept_as_they_come(belle: Belle, tmp_path: Path) -> None:
    """What lm-eval's cache holds after an interruption is not asked again."""
    from lm_eval.api.model import CachingLM

    lm = BelleLM(belle)
    cached = CachingLM(lm, str(tmp_path / "answers.db"))
    requests = asked("loglikelihood", *PAIRS[:4])
    first = lm.loglikelihood(requests[:2], disable_tqdm=True)
    texts = lm.generate_until(asked("generate_until", ("1+1=", {"max_gen_toks": 3})), disable_tqdm=True)
    rolled = lm.loglikelihood_rolling(asked("loglikelihood_rolling", (SHOTS,)), disable_tqdm=True)
    computed: list[int] = []
    compute = lm.loglikelihood
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lm, "loglikelihood", lambda rest: computed.append(len(rest)) or compute(rest))
        patch.setattr(lm, "generate_until", lambda rest: pytest.fail("asked again"))
        patch.setattr(lm, "loglikelihood_rolling", lambda rest: pytest.fail("asked again"))
        assert cached.loglikelihood(requests)[:2] == first
        assert cached.generate_until(asked("generate_until", ("1+1=", {"max_gen_toks": 3}))) == texts
        assert cached.loglikelihood_rolling(asked("loglikelihood_rolling", (SHOTS,))) == rolled
    assert computed == [2]


def test_samples_follow_their_seed(belle: Belle) -> None:
    lm = BelleLM(belle)
    settings = {"do_sample": True, "temperature": 2.5, "max_gen_toks": 12, "num_beams": 1}
    seeds = (7, 7, 8, 9)
    requests = asked("generate_until", *(("1+1=", {**settings, "seed": seed}) for seed in seeds))
    first, again, *others = lm.generate_until(requests, disable_tqdm=True)
    assert first == again
    assert {first} != set(others)


def test_a_continuation_that_grows_into_its_context(belle: Belle) -> None:
    """Its letters and the end of the context are one token: it is scored as the model would write it."""
    lm = BelleLM(belle)
    words = [
        word
        for word in belle.tokenizer.vocabulary.tokens
        if word.isascii() and word.isalpha() and len(word) > 1
    ]
    context, continuation = next(
        (word[:-1], word[-1])
        for word in words
        if len(lm.tok_encode(word)) == len(lm.tok_encode(word[:-1])) == 1
    )
    ((found, _),) = lm.loglikelihood(asked("loglikelihood", (context, continuation)), disable_tqdm=True)
    ((expected, _),) = score(belle, lm.tok_encode(context), [belle.tokenize(continuation, add_bos=False)])
    assert found == expected
    with pytest.raises(ValueError, match="a continuation is empty"):
        lm.loglikelihood(asked("loglikelihood", ("a", "")), disable_tqdm=True)


def test_an_assistants_beginning_is_continued(belle: Belle) -> None:
    lm = BelleLM(belle)
    history = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": " The answer is "}]
    assert lm.apply_chat_template(history[:1]) == "Human: hi\n\nAssistant:"
    assert lm.apply_chat_template(history, add_generation_prompt=False).endswith("Assistant: The answer is ")


def test_a_vocabulary_has_its_name(belle: Belle, converted: Callable[[str, str], Path]) -> None:
    with Belle.load(converted("llama", "q4_0"), threads=1) as other:
        assert BelleLM(other).tokenizer_name != BelleLM(belle).tokenizer_name
    assert BelleLM(belle).tokenizer_name == BelleLM(belle).tokenizer_name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("pretrained=gpt2", "'pretrained' is unknown: write path=FILE.gguf"),
        ("threads=2", "expected path=FILE.gguf"),
        ("path=x.gguf,thread=2", "'thread' is unknown"),
    ],
)
def test_wrong_arguments_of_the_model(arguments: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BelleLM.create_from_arg_string(arguments)


def test_what_the_engine_cannot_do_is_said(belle: Belle) -> None:
    lm = BelleLM(belle, max_length=32)

    def generated(**settings: Any) -> list[str]:
        return lm.generate_until(asked("generate_until", ("1+1=", settings)), disable_tqdm=True)

    with pytest.raises(ValueError, match="num_beams: expected 1, got 4"):
        generated(num_beams=4)
    with pytest.raises(ValueError, match="generation argument 'typical_p' is unknown"):
        generated(typical_p=0.5)
    with pytest.raises(ValueError, match="32 tokens leave no room for a prompt in 32"):
        generated(max_gen_toks=32)
    with pytest.raises(ValueError, match="max_length is 32"):
        lm.loglikelihood(asked("loglikelihood", ("a", SHOTS)), disable_tqdm=True)
    with pytest.raises(ValueError, match="batch_size: expected an integer from 1, got 0"):
        BelleLM(belle, batch_size=0)
    with pytest.raises(ValueError, match="a GGUF file has one template"):
        lm.chat_template("rag")


@pytest.mark.slow
def test_exams_as_they_are_published(converted: Callable[[str, str], Path], tmp_path: Path) -> None:
    """CSV files of C-Eval's form, its tasks made of them, and lm-eval's command over these."""
    row = "{},1+1=____。,1,2,3,4,B"
    for split, n_rows, last in (("dev", 5, ",explanation"), ("val", 2, "")):
        lines = [
            f"id,question,A,B,C,D,answer{last}",
            *(row.format(n) + "," * bool(last) for n in range(n_rows)),
        ]
        (tmp_path / split).mkdir()
        (tmp_path / split / f"logic_{split}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    (tmp_path / "tasks").mkdir()
    task = run("examples/evaluation/local_exams.py", "ceval", str(tmp_path))
    (tmp_path / "tasks" / "ceval.yaml").write_text(task, "utf-8")
    table = run(
        *("-m", "belle_edge.quality.harness", "--model", "belle-edge"),
        *("--model_args", f"path={converted('bloom', 'q4_0')},threads=1,family=belle"),
        *("--tasks", "ceval_local", "--include_path", str(tmp_path / "tasks"), "--num_fewshot", "5"),
    )
    assert "ceval-valid_logic" in table
    assert table.count("acc_norm") == 1
