"""`BatchPredictor` by itself: kinds of tables, settings of rows, errors; and results that the row alone decides."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge import Belle
from belle_edge.distributed import BatchPredictor
from belle_edge.distributed.loaded_models import loaded_model
from belle_edge.distributed.row_items import plain, row_item, row_seed
from belle_edge.distributed.worker_threads import worker_threads

from .question_rows import RESULTS, question_rows

pandas = pytest.importorskip("pandas")
pyarrow = pytest.importorskip("pyarrow")
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def model(converted: Callable[[str, str], Path]) -> Path:
    return converted("bloom", "q4_0")


@pytest.fixture(scope="module")
def expected(model: Path) -> Rows:
    """What each row gets, asked alone."""
    with Belle.load(model, threads=1) as loaded:
        found: Rows = []
        for row in question_rows():
            own = {"seed": row_seed(5, row["id"]), **(row["sampling_params"] or {})}
            try:
                answer = loaded.generate(row["prompt"], **{"max_tokens": 6, **own})
                found.append({"generated_text": answer.text, "prompt_tokens": answer.prompt_tokens})
            except ValueError:
                found.append({"generated_text": "", "prompt_tokens": 0})
    return found


def arrays(rows: Rows) -> dict[str, Any]:
    batch = {}
    for name in rows[0]:
        column = np.empty(len(rows), dtype="int64" if name == "id" else object)
        for index, row in enumerate(rows):
            column[index] = row[name]
        batch[name] = column
    return batch


def rows_of(batch: Any) -> Rows:
    if isinstance(batch, Mapping):
        return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
    return list(batch.to_pylist() if hasattr(batch, "to_pylist") else batch.to_dict("records"))


KINDS: Mapping[str, Callable[[Rows], Any]] = {
    "arrays": arrays,
    "pandas": lambda rows: pandas.DataFrame(rows, index=range(100, 100 + len(rows))),
    "table": lambda rows: pyarrow.Table.from_pylist(rows),
    "record batch": lambda rows: pyarrow.RecordBatch.from_pylist(rows),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_comes_back_in_its_kind(kind: str, model: Path, expected: Rows) -> None:
    batch = KINDS[kind](question_rows())
    predictor = BatchPredictor(model, threads=1, max_tokens=6, seed=5, seed_by="id")
    answered = predictor(batch)
    assert type(answered) is type(batch)
    found = rows_of(answered)
    assert list(found[0]) == ["id", "prompt", "sampling_params", *RESULTS]
    for row, wanted in zip(found, expected, strict=True):
        assert {name: row[name] for name in wanted} == wanted
        assert (row["error"] == "") == (row["finish_reason"] != "")
    assert "context" in found[7]["error"]
    if kind == "pandas":
        assert list(answered.index) == list(batch.index)


def test_results_depend_on_the_row_alone(model: Path, expected: Rows) -> None:
    rows = question_rows()
    for max_batch, n_rows, shuffle in ((1, 3, 0), (4, 24, 1), (16, 10, 2)):
        order = list(range(len(rows)))
        random.Random(shuffle).shuffle(order)
        predictor = BatchPredictor(
            model, threads=1 + max_batch % 2, max_batch=max_batch, max_tokens=6, seed=5, seed_by="id"
        )
        predictor = pickle.loads(pickle.dumps(predictor))
        parts = [order[start : start + n_rows] for start in range(0, len(order), n_rows)]
        frames: Iterator[Any] = (pandas.DataFrame([rows[index] for index in part]) for part in parts)
        answered = [row for frame in predictor(frames) for row in frame.to_dict("records")]
        assert [row["id"] for row in answered] == order
        for row in answered:
            assert row["generated_text"] == expected[row["id"]]["generated_text"]


def test_equal_questions_have_equal_seeds_unless_a_column_tells_them_apart(model: Path) -> None:
    frame = pandas.DataFrame({"id": [1, 2, 3, 4], "prompt": ["你是谁？", "你是谁？", "你是谁？", "好"]})
    settings: Any = {"threads": 1, "temperature": 5.0, "max_tokens": 8, "raw": True}
    texts = BatchPredictor(model, **settings)(frame)["generated_text"]
    assert texts[0] == texts[1] == texts[2]
    apart = BatchPredictor(model, seed_by="id", **settings)(frame)["generated_text"]
    assert len({*apart[:3], texts[0]}) == 4
    other = BatchPredictor(model, seed=1, **settings)(frame)["generated_text"]
    assert other[0] != texts[0]


def test_messages_however_a_table_holds_them(model: Path) -> None:
    dialogue = [{"role": "user", "content": "法国的首都是哪里？"}]
    struct = pyarrow.Table.from_pylist([{"messages": [{**dialogue[0], "name": None}]}])
    held: list[Any] = [
        {"messages": [np.array(dialogue, dtype=object)]},
        {"messages": ['[{"role": "user", "content": "法国的首都是哪里？"}]']},
        struct.to_pandas(),
        struct,
    ]
    predictor = BatchPredictor(model, threads=1, temperature=0)
    for batch in held:
        answered = predictor(batch)
        texts = [str(text) for text in answered["generated_text"]]
        assert texts == ["法国的首都是巴黎。"]


@pytest.mark.parametrize("kind", KINDS)
def test_choices_by_likelihood_have_a_probability(kind: str, model: Path) -> None:
    rows = [{"id": 0, "prompt": "法国的首都是哪里？"}, {"id": 1, "prompt": "“高”的反义词是什么？"}]
    rows.append({"id": 2, "prompt": "北京" * 3000})
    predictor = BatchPredictor(model, threads=1, choice=["巴黎", "低"], scored=True)
    answered = predictor(KINDS[kind](rows))
    found = rows_of(answered)
    assert list(found[0]) == ["id", "prompt", *RESULTS, "probability"]
    with Belle.load(model, threads=1) as loaded:
        for row in found[:2]:
            alone = loaded.choose(row["prompt"], ["巴黎", "低"])
            assert (row["generated_text"], row["probability"]) == (alone.text, alone.probability)
    assert (found[2]["generated_text"], found[2]["probability"]) == ("", 0.0)


def test_an_empty_batch_tells_the_columns_and_loads_nothing(tmp_path: Path) -> None:
    predictor = BatchPredictor(tmp_path / "none.gguf")
    empty = predictor(pandas.DataFrame({"prompt": pandas.Series([], dtype=str)}))
    assert list(empty.columns) == ["prompt", *RESULTS]
    assert [str(kind) for kind in empty.dtypes[["prompt_tokens", "completion_tokens"]]] == ["int64"] * 2
    with pytest.raises(FileNotFoundError):
        predictor({"prompt": ["a"]})


def test_a_model_is_loaded_once(model: Path) -> None:
    first = loaded_model(str(model), threads=1, load={"context": 64})
    assert loaded_model(str(model), threads=1, load={"context": 64}) is first
    assert loaded_model(str(model), threads=1, load={"context": 32}) is not first


@pytest.mark.parametrize(
    ("batch", "problem"),
    [
        ({"text": ["a"]}, "expected a column prompt or messages, got text"),
        ({"prompt": ["a"], "error": [""]}, '"error" is a column of the result'),
        ({"prompt": ["a"]}, "no column 'id', but prompt"),
        (["a"], "expected a dict of arrays, a pandas.DataFrame"),
    ],
)
def test_batches_that_are_none(batch: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        BatchPredictor("x.gguf", seed_by="id")(batch)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"temperature": -1}, "temperature"),
        ({"load": {"contxt": 5}}, "did you mean 'context'"),
        ({"load": {"threads": 5}}, "unknown argument 'threads'"),
        ({"threads": 0}, "threads"),
        ({"max_batch": 0}, "max_batch"),
    ],
)
def test_wrong_arguments_are_told_where_the_predictor_is_made(
    arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        BatchPredictor("x.gguf", **arguments)


@pytest.mark.parametrize(
    ("params", "settings"),
    [
        ({"max_tokens": 5.0, "top_k": -1, "n": 1}, {"max_tokens": 5, "top_k": 0}),
        ([["seed", 7.0], ["temperature", 0.5]], {"seed": 7, "temperature": 0.5}),
        ('{"stop": ["a"], "skip_special_tokens": true}', {"stop": ["a"]}),
        (None, {}),
    ],
)
def test_settings_under_the_names_of_vllm(params: Any, settings: dict[str, Any]) -> None:
    item = row_item({"prompt": "a", "sampling_params": params}, seed=0, seed_by=None)
    assert item == {"prompt": "a", "seed": row_seed(0, {"prompt": "a"}), **settings}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"prompt": None}, "expected a prompt or messages, got neither"),
        ({"prompt": "a", "sampling_params": {"n": 2}}, "unknown setting 'n'"),
        ({"prompt": "a", "sampling_params": {"max_new_tokens": 2}}, "write max_tokens"),
        (
            {"prompt": "a", "sampling_params": "{"},
            "sampling_params: expected a list or a dict, or one as JSON",
        ),
        ({"prompt": "a", "sampling_params": 5}, "expected names with values, got 5"),
        ({"prompt": "a", "id": None}, '"id": expected what the seed follows from'),
    ],
)
def test_rows_that_are_refused(row: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        row_item(row, seed=0, seed_by="id" if "id" in row else None)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (np.int64(3), 3),
        (float("nan"), None),
        (pandas.NA, None),
        (np.array([{"a": np.float64(0.5), "b": None}], dtype=object), [{"a": 0.5}]),
        (pyarrow.scalar([("a", 1)], pyarrow.map_(pyarrow.string(), pyarrow.int8())), [["a", 1]]),
    ],
)
def test_cells_as_plain_values(value: Any, wanted: Any) -> None:
    assert plain(value) == wanted


def test_outside_of_a_worker_all_processors_are_used(model: Path) -> None:
    with Belle.load(model) as loaded:
        assert worker_threads() == loaded.details["threads"]
