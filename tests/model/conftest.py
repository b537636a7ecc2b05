"""Fixtures for the engine's tests: ISA tiers, and small models in every tensor type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core

from .gguf_models import RANDOM_MODELS, VOCAB_SIZE

ModelFile = Callable[[str, str], Path]


def tier_params() -> list[Any]:
    """Every tier of this build; those that this machine cannot run are skipped visibly."""
    params = []
    for tier in _core.isa_tiers():
        reason = (
            "not in this build" if not tier["compiled"] else f"missing {' '.join(tier['missing_features'])}"
        )
        marks = [] if tier["supported"] else [pytest.mark.skip(reason=f"{tier['name']}: {reason}")]
        params.append(pytest.param(tier["name"], marks=marks))
    return params


@pytest.fixture(scope="module", params=tier_params())
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    """model_file("llama", "q4_0") → a small random model of that architecture and matrix type."""
    folder = tmp_path_factory.mktemp("models")

    def path_of(architecture: str, type: str) -> Path:
        path = folder / f"{architecture}-{type}.gguf"
        if not path.exists():
            model = RANDOM_MODELS[architecture]()
            model.write(path, type)
        return path

    return path_of


@pytest.fixture(scope="session")
def ids() -> NDArray[np.int32]:
    """600 token ids: more than one pass of the engine takes at once, and many KV pages."""
    return np.random.default_rng(3).integers(0, VOCAB_SIZE, size=600, dtype=np.int32)
