"""`import belle_edge` stays light, and the public names are there."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import belle_edge

HEAVY = (
    "numpy",
    "torch",
    "transformers",
    "tokenizers",
    "sentencepiece",
    "jinja2",
    "rich",
    "gguf",
    "llama_cpp",
)


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loads_nothing_heavy() -> None:
    assert not _loaded_after("import belle_edge").intersection(HEAVY)


def test_the_command_line_parser_loads_nothing_heavy() -> None:
    assert not _loaded_after("from belle_edge.cli.main import build_parser; build_parser()").intersection(
        HEAVY
    )


def test_loading_the_api_needs_no_torch() -> None:
    loaded = _loaded_after("import belle_edge; belle_edge.Belle")
    assert not loaded.intersection({"torch", "transformers", "rich", "gguf", "llama_cpp"})


def test_rooms_show_their_names_without_importing_them() -> None:
    loaded = _loaded_after("import belle_edge.generation, belle_edge.hub")
    assert not loaded.intersection({*HEAVY, "belle_edge.generation.streams", "belle_edge.pull"})


@pytest.mark.parametrize(
    ("room", "names"),
    [
        ("generation", ["AsyncStream", "Generation", "Stream", "Timings"]),
        ("hub", ["Pulled", "pull"]),
        ("prompts", ["FAMILIES"]),
    ],
)
def test_names_at_their_public_address(room: str, names: list[str]) -> None:
    module = importlib.import_module(f"belle_edge.{room}")
    for name in names:
        assert getattr(module, name) is not None
    assert module.__all__ == names
    assert set(names) <= set(dir(module))


def test_public_names() -> None:
    for name in belle_edge.__all__:
        assert getattr(belle_edge, name) is not None
    assert set(belle_edge.__all__) <= set(dir(belle_edge))


def test_one_version() -> None:
    from belle_edge import _core

    assert _core.__version__ == belle_edge.__version__


def test_every_public_name_is_there() -> None:
    assert sorted(belle_edge.__all__, key=str.lower) == sorted(set(belle_edge.__all__), key=str.lower)
    for name in belle_edge.__all__:
        assert getattr(belle_edge, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = belle_edge.nothing
