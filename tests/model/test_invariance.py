"""On one tier a row's result is the same, bit for bit, however the work is cut up.

Step by step or at once, alone or in a batch, on any number of threads, in one pass or in several: what decides are the
tokens up to the row, and whether they are a prompt's or were decoded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core

from .conftest import ModelFile
from .gguf_models import VOCAB_SIZE

FILES = [
    ("llama", "f32"),
    ("llama", "q4_0"),
    ("llama", "q4_1"),
    ("llama", "q8_0"),
    ("bloom", "f32"),
    ("bloom", "q4_0"),
]
Ids = NDArray[np.int32]
Logits = NDArray[np.float32]


@pytest.fixture(scope="module", params=FILES, ids="-".join)
def path(request: pytest.FixtureRequest, model_file: ModelFile) -> Path:
    architecture, type = request.param
    return model_file(architecture, type)


@pytest.fixture(scope="module")
def model(tier: str, path: Path) -> _core.Model:
    return _core.Model(str(path), isa=tier, threads=1)


def all_logits(model: _core.Model, ids: Ids, *, decode: bool = False) -> Logits:
    return model.forward([(model.new_sequence(), ids)], logits="all", decode=decode)[0]


def in_chunks(model: _core.Model, ids: Ids, sizes: list[int], *, decode: bool = False) -> Logits:
    """The same tokens in several calls, each of the next size in the list, over and over."""
    sequence, rows, first = model.new_sequence(), [], 0
    for turn in range(len(ids)):
        chunk = ids[first : first + sizes[turn % len(sizes)]]
        if chunk.size == 0:
            break
        rows.append(model.forward([(sequence, chunk)], logits="all", decode=decode)[0])
        first += chunk.size
    assert sequence.length == len(ids)
    return np.concatenate(rows)


@pytest.mark.parametrize("decode", [False, True], ids=["prompt", "decode"])
@pytest.mark.parametrize("sizes", [[1], [1, 16, 3, 33, 7], [16, 17]], ids=str)
def test_chunks_of_any_size_equal_one_pass(
    model: _core.Model, ids: Ids, sizes: list[int], decode: bool
) -> None:
    expected = all_logits(model, ids[:100], decode=decode)
    np.testing.assert_array_equal(in_chunks(model, ids[:100], sizes, decode=decode), expected)


@pytest.mark.slow
def test_a_prompt_of_several_passes_equals_its_chunks(model: _core.Model, ids: Ids) -> None:
    np.testing.assert_array_equal(in_chunks(model, ids, [100]), all_logits(model, ids))


@pytest.mark.slow
@pytest.mark.parametrize("n_members", [2, 5, 16])
def test_a_batch_equals_its_members(model: _core.Model, n_members: int) -> None:
    """Sequences of different lengths; every second one decodes one token while its neighbours prefill."""
    random = np.random.default_rng(n_members)
    sequences, prompts, tails, decode = [], [], [], []
    for member in range(n_members):
        prompts.append(random.integers(0, VOCAB_SIZE, size=1 + int(random.integers(70)), dtype=np.int32))
        n_new = 1 if member % 2 == 0 else 1 + int(random.integers(40))
        tails.append(random.integers(0, VOCAB_SIZE, size=n_new, dtype=np.int32))
        decode.append(member % 2 == 0)
        sequences.append(model.new_sequence())
    first = model.forward(list(zip(sequences, prompts, strict=True)), logits="all")
    second = model.forward(list(zip(sequences, tails, strict=True)), logits="all", decode=decode)
    for member in range(n_members):
        alone = model.new_sequence()
        parts = [
            model.forward([(alone, part)], logits="all", decode=phase)[0]
            for part, phase in ((prompts[member], False), (tails[member], decode[member]))
        ]
        np.testing.assert_array_equal(np.concatenate([first[member], second[member]]), np.concatenate(parts))
        assert sequences[member].length == prompts[member].size + tails[member].size


def test_a_batch_decodes_as_its_members_do(model: _core.Model, ids: Ids) -> None:
    """16 sequences, one token each, several times: the shape that a server runs."""
    starts = [ids[member : 2 * member + 1] for member in range(16)]
    sequences = [model.new_sequence() for _ in starts]
    batched = [model.forward(list(zip(sequences, starts, strict=True)))]
    for step in range(3):
        entries = [(sequence, ids[step : step + 1]) for sequence in sequences]
        batched.append(model.forward(entries, decode=True))
    for member, start in enumerate(starts):
        sequence = model.new_sequence()
        alone = [model.forward([(sequence, start)])[0]]
        alone += [model.forward([(sequence, ids[step : step + 1])], decode=True)[0] for step in range(3)]
        np.testing.assert_array_equal(
            np.concatenate([step[member] for step in batched]), np.concatenate(alone)
        )


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_do_not_change_the_result(
    model: _core.Model, tier: str, path: Path, threads: int, ids: Ids
) -> None:
    other = _core.Model(str(path), isa=tier, threads=threads)
    assert other.threads == threads
    np.testing.assert_array_equal(all_logits(other, ids[:80]), all_logits(model, ids[:80]))
    decoded = in_chunks(other, ids[:5], [1], decode=True)
    np.testing.assert_array_equal(decoded, all_logits(model, ids[:5], decode=True))


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 5])
def test_threads_that_share_a_head_do_not_change_the_result(
    model: _core.Model, tier: str, path: Path, threads: int, ids: Ids
) -> None:
    """Few rows at long positions: each head's positions are split among the threads, whose sums are merged."""
    other = _core.Model(str(path), isa=tier, threads=threads)
    lengths = [5, 255, 256, 520]
    sequences = [other.new_sequence() for _ in lengths]
    starts = [(sequence, ids[:length]) for sequence, length in zip(sequences, lengths, strict=True)]
    other.forward(starts, decode=True)
    steps = other.forward(
        [(sequence, ids[length : length + 3]) for sequence, length in zip(sequences, lengths, strict=True)],
        logits="all",
        decode=True,
    )
    expected = all_logits(model, ids[:523], decode=True)
    for step, length in zip(steps, lengths, strict=True):
        np.testing.assert_array_equal(step, expected[length : length + 3])


