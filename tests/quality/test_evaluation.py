"""Tasks run on the demonstration model: values, resumed and interrupted runs, references, tasks that are not ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval")

from belle_edge.model import Belle
from belle_edge.quality.evaluation.answer_journal import AnswerJournal, EvaluationChangedError
from belle_edge.quality.evaluation.evaluate import evaluate
from belle_edge.quality.evaluation.evaluation_result import Evaluation, TaskResult
from belle_edge.quality.evaluation.evaluation_settings import EvaluationSettings, TaskChoice
from belle_edge.quality.evaluation.offline import SWITCHES
from belle_edge.quality.evaluation.table import table
from belle_edge.quality.evaluation.task_loading import TaskError
from belle_edge.quality.tasks.catalogue import OWN_TASKS

METRICS = {
    "translation": ["bleu"],
    "summarization": ["rouge_l"],
    "question-answering": ["f1", "exact_match"],
    "eval-set": ["rouge_l", "result"],
}


@pytest.fixture(autouse=True)
def _online_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation switches this process offline."""
    import huggingface_hub.constants  # noqa: F401  reads the environment once

    for name in (*SWITCHES, "HF_DATASETS_CACHE", "HF_EVALUATE_CACHE"):
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def demo(converted: Callable[[str, str], Path]) -> Callable[[], Belle]:
    path = converted("bloom", "q4_0")
    return lambda: Belle.load(path, threads=1)


def run(demo: Callable[[], Belle], *tasks: str | TaskChoice, **options: Any) -> Evaluation:
    """An evaluation of these tasks; `settings` are fields of EvaluationSettings."""
    chosen = tuple(task if isinstance(task, TaskChoice) else TaskChoice(task) for task in tasks)
    return evaluate(demo, EvaluationSettings(chosen, **options.pop("settings", {})), **options)


def values(task: TaskResult) -> dict[str, float]:
    return {metric.name: metric.total.value for metric in task.metrics}


def requests(path: Path) -> list[str]:
    """The keys in a journal."""
    return [json.loads(line)["request"] for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def test_each_task_with_the_demonstration_model(demo: Callable[[], Belle], tmp_path: Path) -> None:
    found = run(demo, *OWN_TASKS, output=tmp_path / "out")
    assert {task.name: list(values(task)) for task in found.tasks} == METRICS
    by_name = {task.name: task for task in found.tasks}
    assert values(by_name["translation"])["bleu"] > 5  # "I have a boat." is what it was trained on
    assert values(by_name["question-answering"])["exact_match"] > 20  # so are capitals and sums
    assert values(by_name["eval-set"])["rouge_l"] > 40
    assert by_name["eval-set"].n_left_out == 3
    assert by_name["summarization"].n_cut == 2  # of its context of 256 tokens half is for the answer
    assert set(by_name["translation"].metrics[0].classes) == {"zh", "en"}
    total = by_name["question-answering"].metrics[0].total
    assert total.n == by_name["question-answering"].n == 8
    assert total.low is not None
    assert total.high is not None
    assert total.low <= total.value <= total.high
    written = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(found.to_dict()))
    samples = (tmp_path / "out" / "samples-translation.jsonl").read_text(encoding="utf-8").splitlines()
    boat = json.loads(samples[0])
    assert boat["document"]["line"] == 1
    assert boat["prompts"] == ["Human: 翻译成中文：I have a boat.\n\nAssistant:"]
    assert boat["answers"] == [
        demo().generate("翻译成中文：I have a boat.", temperature=0, max_tokens=64, repetition_penalty=1).text
    ]
    assert boat["scores"]["bleu"] == pytest.approx(100)
    assert str(tmp_path) not in json.dumps(written)


