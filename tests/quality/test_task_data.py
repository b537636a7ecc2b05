"""Records of our tasks: which forms they may have, what a model is asked, and what is said of bad ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from belle_edge.errors import ConversionError
from belle_edge.quality.tasks import eval_set, question_answering, summarization, translation
from belle_edge.quality.tasks.catalogue import OWN_TASKS
from belle_edge.quality.tasks.documents import Document, Reader, data_file, documents_in, target_of

READERS: Mapping[str, Reader] = {
    "translation": translation.documents_of,
    "summarization": summarization.documents_of,
    "question_answering": question_answering.documents_of,
    "eval_set": eval_set.documents_of,
}


def read(folder: Path, home: str, *records: object) -> list[Document]:
    """The documents of a file with these records."""
    path = folder / "records.jsonl"
    path.write_text(
        "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8"
    )
    return documents_in(path, READERS[home])


def refused(folder: Path, home: str, *records: object) -> str:
    """What is said of a file with these records."""
    with pytest.raises(ConversionError) as caught:
        read(folder, home, *records)
    return str(caught.value)


@pytest.mark.parametrize("task", OWN_TASKS.values(), ids=lambda task: str(task.name))
def test_each_task_has_samples(task: Any) -> None:
    documents = documents_in(data_file(task.home, None), READERS[task.home])
    assert len(documents) >= 6
    assert [document["line"] for document in documents] == list(range(1, len(documents) + 1))


def test_translations_are_asked_for_in_the_language_of_the_target(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "translation",
        {"source": "I see a cat.", "target": "我看见一只猫。"},
        {"source": "猫", "target": ["a cat", "the cat"]},
        {"source": "猫", "target": "el gato", "target_language": "es"},
    )
    assert [document["prompt"] for document in found] == [
        *("翻译成中文：I see a cat.", "翻译成英文：猫", "翻译成西班牙语：猫")
    ]
    assert [document["kind"] for document in found] == ["zh", "en", "es"]
    assert found[1]["answers"] == ["a cat", "the cat"]


def test_questions_in_the_forms_of_cmrc(tmp_path: Path) -> None:
    flat = {
        "context": "青河长420公里。",
        "question": "多长？",
        "answers": {"text": ["420公里"], "answer_start": [3]},
    }
    nested = {
        "context_id": "DEV_0",
        "context_text": "青河长420公里。",
        "qas": [
            {"query_id": "DEV_0_Q0", "query_text": "多长？", "answers": ["420公里", 420.0]},
            {"query_id": "DEV_0_Q1", "query_text": "", "answers": ["青河"]},
        ],
    }
    found = read(tmp_path, "question_answering", flat, nested, {"question": "54加42？", "answer": 96})
    assert found[0]["prompt"] == found[1]["prompt"]
    assert "青河长420公里。" in found[0]["prompt"]
    assert [document["answers"] for document in found] == [
        ["420公里"],
        ["420公里", "420.0"],
        ["青河"],
        ["96"],
    ]
    assert [document["line"] for document in found] == [1, 2, 2, 3]
    assert found[3]["prompt"] == "54加42？"


def test_an_open_question_has_no_answer(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "eval_set",
        {"question": "写诗", "std_answer": "", "class": "generation"},
        {"question": "1+1", "std_answer": "2", "class": "math"},
    )
    assert [document["answers"] for document in found] == [[], ["2"]]
    assert eval_set.answered(found) == found[1:]
    assert [target_of(document) for document in found] == ["", "2"]


@pytest.mark.parametrize(
    ("home", "record", "problem"),
    [
        ("translation", {"source": "a"}, 'expected the field "target" or "targets", found \'source\''),
        ("translation", {"source": " ", "target": "b"}, "expected a text under \"source\", found ' '"),
        (
            "translation",
            {"source": "a", "target": [1, None]},
            'expected a text, or a list of texts, under "target"',
        ),
        ("translation", {"source": "a", "target": "мир"}, '"target_language": expected one of zh, en, es'),
        ("summarization", {"text": "a"}, 'expected the field "summary" or "abstract", found \'text\''),
        ("summarization", ["a"], "expected an object, found ['a']"),
        (
            "question_answering",
            {"context": "a", "qas": [{"question": "b"}]},
            'question 1: expected the field "answers"',
        ),
        ("question_answering", {"question": "b", "answers": []}, "found []"),
        (
            "eval_set",
            {"question": "b", "std_answer": 3, "class": "math"},
            'expected a text under "std_answer", found 3',
        ),
        ("eval_set", {"question": "b", "std_answer": "3"}, 'expected the field "class"'),
    ],
)
def test_a_bad_record_is_refused_by_file_and_line(
    tmp_path: Path, home: str, record: object, problem: str
) -> None:
    good = json.loads(data_file(home, None).read_text(encoding="utf-8").splitlines()[0])
    said = refused(tmp_path, home, good, record, good)
    assert said.startswith(f"[{tmp_path / 'records.jsonl'}] line 2: ")
    assert problem in said


def test_a_bad_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"no such file: expected a \.json or \.jsonl file"):
        documents_in(tmp_path / "none.jsonl", translation.documents_of)
    path = tmp_path / "records.json"
    path.write_text('{"source": "a", "target": "b"}\n{"source": \n', encoding="utf-8")
    with pytest.raises(ConversionError, match=r"records\.json\] line 2: expected JSON"):
        documents_in(path, translation.documents_of)
    path.write_text('[{"source": "a", "target": "b"}, {"source": "a"}]', encoding="utf-8")
    with pytest.raises(ConversionError, match=r"line 1, record 2: expected the field"):
        documents_in(path, translation.documents_of)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(ConversionError, match="nothing in it"):
        documents_in(path, translation.documents_of)


def test_belle_s_own_set_is_read(test_data: Path) -> None:
    found = documents_in(test_data / "text" / "eval_set.json", eval_set.documents_of)
    assert len(found) == 1000
    assert len({document["kind"] for document in found}) == 10
    assert len(eval_set.answered(found)) == 631
