"""One predictor, unchanged, in Ray Data, Spark and Dask: they write the same file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from belle_edge._core import cpu_info
from belle_edge.distributed import BatchPredictor
from belle_edge.distributed.worker_threads import worker_threads

from .question_rows import RESULTS, question_rows

pytestmark = pytest.mark.slow
pandas = pytest.importorskip("pandas")
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "DISTRIBUTED.md"
SETTINGS: Mapping[str, Any] = {"max_tokens": 6, "seed": 5, "seed_by": "id"}


@pytest.fixture(scope="module")
def model(converted: Callable[[str, str], Path]) -> Path:
    return converted("bloom", "q4_0")


@pytest.fixture(scope="module")
def expected(model: Path) -> bytes:
    answered = BatchPredictor(model, threads=1, **SETTINGS)(pandas.DataFrame(question_rows()))
    content = file_of(answered.to_dict("records"))
    assert content.count(b'"stop"') + content.count(b'"length"') == 23
    return content


def file_of(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """JSON lines in the order of the ids."""
    names = ["id", "prompt", *RESULTS]
    lines = [
        {name: value.item() if hasattr(value := row[name], "item") else value for name in names}
        for row in rows
    ]
    lines.sort(key=lambda line: int(line["id"]))
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


@pytest.fixture
def documented(model: Path, tmp_path: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Heading of docs/DISTRIBUTED.md -> the rows that its program answers, with files in place of those it names."""
    texts = [
        {**row, "sampling_params": row["sampling_params"] and json.dumps(row["sampling_params"])}
        for row in question_rows()
    ]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in texts]
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(lines), "utf-8")

    def run(heading: str) -> list[dict[str, Any]]:
        section = DOCUMENT.read_text("utf-8").split(f"## {heading}\n")[1]
        code = section.split("```python\n")[1].split("```")[0]
        for name, place in (("questions.jsonl", questions), ("/models/belle-7b.gguf", model)):
            code = code.replace(f'"{name}"', repr(str(place)))  # the clusters stand in another folder
        names: dict[str, Any] = {}
        exec(code, names)
        return list(names["answered"].to_dict("records"))

    return run


def test_ray_data_as_documented(ray_cluster: Any, documented: Any, expected: bytes) -> None:
    assert file_of(documented("Ray Data")) == expected


def test_spark_as_documented(spark: Any, documented: Any, expected: bytes) -> None:
    assert file_of(documented("Spark")) == expected


def test_dask_as_documented(dask_client: Any, documented: Any, expected: bytes) -> None:
    assert file_of(documented("Dask")) == expected


def test_the_predictor_as_documented(documented: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError):  # it prints, and has nothing under `answered`
        documented("The predictor")
    assert "法国的首都是巴黎。" in capsys.readouterr().out


def test_two_actors_of_ray_data_and_nested_settings(ray_cluster: Any, model: Path, expected: bytes) -> None:
    rows = ray_cluster.data.from_items(question_rows(), override_num_blocks=3)
    answered = rows.map_batches(
        BatchPredictor,
        fn_constructor_args=(model,),
        fn_constructor_kwargs=dict(SETTINGS),
        batch_size=5,
        num_cpus=1,
        compute=ray_cluster.data.ActorPoolStrategy(size=2),
    )
    assert file_of(answered.take_all()) == expected


def test_nested_settings_and_arrow_in_spark(spark: Any, model: Path, expected: bytes) -> None:
    types = "id long, prompt string, sampling_params struct<temperature: double, max_tokens: int, top_k: int>"
    rows = spark.createDataFrame(question_rows(), schema=types)
    predictor = BatchPredictor(model, **SETTINGS)
    answered = rows.mapInArrow(predictor, predictor.spark_schema(rows.schema))
    assert file_of([row.asDict() for row in answered.collect()]) == expected


@pytest.fixture
def place_and_threads() -> Callable[..., tuple[int, int]]:
    """To be sent to a worker: a function inside another goes by its value, and a worker does not find these tests."""

    def found(*_: Any) -> tuple[int, int]:
        return os.getpid(), worker_threads()

    return found


def test_the_share_of_a_worker_of_ray(ray_cluster: Any, place_and_threads: Callable[..., Any]) -> None:
    place, threads = ray_cluster.get(ray_cluster.remote(num_cpus=2)(place_and_threads).remote(), timeout=120)
    assert place != os.getpid()
    assert threads == min(2, cpu_info()["usable_threads"])


def test_the_share_of_a_worker_of_spark(spark: Any, place_and_threads: Callable[..., Any]) -> None:
    found = spark.sparkContext.parallelize([0], 1).map(place_and_threads).collect()
    assert found[0][0] != os.getpid()
    assert found[0][1] == 1


def test_the_share_of_a_worker_of_dask(dask_client: Any, place_and_threads: Callable[..., Any]) -> None:
    place, threads = dask_client.submit(place_and_threads).result(timeout=120)
    assert place != os.getpid()
    assert threads == min(2, cpu_info()["usable_threads"])
