"""The shipped checkpoint, converted by our converter and run by our engine, on questions it was never trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from belle_edge import Belle
from belle_edge.convert import convert
from belle_edge.demo import checkpoint_path
from demo_model import tasks
from demo_model.evaluate import overall, score

N_ITEMS = 504


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weight_type", "least"), [("f32", 0.90), ("q8_0", 0.90), ("q4_0", 0.85), (None, 0.85)]
)
def test_held_out_accuracy(weight_type: str | None, least: float, tmp_path: Path) -> None:
    path = tmp_path / "demo.gguf"
    convert(checkpoint_path(), path, type=weight_type, family="belle")
    with Belle.load(path) as model:
        table = score(
            tasks.held_out_items(5, N_ITEMS),
            lambda prompt: str(model.generate(prompt, raw=True, temperature=0, max_tokens=40)),
        )
    assert sum(asked for _, asked in table.values()) == N_ITEMS
    assert overall(table) >= least, table
