"""Threads, fork, Ctrl-C and limits on processors: what happens to the process around the engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core

from .conftest import ModelFile
from .subprocesses import PRELUDE, output_of

pytestmark = pytest.mark.slow


needs_posix = pytest.mark.skipif(os.name != "posix", reason="POSIX processes")


def generated(model: _core.Model, prompt: NDArray[np.int32], seed: int) -> list[int]:
    sequence, sampler = model.new_sequence(), _core.Sampler(temperature=0.8, seed=seed)
    fed, chosen = prompt, []
    for _ in range(40):
        chosen += model.forward_sample([(sequence, fed, sampler)])
        fed = np.array(chosen[-1:], dtype=np.int32)
    return chosen


@pytest.mark.parametrize("threads", [1, 2])
def test_python_threads_share_a_model(model_file: ModelFile, ids: NDArray[np.int32], threads: int) -> None:
    model = _core.Model(str(model_file("llama", "q4_0")), threads=threads)
    prompts = [ids[:50], ids[100:103], ids[200:280]]
    alone = [generated(model, prompt, seed) for seed, prompt in enumerate(prompts)]
    with ThreadPoolExecutor(len(prompts)) as pool:
        together = list(pool.map(generated, [model] * len(prompts), prompts, range(len(prompts))))
    assert together == alone


def test_sequences_may_be_read_and_forked_while_another_thread_computes(
    model_file: ModelFile, ids: NDArray[np.int32]
) -> None:
    model = _core.Model(str(model_file("llama", "f32")), threads=2)
    sequence = model.new_sequence()
    model.forward([(sequence, ids[:40])], logits="none")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(generated, model, ids[:50], 1)
        lengths = set()
        while not running.done():
            child = sequence.fork()
            child.truncate(20)
            lengths |= {sequence.length, child.length, model.restore(sequence.save()).length}
        running.result()
    assert lengths <= {20, 40}
    np.testing.assert_array_equal(sequence.tokens(), ids[:40])


FORK = """
import os
model = _core.Model(sys.argv[1], threads=2)
sequence = model.new_sequence()
before = model.forward([(sequence, [1, 2, 3])])[0]
child = os.fork()
if child == 0:
    status = 1
    try:
        model.forward([(sequence, [4])])
    except RuntimeError as error:
        own = _core.Model(sys.argv[1], threads=2)
        same = np.array_equal(own.forward([(own.new_sequence(), [1, 2, 3])])[0], before)
        status = 0 if same and "fork" in str(error) else 2
    os._exit(status)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
after = model.forward([(sequence, [4])])[0]
fresh = model.forward([(model.new_sequence(), [1, 2, 3, 4])])[0]
print("same" if np.array_equal(after, fresh) else "different")
"""

FORK_AND_EXIT = """
import os
model = _core.Model(sys.argv[1], threads=2)
child = os.fork()
if child == 0:
    sys.exit(0)  # runs the destructors, which must not wait for threads that do not exist here
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@needs_posix
def test_a_forked_child_gets_an_error_and_can_load_its_own(model_file: ModelFile) -> None:
    assert output_of(FORK, model_file("llama", "f32")) == "same"


@needs_posix
def test_a_forked_child_can_exit(model_file: ModelFile) -> None:
    assert output_of(FORK_AND_EXIT, model_file("llama", "f32")) == "0"


LONG_FORWARD = """
model = _core.Model(sys.argv[1], isa="scalar", threads=1)
sequence = model.new_sequence()
model.forward([(sequence, [1, 2, 3])], logits="none")
print("started", flush=True)
try:
    model.forward([(sequence, np.full(30_000, 7, np.int32))], logits="none")
except KeyboardInterrupt:
    assert sequence.length == 3
    after = model.forward([(sequence, [4])])[0]
    fresh = model.forward([(model.new_sequence(), [1, 2, 3, 4])])[0]
    print("interrupted, works" if np.array_equal(after, fresh) else "interrupted, damaged")
else:
    print("not interrupted")
"""


@needs_posix
def test_ctrl_c_stops_a_long_prompt(model_file: ModelFile) -> None:
    """30,000 tokens take the scalar tier far longer than the ten seconds that are allowed here."""
    command = [sys.executable, "-c", PRELUDE + LONG_FORWARD, str(model_file("bloom", "f32"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.3)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        assert rest == "interrupted, works\n"
        assert time.monotonic() - start < 10


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity here")
def test_processor_affinity_is_respected(model_file: ModelFile) -> None:
    script = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(_core.cpu_info()["usable_threads"], _core.Model(sys.argv[1]).threads)
"""
    assert output_of(script, model_file("llama", "f32")) == "1 1"


def test_usable_threads_are_the_default() -> None:
    usable = _core.cpu_info()["usable_threads"]
    assert 1 <= usable <= (os.cpu_count() or 1)


TOO_MANY_THREADS = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
for _ in range(3):
    try:
        _core.Model(sys.argv[1], threads=1_000)
    except OSError as error:
        assert "cannot start 1000 threads" in str(error), error
        continue
    sys.exit("1,000 threads fit, which this test did not expect")
model = _core.Model(sys.argv[1], threads=3)
print(model.forward([(model.new_sequence(), [1, 2, 3])])[0].shape)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="address space limits")
def test_threads_that_cannot_all_start_leave_none_behind(model_file: ModelFile) -> None:
    assert output_of(TOO_MANY_THREADS, model_file("llama", "f32")) == "(1, 301)"


def test_models_come_and_go(model_file: ModelFile) -> None:
    """Each ends right after its last job, when its workers may just be going to sleep."""
    path = str(model_file("llama", "q4_0"))
    expected = None
    for turn in range(200):
        model = _core.Model(path, threads=2 + turn % 3)
        (logits,) = model.forward([(model.new_sequence(), [5, 6])])
        expected = logits if expected is None else expected
        np.testing.assert_array_equal(logits, expected)


OUT_OF_MEMORY = """
import resource
model = _core.Model(sys.argv[1], threads=1)
sequence = model.new_sequence()
model.forward([(sequence, [1, 2, 3])])
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (64 << 20), resource.RLIM_INFINITY))
for n_tokens in (300_000, 3_000_000, 16_000_000):
    for logits in ("none", "all"):
        try:
            model.forward([(sequence, np.full(n_tokens, 7, np.int32))], logits=logits)
        except MemoryError:
            continue
        sys.exit(f"{n_tokens} tokens fit, which this test did not expect")
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
model.forward([(sequence, [4])])
print(sequence.length)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="address space limits")
def test_a_cache_that_does_not_fit_is_a_memory_error(model_file: ModelFile) -> None:
    assert output_of(OUT_OF_MEMORY, model_file("llama", "f32")) == "4"
