"""Odd values at every public door: a ValueError or TypeError that names the setting, never a hang or a crash."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge import Belle, SamplingParams, _core
from belle_edge.convert import convert
from belle_edge.verification import verify_contents, verify_file

from .tiny_models import write_tiny_model

IDS = [5, 6, 7]
NO_INTEGERS = [
    1.5,
    100.7,
    math.nan,
    math.inf,
    "3",
    b"3",
    True,
    Decimal(3),
    [3],
    None,
    -1,
    -(10**30),
    object(),
]
SOME = [value for value in NO_INTEGERS if value is not None]  # where None has a meaning of its own
NO_NUMBERS = [
    "0.5",
    b"1",
    True,
    [1.0],
    math.nan,
    math.inf,
    -math.inf,
    10**400,
    1e300,
    Decimal(1),
    1j,
    object(),
]
NO_IDS = [
    5,
    5.0,
    b"ab",
    bytearray(b"ab"),
    memoryview(b"ab"),
    {1: 2},
    {1, 2},
    [1.9, "7"],
    [1.5],
    [True],
    [None],
    [[1]],
]
NO_IDS += [np.array([1.5]), np.array([[1, 2]]), np.array(3), np.array([True]), [object()]]


def names(values: list[Any]) -> list[str]:
    """Short test ids."""
    return [f"{type(value).__name__}-{index}" for index, value in enumerate(values)]


def refused(name: str, work: Callable[[], object]) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        work()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("odd") / "m.gguf", "llama")


@pytest.fixture(scope="module")
def model(path: Path) -> Belle:
    return Belle.load(path)


# ---- settings of an answer

DOORS: dict[str, Callable[..., object]] = {
    "generate": lambda model, **settings: model.generate(IDS, raw=True, **settings),
    "stream": lambda model, **settings: model.stream(IDS, raw=True, **settings),
    "astream": lambda model, **settings: model.astream(IDS, raw=True, **settings),
    "chat": lambda model, **settings: model.chat([{"role": "user", "content": "q"}], **settings),
    "conversation": lambda model, **settings: model.conversation(**settings),
    "say": lambda model, **settings: model.conversation().say("q", **settings),
    "batch": lambda model, **settings: model.generate_batch([IDS, IDS], raw=True, **settings),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("value", [*SOME, 0], ids=names([*SOME, 0]))  # None: test_arguments.py
def test_max_tokens(model: Belle, door: str, value: Any) -> None:
    refused("max_tokens", lambda: DOORS[door](model, max_tokens=value))


@pytest.mark.parametrize("door", ["generate", "stream", "conversation"])
@pytest.mark.parametrize("value", [*SOME, 10**9], ids=names([*SOME, 0]))
def test_n_keep(model: Belle, door: str, value: Any) -> None:
    refused("n_keep", lambda: DOORS[door](model, n_keep=value, overflow="slide"))


@pytest.mark.parametrize("value", [5, None, ["slide"], "Slide", True])
def test_overflow(model: Belle, value: Any) -> None:
    refused("overflow", lambda: DOORS["generate"](model, overflow=value))


@pytest.mark.parametrize("value", [*NO_INTEGERS, 0], ids=names([*NO_INTEGERS, 0]))
def test_max_batch(model: Belle, value: Any) -> None:
    refused("max_batch", lambda: model.generate_batch([IDS], raw=True, max_batch=value))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 10**400),
        ("temperature", 1e-40),
        ("top_logprobs", 2**31),
        ("logit_bias", 5),
        ("logit_bias", {10**9: 1.0}),
        ("banned", b"ab"),
    ],
)
def test_sampling_settings_at_every_door(model: Belle, door: str, name: str, value: Any) -> None:
    def ask() -> object:
        made = DOORS[door](model, **{name: value})
        return made.say("q") if door == "conversation" else made  # ids are checked with the first turn

    refused(name, ask)


@pytest.mark.parametrize("name", ["temperature", "top_p", "min_p", "repetition_penalty"])
@pytest.mark.parametrize("value", [*NO_NUMBERS, -1.0], ids=names([*NO_NUMBERS, -1.0]))
def test_positive_numbers(name: str, value: Any) -> None:
    refused(rf"\[sampling\] {name}", lambda: SamplingParams(**{name: value}))


@pytest.mark.parametrize("name", ["presence_penalty", "frequency_penalty"])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=names(NO_NUMBERS))
def test_penalties(name: str, value: Any) -> None:
    refused(rf"\[sampling\] {name}", lambda: SamplingParams(**{name: value}))


@pytest.mark.parametrize("name", ["top_k", "top_logprobs", "seed"])
@pytest.mark.parametrize("value", [*SOME, -(10**5000)], ids=names([*SOME, 0]))
def test_counts(name: str, value: Any) -> None:
    refused(rf"\[sampling\] {name}", lambda: SamplingParams(**{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("logit_bias", value)
            for value in (5, "ab", [1], {1: "x"}, {1.5: 1.0}, {True: 1.0}, {1: 1e39}, {-1: 1})
        ),
        *(("banned", value) for value in [*NO_IDS, [-1], "ab"]),
        *(("stop", value) for value in (5, b"ab", [b"ab"], [""], [None])),
        *(("penalty_scope", value) for value in (5, ["all"], "")),
        *((name, 1e-45) for name in ("top_p", "repetition_penalty")),  # zero where the engine computes
        ("seed", 2**64),
    ],
)
def test_other_sampling_settings(name: str, value: Any) -> None:
    refused(rf"\[sampling\] {name}", lambda: SamplingParams(**{name: value}))


@pytest.mark.parametrize("value", [5, "hot", {"temperature": 1}, [1, 2], object()])
def test_params(model: Belle, value: Any) -> None:
    refused("params", lambda: model.generate(IDS, raw=True, params=value))
    refused("params", lambda: model.generate_batch([IDS, IDS], raw=True, params=value))


def test_numpy_scalars_are_taken_as_numbers(model: Belle) -> None:
    expected = model.generate(IDS, raw=True, max_tokens=4, temperature=0.5, seed=3, top_k=5)
    settings = {"temperature": np.float64(0.5), "seed": np.uint64(3), "top_k": np.int8(5)}
    for ids in (np.array(IDS), np.array(IDS, np.uint8), tuple(IDS), [np.int64(i) for i in IDS], iter(IDS)):
        assert (
            model.generate(ids, raw=True, max_tokens=np.int16(4), **settings).token_ids == expected.token_ids
        )
    assert type(SamplingParams(**settings).top_k) is int


# ---- texts and ids


@pytest.mark.parametrize("value", NO_IDS, ids=names(NO_IDS))
def test_ids(model: Belle, value: Any) -> None:
    refused("prompt", lambda: model.generate(value, raw=True))
    refused("prompt", lambda: model.stream(value))
    refused("prompt 1.*prompt", lambda: model.generate_batch([IDS, value], raw=True))
    refused("ids", lambda: model.logits(value))
    refused("ids", lambda: model.detokenize(value))


@pytest.mark.parametrize("value", [[-1], [10**9], [2**70], [5, -(2**63)]], ids=names([1, 2, 3, 4]))
def test_ids_outside_the_vocabulary(model: Belle, value: list[int]) -> None:
    refused("token id", lambda: model.generate(value, raw=True))
    refused("token id", lambda: model.logits(value))
    refused("id .* outside", lambda: model.detokenize(value))


def test_endless_and_huge_ids_are_refused_by_their_length(model: Belle) -> None:
    from itertools import repeat

    for ids in (range(10**12), np.zeros(10**7, np.int8), repeat(5)):
        refused("tokens, the context holds 128", lambda ids=ids: model.generate(ids, raw=True))
        refused("tokens, the context holds 128", lambda ids=ids: model.logits(ids))


@pytest.mark.parametrize("value", [5, None, b"text", ["text"], 1.5])
def test_texts(model: Belle, value: Any) -> None:
    refused("expected a text", lambda: model.tokenize(value))
    refused("expected a message of text", lambda: model.conversation().say(value))
    refused("content", lambda: model.chat([{"role": "user", "content": value}]))


@pytest.mark.parametrize("value", [5, None, "text", b"text", {"a": 1}])
def test_lists_of_prompts_and_messages(model: Belle, value: Any) -> None:
    refused("prompts", lambda: model.generate_batch(value))
    refused("messages", lambda: model.chat(value))


# ---- loading, converting, verifying

NO_THREADS = [*SOME, 10**6]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["native", "llama.cpp"])
@pytest.mark.parametrize("name", ["threads", "context"])
@pytest.mark.parametrize("value", [*NO_THREADS, 0], ids=names([*NO_THREADS, 0]))
def test_loading(path: Path, backend: str, name: str, value: Any, request: pytest.FixtureRequest) -> None:
    if backend == "llama.cpp" and name == "context":
        request.getfixturevalue("llama_cpp")  # 10**6 is compared with what the file says
    refused(name, lambda: Belle.load(path, backend=backend, **{name: value}))


@pytest.mark.parametrize(
    ("name", "value"), [("kv", 5), ("kv", ["f32"]), ("isa", 5), ("isa", b"avx2"), ("backend", 5)]
)
def test_names_at_loading(path: Path, name: str, value: Any) -> None:
    refused(name, lambda: Belle.load(path, **{name: value}))


@pytest.mark.parametrize("value", NO_THREADS, ids=names(NO_THREADS))
def test_threads_elsewhere(path: Path, tmp_path: Path, value: Any) -> None:
    refused("threads", lambda: convert(tmp_path, tmp_path / "out.gguf", threads=value))
    refused("threads", lambda: verify_file(path, threads=value))
    refused("threads", lambda: verify_contents(path, threads=value))


# ---- the extension, called directly


@pytest.mark.parametrize("value", [10**6, -1, 2**70, 1.5, "2", None])
def test_threads_of_the_extension(path: Path, value: Any) -> None:
    weights = np.zeros((300, 256), np.float32)
    refused("threads", lambda: _core.Model(str(path), threads=value))
    refused("threads", lambda: _core.quantize(weights, "q4_0", threads=value))
    refused("threads", lambda: _core.GgufFile(str(path)).verify_data(threads=value))
    refused("threads", lambda: _core.probe_read_bandwidth(n_bytes=1 << 20, threads=value))


@pytest.mark.parametrize("value", [-1, 2**70, 1.5, "2", None, 4])
def test_positions_of_a_sequence(path: Path, value: Any) -> None:
    engine = _core.Model(str(path))
    sequence = engine.new_sequence()
    engine.forward([(sequence, IDS)])
    refused("length|truncate", lambda: sequence.truncate(value))
    refused("begin|discard", lambda: sequence.discard(value, 3))
    refused("end|discard", lambda: sequence.discard(0, value))
    assert sequence.length == 3


def test_none_in_a_batch_is_no_crash(path: Path) -> None:
    engine = _core.Model(str(path))
    refused("Sequence", lambda: engine.forward([(None, IDS)]))
    refused("Sampler", lambda: engine.forward_sample([(engine.new_sequence(), IDS, None)]))
    refused("top_logprobs", lambda: engine.forward_sample([], top_logprobs=2**31))


@pytest.mark.parametrize("value", [math.nan, -1.0, math.inf, 1e300])
def test_seconds_and_sizes_of_probes(value: float) -> None:
    refused("seconds", lambda: _core.probe_integer_peak(seconds=value))
    for n_bytes in (2**64 - 1, 2**63, 2**49):
        refused("n_bytes", lambda n_bytes=n_bytes: _core.probe_read_bandwidth(n_bytes=n_bytes))
    refused("n_cols", lambda: _core.probe_read_ahead(n_rows=2**62, n_cols=2**62))


def test_memory_that_runs_out_is_a_memory_error() -> None:
    with pytest.raises(MemoryError, match="cannot allocate"):
        _core.probe_read_bandwidth(n_bytes=2**48)


# ---- which fault an error names


def test_a_tiny_temperature_takes_the_best() -> None:
    logits = np.array([1.0, 3.0, 2.0, -np.inf], np.float32)
    for temperature in (1.2e-38, 1e-36, 1e-31, 1e-8):
        sampler = _core.Sampler(temperature=temperature, top_k=3, top_p=0.9)
        assert {sampler.sample(logits) for _ in range(20)} == {1}


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_settings_are_not_blamed_on_the_weights(temperature: float) -> None:
    logits = np.array([1.0, 3.0, 2.0], np.float32)
    for settings in (
        {"logit_bias": {0: 3.4e38}, "repetition_penalty": 1e-38},
        {"frequency_penalty": -3e38, "presence_penalty": -3e38},
    ):
        sampler = _core.Sampler(temperature=temperature, **settings)
        sampler.accept([0])
        with pytest.raises(ValueError, match="penalty") as raised:
            sampler.sample(logits)
        assert "damaged" not in str(raised.value)
    with pytest.raises(ValueError, match="temperature"):
        _core.Sampler(temperature=1e-29).sample(np.array([1e10, 1.0], np.float32))
