"""Sound files that the native engine does not run: one line that names the reason and the other backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ..model.gguf_models import GgufModel
from .conftest import Completed
from .small_models import complete_model

pytestmark = pytest.mark.slow
Change = Callable[[GgufModel], object]

UNSUPPORTED: dict[str, tuple[Change, str]] = {
    "experts": (lambda model: model.metadata.update(expert_count=8), "llama.expert_count"),
    "yarn": (lambda model: model.metadata.update({"rope.scaling.type": "yarn"}), "yarn"),
    "rope_freqs": (
        lambda model: model.tensors.update({"rope_freqs.weight": np.ones(8, np.float32)}),
        "rope_freqs.weight",
    ),
    "architecture": (lambda model: setattr(model, "architecture", "qwen2"), "qwen2"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_generate_names_it_and_info_describes_the_file(
    tmp_path: Path, belle: Callable[..., Completed], name: str
) -> None:
    change, mentioned = UNSUPPORTED[name]
    model = complete_model("llama")
    change(model)
    path = model.write(tmp_path / "model.gguf", "q4_0")
    done = belle("generate", path, "the dog")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    assert "model.gguf" in done.stderr
    assert mentioned in done.stderr
    assert "llama.cpp" in done.stderr
    described = belle("info", path)
    assert described.returncode == 0, described
    assert model.architecture in described.stdout