def test_limit_and_examples(demo: Callable[[], Belle], tmp_path: Path) -> None:
    settings = {"limit": 2, "num_fewshot": 1, "max_tokens": 4}
    found = run(demo, "translation", "eval-set", settings=settings, output=tmp_path)
    assert [(task.n, task.n_shot) for task in found.tasks] == [(2, 1), (2, 0)]
    first = json.loads((tmp_path / "samples-translation.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["prompts"][0].count("Human: ") == 2  # the example is a turn of its own
    assert len(demo().tokenize(first["answers"][0])) <= 4
    with pytest.raises(TaskError, match="8 examples were asked for, its data have 8 records"):
        run(demo, "translation", settings={"num_fewshot": 8})


class Stop(Exception):
    """Ends an evaluation from within."""


def test_an_interrupted_evaluation_asks_nothing_twice(demo: Callable[[], Belle], tmp_path: Path) -> None:
    def stop_after_three(_task: str, done: int, _total: int) -> None:
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        run(demo, "question-answering", output=tmp_path, progress=stop_after_three)
    journal = tmp_path / "answers.jsonl"
    before = requests(journal)
    assert len(before) == 3
    with journal.open("ab") as file:
        file.write(b'{"request": "0123", "an')  # as a kill leaves it
    with pytest.raises(FileExistsError, match="--resume goes on with it, --force begins anew"):
        run(demo, "question-answering", output=tmp_path)
    with pytest.raises(EvaluationChangedError, match="something else under max_tokens: repeat"):
        run(demo, "question-answering", output=tmp_path, resume=True, settings={"max_tokens": 5})
    counted: list[tuple[int, int]] = []
    found = run(
        demo,
        "question-answering",
        output=tmp_path,
        resume=True,
        progress=lambda _, *count: counted.append(count),
    )
    after = requests(journal)
    assert after[:3] == before
    assert len(after) == len(set(after)) == 8
    assert counted == [(done, 8) for done in range(3, 9)]
    assert values(found.tasks[0]) == values(run(demo, "question-answering").tasks[0])
    again: list[tuple[int, int]] = []
    run(
        demo,
        "question-answering",
        output=tmp_path,
        resume=True,
        progress=lambda _, *count: again.append(count),
    )
    assert again == [(8, 8)]


def test_without_a_folder_nothing_stays_but_what_was_interrupted(
    demo: Callable[[], Belle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLE_CACHE", str(tmp_path))

    def stop(_task: str, done: int, _total: int) -> None:
        if done == 2:
            raise Stop

    with pytest.raises(Stop):
        run(demo, "translation", progress=stop)
    (journal,) = (tmp_path / "evaluations").iterdir()
    assert len(requests(journal)) == 2
    counted: list[int] = []
    run(demo, "translation", resume=True, progress=lambda _task, done, _total: counted.append(done))
    assert counted == list(range(2, 9))
    assert list((tmp_path / "evaluations").iterdir()) == []


def test_changed_data_are_noticed(demo: Callable[[], Belle], tmp_path: Path) -> None:
    data = tmp_path / "mine.jsonl"
    data.write_text('{"source": "cat", "target": "猫"}\n', encoding="utf-8")
    choice = TaskChoice("translation", data)
    assert run(demo, choice, output=tmp_path / "out").tasks[0].data is not None
    data.write_text('{"source": "cat", "target": "小猫"}\n', encoding="utf-8")
    with pytest.raises(EvaluationChangedError, match=r"something else under data\.translation\.sha256"):
        run(demo, choice, output=tmp_path / "out", resume=True)
    assert run(demo, choice, output=tmp_path / "out", force=True).tasks[0].n == 1


def test_open_questions_are_compared_with_a_reference(
    demo: Callable[[], Belle], converted: Callable[[str, str], Path], tmp_path: Path
) -> None:
    opened: list[str] = []

    def reference() -> Belle:
        opened.append("reference")
        return Belle.load(converted("bloom", "f16"), threads=1)

    def candidate() -> Belle:
        opened.append("candidate")
        return demo()

    found = run(candidate, "eval-set", open_reference=reference, output=tmp_path)
    assert opened == ["reference", "candidate"]
    assert len(requests(tmp_path / "reference-answers.jsonl")) == 3
    assert found.reference is not None
    (task,) = found.tasks
    assert (task.n, task.n_left_out) == (10, 0)
    agreement = next(metric for metric in task.metrics if metric.name == "agreement")
    assert agreement.total.n == 3
    assert set(agreement.classes) == {"generation", "brainstorming"}
    assert agreement.total.value > 50
    same = run(reference, "eval-set", open_reference=reference)
    assert {metric.name: metric.total.value for metric in same.tasks[0].metrics}["same"] == 100
    assert any("reference: " in line for line in table(found))


def test_a_reference_without_a_template(
    demo: Callable[[], Belle], checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    from belle_edge.convert import convert

    path = tmp_path / "bare.gguf"
    convert(checkpoint("bloom"), path, type="q4_0", family="none")
    with pytest.raises(ValueError, match=r"bare\.gguf has no chat template: name its family \(--family\)"):
        run(demo, "eval-set", open_reference=lambda: Belle.load(path, threads=1))


GROUP = """\
group: sums_twice
task: [sums, sums_again]
aggregate_metric_list: [{metric: acc, weight_by_size: true}]
"""


@pytest.mark.slow
def test_a_group_of_the_user_s_own(demo: Callable[[], Belle], tmp_path: Path) -> None:
    """Slow, since a group may name tasks of lm-eval, all of which are looked through."""
    data = tmp_path / "sums.jsonl"
    data.write_text(
        '{"question": "12加12等于多少？", "choices": ["12+12=24", "河"], "answer": 0}\n', encoding="utf-8"
    )
    for name in ("sums", "sums_again"):
        text = CHOICES.format(data=data).replace("task: sums", f"task: {name}")
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    group = tmp_path / "both.yaml"
    group.write_text(GROUP, encoding="utf-8")
    found = run(demo, str(group))
    assert [task.name for task in found.tasks] == ["sums", "sums_again"]
    assert [(group.name, dict(group.values)) for group in found.groups] == [("sums_twice", {"acc": 1.0})]
    with pytest.raises(TaskError, match="no task is called sumz: expected translation"):
        run(demo, "sumz")


CHOICES = """\
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Human: {{{{question}}}}\\n\\nAssistant:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


def test_a_task_of_the_user_s_own(demo: Callable[[], Belle], tmp_path: Path) -> None:
    data = tmp_path / "sums.jsonl"
    rows = [
        {"question": f"{n}加{n}等于多少？", "choices": [f"{n}+{n}={2 * n}", "河"], "answer": 0}
        for n in (12, 31, 40)
    ]
    data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    task = tmp_path / "sums.yaml"
    task.write_text(CHOICES.format(data=data), encoding="utf-8")
    found = run(demo, str(task), output=tmp_path / "out")
    assert values(found.tasks[0]) == {"acc": 1.0}
    assert len(requests(tmp_path / "out" / "answers.jsonl")) == 6
    counted: list[tuple[int, int]] = []
    again = run(
        demo,
        str(task),
        output=tmp_path / "out",
        resume=True,
        progress=lambda _, *count: counted.append(count),
    )
    assert again == found
    assert counted == [(6, 6)]


def test_a_task_that_cannot_be_loaded(demo: Callable[[], Belle], tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such file"):
        run(demo, "none.yaml")
    task = tmp_path / "far.yaml"
    task.write_text(
        CHOICES.format(data="x").replace("dataset_path: json", "dataset_path: nobody/nothing"),
        encoding="utf-8",
    )
    with pytest.raises(TaskError, match="Nothing is downloaded: its data must be local files"):
        run(demo, str(task))
    with pytest.raises(ValueError, match="data for arc_easy: this task names its own"):
        run(demo, TaskChoice("arc_easy", tmp_path / "x"))


def test_the_table_shows_published_figures_beside_ours(demo: Callable[[], Belle]) -> None:
    lines = list(table(run(demo, "translation", settings={"limit": 3})))
    (bleu,) = [line for line in lines if line.strip().startswith("BLEU ")]
    assert bleu.split()[-3:] == ["28.4", "27.1", "22.3"]
    assert any("test sets, prompts and metric variants" in line for line in lines)


def test_an_answer_is_taken_as_often_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    arguments = ("text", {"until": ["\n"]})
    with AnswerJournal.open(path, {"a": 1}, resume=True) as journal:
        journal.add("generate_until", arguments, "one")
        journal.add("generate_until", arguments, "two")
        journal.add("loglikelihood", ("text", " more"), (-1.25, True))
    with AnswerJournal.open(path, {"a": 1}, resume=True) as journal:
        taken = [journal.take("generate_until", arguments) for _ in range(3)]
        assert taken == ["one", "two", None]
        assert journal.take("loglikelihood", ("text", " more")) == (-1.25, True)
        assert journal.take("loglikelihood", ("text", " less")) is None
    with AnswerJournal.open(path, {"a": 2}, resume=False) as journal:
        assert journal.take("generate_until", arguments) is None
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1
