"""Of a split GGUF the first part is chosen, and all parts are fetched."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from belle_edge.hub.gguf_choice import all_parts, choose_gguf

PARTS = [f"q8/model-q8_0-{number:05d}-of-00003.gguf" for number in (1, 2, 3)]


def test_one_choice_for_all_parts() -> None:
    assert choose_gguf("org/name", PARTS, type=None) == PARTS[0]
    assert choose_gguf("org/name", [*PARTS, "model-q4_0.gguf"], type="q8_0") == PARTS[0]
    with pytest.raises(ValueError, match=r"several GGUF files.*q4_0\.gguf") as caught:
        choose_gguf("org/name", [*PARTS, "model-q4_0.gguf"], type=None)
    assert "00002" not in str(caught.value)


def test_all_parts_are_fetched() -> None:
    assert [
        name for name in [*PARTS, "q8/model-q8_0-00001-of-00004.gguf"] if fnmatch(name, all_parts(PARTS[0]))
    ] == PARTS
    assert all_parts("model-q4_0.gguf") == "model-q4_0.gguf"
