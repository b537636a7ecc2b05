"""Every tier on trained models: a known story word for word, and Chinese text against transformers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert import convert

from .random_checkpoints import reference_logits, relative_error


@pytest.fixture(scope="module")
def stories(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stories260K") / "f32.gguf"
    source = test_data / "models" / "stories260K" / "hf"
    if not source.is_dir():
        pytest.skip(f"no {source}")
    convert(source, path, type="f32")
    return path


def test_stories260k_writes_its_known_story(tier: str, stories: Path, test_data: Path) -> None:
    golden = test_data / "models" / "stories260K" / "greedy_ids_from_BOS.json"
    expected = json.loads(golden.read_text(encoding="utf-8"))
    model = _core.Model(str(stories), isa=tier)
    sequence, greedy = model.new_sequence(), _core.Sampler(temperature=0.0)
    written = [expected[0]]
    while len(written) < len(expected):
        written += model.forward_sample([(sequence, written[-1:], greedy)])
    assert written == expected


@pytest.fixture(scope="module")
def trained_bloom(
    test_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, NDArray[np.int32], NDArray[np.float32]]:
    """(GGUF, 300 ids of Chinese text, transformers' logits) of belle-tiny-zh."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tokenizers import Tokenizer

    source = test_data / "models" / "belle-tiny-zh"
    if not source.is_dir():
        pytest.skip(f"no {source}")
    text = (source / "val.json").read_text(encoding="utf-8")[:4000]
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    ids = np.array(tokenizer.encode(text).ids[:300], dtype=np.int32)
    path = tmp_path_factory.mktemp("belle-tiny-zh") / "f32.gguf"
    convert(source, path, type="f32")
    return path, ids, reference_logits(source, ids)


@pytest.mark.slow
def test_belle_tiny_zh(tier: str, trained_bloom: tuple[Path, NDArray[np.int32], NDArray[np.float32]]) -> None:
    path, ids, reference = trained_bloom
    assert ids.size == 300
    model = _core.Model(str(path), isa=tier)
    (logits,) = model.forward([(model.new_sequence(), ids)], logits="all")
    assert relative_error(logits, reference) < 2e-5
    np.testing.assert_array_equal(logits.argmax(axis=1), reference.argmax(axis=1))
