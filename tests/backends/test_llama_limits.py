"""The llama.cpp backend at its limits: growth, errors in the middle, threads, closing, forked processes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from belle_edge import Belle, _core
from belle_edge.backends.llama_config import may_resize_cache
from belle_edge.backends.llama_context import LlamaContext
from belle_edge.backends.llama_cpp import LlamaCppBackend
from belle_edge.backends.llama_library import import_library
from belle_edge.backends.llama_tokenizer import LlamaTokenizer
from belle_edge.errors import BackendError
from belle_edge.sampling import SamplingParams

from .conftest import Foreign
from .sequences import Ids, assert_close, filled, next_logits


def test_the_cache_grows(foreign: Foreign, ids: Ids) -> None:
    """More sequences than slots, and more tokens than cells; states and forks move along."""
    backend = LlamaCppBackend(foreign("qwen2"), threads=1, context=64)
    before = backend.details["kv_tokens"]
    expected = next_logits(backend, filled(backend, ids[:50]), ids[50:60])
    first = filled(backend, ids[:50])
    first_fork = first.fork()
    others = [filled(backend, np.roll(ids, n)) for n in range(20)]
    assert backend.details["kv_tokens"] > before
    assert_close(next_logits(backend, first, ids[50:60]), expected)
    assert_close(next_logits(backend, first_fork, ids[50:60]), expected)
    expected = next_logits(backend, filled(backend, np.roll(ids, 7)), ids[:5])
    assert_close(next_logits(backend, others[7], ids[:5]), expected)
    many = [backend.new_sequence() for _ in range(40)]
    assert all(logits.shape == (1, 265) for logits in backend.forward([(one, [1]) for one in many]))
    backend.close()


def test_slots_are_used_again(qwen2: LlamaCppBackend, ids: Ids) -> None:
    for _ in range(300):
        filled(qwen2, ids[:2])
    gc.collect()
    assert qwen2.details["kv_tokens"] < 600


def test_errors_leave_sequences_alone(qwen2: LlamaCppBackend, ids: Ids) -> None:
    sequence, other = filled(qwen2, ids[:10]), filled(qwen2, ids[:10])
    bad: list[tuple[list[tuple[Any, Any]], str]] = [
        ([(sequence, [1]), (other, [])], "no tokens"),
        ([(sequence, [1]), (other, [265])], "outside the vocabulary"),
        ([(sequence, [-1])], "outside the vocabulary"),
        ([(sequence, [1]), (sequence, [2])], "appears twice"),
        ([(sequence, [1] * 190)], "would exceed the 192"),
    ]
    for batch, message in bad:
        with pytest.raises(ValueError, match=message):
            qwen2.forward(batch)
    with pytest.raises(ValueError, match="expected last, all or none"):
        qwen2.forward([(sequence, [1])], logits="some")  # type: ignore[arg-type]
    assert (sequence.length, other.length) == (10, 10)
    assert_close(next_logits(qwen2, sequence, ids[10:12]), next_logits(qwen2, other, ids[10:12]))


def test_a_sampler_that_fails_undoes_the_pass(qwen2: LlamaCppBackend, ids: Ids) -> None:
    sequence = filled(qwen2, ids[:10])
    nothing_left = qwen2.new_sampler(SamplingParams(temperature=0, banned=range(265)))
    with pytest.raises(ValueError, match="every token is banned"):
        qwen2.forward_sample([(sequence, [1, 2], nothing_left)])
    with pytest.raises(ValueError, match="every token is banned"):
        qwen2.forward_sample_scored([(sequence, [1, 2], nothing_left)], top_logprobs=1)
    assert sequence.length == 10


def test_a_failed_pass_is_taken_back(qwen2: LlamaCppBackend, ids: Ids) -> None:
    """Two chunks fit into a cache that must not grow, the third does not."""
    library = import_library()
    model = library.load_model(qwen2.path, extra_buffers=True)
    context = LlamaContext(library, model, n_cells=1024, threads=1, kv_type="f32", may_grow=False)
    first, second = context.new_slot(), context.new_slot()
    context.decode([(first, ids.tolist())], "none")
    with pytest.raises(BackendError, match="cache of 1024 tokens is full"):
        context.decode([(second, [7] * 600), (first, [7] * 600)], "none")
    assert (len(context.slots[first]), context.slots[second]) == (100, [])
    (found,) = context.decode([(first, [5])], "last")
    assert_close(found, next_logits(qwen2, filled(qwen2, ids), np.array([5], dtype=np.int32)))
    context.close()
    library.api.llama_model_free(model)


def test_rotary_factors_by_cache_size_are_noticed(foreign: Foreign, tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "phi.gguf", "phi3")
    writer.add_tensor("rope_factors_long.weight", np.ones(8, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert not may_resize_cache(_core.GgufFile(str(tmp_path / "phi.gguf")))
    assert may_resize_cache(_core.GgufFile(str(foreign("qwen2"))))


def test_another_models_sequence_is_refused(qwen2: LlamaCppBackend, foreign: Foreign) -> None:
    other = LlamaCppBackend(foreign("qwen2"), threads=1)
    with pytest.raises(ValueError, match="another model"):
        qwen2.forward([(other.new_sequence(), [1])])
    other.close()


def test_several_threads(qwen2: LlamaCppBackend, ids: Ids) -> None:
    expected: dict[int, list[int]] = {}
    found: dict[int, list[int]] = {}

    def write(start: int, results: dict[int, list[int]]) -> None:
        sequence, sampler = qwen2.new_sequence(), qwen2.new_sampler(SamplingParams(temperature=0))
        written = qwen2.forward_sample([(sequence, ids[start : start + 20], sampler)])
        while len(written) < 20:
            written += qwen2.forward_sample([(sequence, written[-1:], sampler)])
        results[start] = written

    for start in range(4):
        write(start, expected)
    threads = [threading.Thread(target=write, args=(start, found)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_closing(foreign: Foreign) -> None:
    backend = LlamaCppBackend(foreign("qwen2"), threads=1)
    tokenizer, sequence = backend.tokenizer(), backend.new_sequence()
    backend.close()
    backend.close()
    for use in (
        backend.new_sequence,
        sequence.fork,
        sequence.save,
        partial(backend.forward, [(sequence, [1])]),
    ):
        with pytest.raises(ValueError, match="it is closed"):
            use()
    assert tokenizer.decode(tokenizer.encode("the 你好")) == "the 你好"


def test_a_prompt_of_megabytes_is_refused_unread(foreign: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    """By llama.cpp's own tokenizer, too: this pre-tokenizer is none of ours."""
    with Belle.load(foreign("qwen2"), backend="llama.cpp", threads=1) as model:
        assert isinstance(model.tokenizer, LlamaTokenizer)
        spaces = model.tokenizer.encode(
            "a" + " " * 1000, limit=10
        )  # refused by its length only where that is sure
        assert spaces == model.tokenizer.encode("a" + " " * 1000)
        monkeypatch.setattr(
            model.tokenizer, "_tokenize", lambda *_args, **_options: pytest.fail("it was read")
        )
        for raw in (True, False):
            with pytest.raises(ValueError, match=f"more than {model.context} tokens"):
                model.generate("a" * (4 << 20), raw=raw)


FORK = """
import os, sys
from pathlib import Path
from belle_edge.backends.llama_cpp import LlamaCppBackend
backend = LlamaCppBackend(Path(sys.argv[1]), threads=2)
sequence = backend.new_sequence()
backend.forward([(sequence, [1, 2])])
child = os.fork()
if child == 0:
    try:
        backend.forward([(sequence, [3])])
    except RuntimeError as error:
        os._exit(42 if "forked" in str(error) else 1)
    os._exit(2)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_gets_an_error(foreign: Foreign) -> None:
    command = [sys.executable, "-c", FORK, str(foreign("qwen2"))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert result.stdout.strip() == "42", result.stderr
