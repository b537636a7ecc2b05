"""Templates of strangers end in a text or in the documented error, soon, and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from belle_edge.text.chat_template import limits
from belle_edge.text.prompts import render

from .hostile_templates import HOSTILE
from .published_templates import TURNS, USER

MOST_MB = 500
N_MUTATED = 150  # thousands were rendered once; see rendering_program.py for more
MOST_SECONDS = 4.0  # of processor time; the limit is 0.8 s, and one operation of a slow machine
LONGEST_MESSAGE = 500
FINE = {  # of the hostile ones: those that do little in the end
    *(
        "assertion",
        "attr_filter",
        "context",
        "escape_join",
        "finding",
        "lines",
        "list_of_itself",
        "many_blocks",
    ),
    *("namespaces_in_lists", "nested_macros", "sorting_texts"),
}


@pytest.fixture(scope="module")
def watched() -> dict[str, Any]:
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of memory is measured on Linux")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("rendering_program.py"))],
        input=json.dumps({"hostile": True, "mutated": [0, N_MUTATED]}),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_hostile_and_mutated_templates(watched: dict[str, Any]) -> None:
    """Only the documented error, each in its time, all of them in a small process."""
    outcomes = watched["outcomes"]
    assert len(outcomes) == len(HOSTILE) + N_MUTATED
    for name, (seconds, _, ended) in outcomes.items():
        assert ended == "text" or ended.startswith("ValueError: [chat template] "), (name, ended)
        assert len(ended) < LONGEST_MESSAGE, name
        assert seconds < MOST_SECONDS, (name, ended)
    assert watched["peak_mb"] < MOST_MB
    fine = {name for name, (_, _, ended) in outcomes.items() if ended == "text" and name in HOSTILE}
    assert fine <= FINE
    assert (
        sum(ended == "text" for name, (_, _, ended) in outcomes.items() if name not in HOSTILE)
        > N_MUTATED // 20
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nested_ranges", "too many steps"),
        ("ljust", "pads to a width of 4e\\+09, the limit is 10000"),
        ("power", "integer of more than 60 bits"),
        ("attributes", "nested more than 180 deep"),
        ("parentheses", "nested too deep"),
        ("repeat", "text of more than"),
        ("doubling_lists", "list of more than"),
        ("deep_tuples", "nests lists more than 64 deep"),
        ("long_source", "source has 10000000 characters"),
        ("many_ifs", "more than 25000 words"),
        ("include", "no loader"),
        ("break_outside", "'break' outside loop"),
        ("message", "rejects these messages at line 1: x+…"),
    ],
)
def test_the_error_says_what_was_too_much(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 60.0)  # a busy machine must not come first
    with pytest.raises(ValueError, match=message) as caught:
        render(HOSTILE[name], USER)
    assert type(caught.value) is ValueError
    assert str(caught.value).startswith("[chat template] ")


def test_time_is_limited_in_any_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STEPS", 10**12)
    monkeypatch.setattr(limits, "SECONDS", 0.05)
    errors: list[str] = []

    def work() -> None:
        try:
            render(HOSTILE["empty_loops"], USER)
        except ValueError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(errors) == 3
    assert all("of processor time" in error for error in errors)


def test_the_callers_own_messages_may_be_long() -> None:
    """The bounds are the template's: they grow with what it is given."""
    long = [{"role": "user", "content": "字" * 6_000_000}]
    template = "{% for m in messages %}{{ m.role ~ ': ' + m['content'] | trim }}{% endfor %}"
    assert render(template, long) == "user: " + "字" * 6_000_000
    many = [message for _ in range(3000) for message in TURNS[:2]]
    assert render("{% for m in messages %}{{ m.role[0] }}{% endfor %}", many) == "ua" * 3000


def test_a_rendering_leaves_nothing_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what it set nor what it used up."""
    monkeypatch.setattr(limits, "SECONDS", 60.0)
    for used_up in ("nested_ranges", "repeat"):
        with pytest.raises(ValueError, match="refused"):
            render(HOSTILE[used_up], USER)
        assert render("{% for i in range(9000) %}{{ 'a' }}{% endfor %}", USER) == "a" * 9000
    names = "{% macro m() %}x{% endmacro %}{% set n = namespace(a=1) %}{% set k = 2 %}"
    assert render(names + "{{ m() }}{{ n.a }}{{ k }}", USER) == "x12"
    assert render("{{ m is defined }}{{ n is defined }}{{ k is defined }}", USER) == "False" * 3


def test_a_line_of_the_template_is_named() -> None:
    with pytest.raises(ValueError, match="at line 3"):
        render("\n{# nothing #}\n{{ messages[0].a.b }}\n", USER)


def test_objects_of_the_caller_are_out_of_reach() -> None:
    class Dangerous(str):
        def write(self) -> str:
            raise AssertionError("called")

    messages: list[Any] = [
        {"role": "user", "content": Dangerous("x"), "file": object(), "n": (1, {"a": [True]})}
    ]
    assert render("{{ messages[0].content }}{{ messages[0].file }}{{ messages[0].n }}", messages) == (
        "x<object>(1, {'a': [True]})"
    )
    with pytest.raises(ValueError, match="no attribute 'write'"):
        render("{{ messages[0].content.write() }}", messages)