def test_logits_modes_agree(model: _core.Model, ids: Ids) -> None:
    everything = all_logits(model, ids[:40])
    (last,) = model.forward([(model.new_sequence(), ids[:40])])
    assert last.shape == (1, VOCAB_SIZE)
    np.testing.assert_array_equal(last[0], everything[-1])
    sequence = model.new_sequence()
    (none,) = model.forward([(sequence, ids[:40])], logits="none")
    assert none.shape == (0, VOCAB_SIZE)
    assert sequence.length == 40


def test_forward_sample_chooses_from_the_same_logits(model: _core.Model, ids: Ids) -> None:
    expected = [int(all_logits(model, ids[:size])[-1].argmax()) for size in (3, 50)]
    batch = [(model.new_sequence(), ids[:size], _core.Sampler(temperature=0.0)) for size in (3, 50)]
    assert model.forward_sample(batch) == expected
    assert [sequence.length for sequence, _, _ in batch] == [3, 50]


@pytest.mark.parametrize(("architecture", "type"), [("llama", "q4_0"), ("bloom", "q4_0"), ("bloom", "q8_0")])
def test_tiers_agree(model_file: ModelFile, architecture: str, type: str, ids: Ids) -> None:
    """All tiers quantize activations alike, so that they differ by rounding alone.

    In block32: each tier has other forms for prompts.
    """
    path = model_file(architecture, type)
    names = [tier["name"] for tier in _core.isa_tiers() if tier["supported"]]
    if len(names) == 1:
        pytest.skip("only one tier runs here")
    results = [
        all_logits(
            _core.Model(str(path), isa=name, threads=1, kv_type="f32", activations="block32"), ids[:70]
        )
        for name in names
    ]
    scalar = results[names.index("scalar")]
    for name, result in zip(names, results, strict=True):
        difference = np.sqrt(np.mean((result - scalar) ** 2) / np.mean(scalar**2))
        assert difference < 5e-3, f"{name} differs from scalar by {difference:.1e}"
