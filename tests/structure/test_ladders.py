"""The dependency ladders of docs/ARCHITECTURE.md, checked against the includes and imports that are really there."""

from __future__ import annotations

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from .room_ladders import ROOM_LADDERS

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"

# Which folders of csrc/ each one may include.
CPP_LADDER: dict[str, set[str]] = {
    "core": set(),
    "cpu": set(),
    "gguf": {"core"},
    "quant": {"core"},
    "kernels": {"quant", "core"},
    "dense": {"kernels", "core"},
    "rounding": {"kernels", "quant", "core"},
    "kv": {"kernels", "core"},
    "ops": {"kv", "kernels", "quant", "core"},
    "sampling": {"kernels", "core"},
    "loading": {"ops", "quant", "gguf", "core"},
    "model": {"loading", "ops", "kv", "gguf", "core"},
    "tuning": {"model", "ops", "kv", "kernels", "core"},
    "engine": {"tuning", "model", "sampling", "ops", "kv", "kernels", "gguf", "core"},
    "bindings": {
        "engine",
        "tuning",
        "model",
        "loading",
        "sampling",
        "rounding",
        "ops",
        "kv",
        "dense",
        "kernels",
        "quant",
        "gguf",
        "core",
    },
}
MAY_INCLUDE_CPU = {"kernels/registry.cpp", "dense/dense_isa.cpp", "bindings/bind_cpu.cpp"}
MAY_SPLIT_WORK = {"core", "dense", "kv", "ops", "loading", "rounding", "tuning"}

# Which rooms and files of the Python package each one may import; "_core" is the extension.
SHARED = {
    "errors",
    "folders",
    "journal_lines",
    "languages",
    "argument_names",
    "lazy_names",
    "output_files",
    "process_lock",
    "regular_files",
    "settings",
    "strict_json",
    "_version",
}
PYTHON_LADDER: dict[str, set[str]] = {
    "errors": set(),
    "_version": set(),
    "lazy_names": set(),
    "languages": set(),
    "strict_json": {"errors"},
    "folders": set(),
    "regular_files": set(),
    "output_files": {"regular_files"},
    "journal_lines": {"regular_files", "strict_json"},
    "settings": {"_core", "errors"},
    "argument_names": set(),
    "process_lock": set(),
    "sampling": SHARED,
    "text": SHARED | {"sampling"},
    "prompts": {"text"},
    "divergence": SHARED,
    "demo": SHARED,
    "hub": SHARED,
    "convert": {
        "_core",
        "divergence",
        "argument_names",
        "languages",
        "text",
        "hub",
        "errors",
        "lazy_names",
        "output_files",
        "regular_files",
        "settings",
        "strict_json",
    },
    "pull": SHARED | {"hub", "convert"},
    "backends": SHARED | {"sampling", "text", "_core"},
    "generation": SHARED | {"_core", "sampling", "text", "backends"},
    "memory": SHARED | {"_core"},
    "model": SHARED | {"_core", "sampling", "text", "backends", "generation", "memory"},
    "batch": SHARED | {"text", "sampling", "generation", "model"},
    "integrations": SHARED | {"text", "sampling", "generation", "model"},
    "distributed": SHARED | {"_core", "sampling", "text", "generation", "model", "batch"},
    "verification": SHARED | {"text", "_core", "convert"},
    "benchmark": SHARED | {"text", "_core", "backends", "memory", "model", "convert"},
    "quality": SHARED
    | {
        "_core",
        "sampling",
        "text",
        "backends",
        "generation",
        "memory",
        "model",
        "convert",
        "divergence",
        "prompts",
    },
    "history": SHARED,
    "rendering": set(),
    "server": SHARED
    | {
        "_core",
        "sampling",
        "text",
        "backends",
        "generation",
        "memory",
        "model",
        "history",
        "rendering",
        "languages",
        "hub",
        "convert",
        "pull",
    },
    "desktop": SHARED | {"server"},
    "hf": SHARED | {"sampling", "text", "_core", "backends", "convert", "hub"},
    "cli": SHARED
    | {
        "sampling",
        "text",
        "hub",
        "hf",
        "pull",
        "_core",
        "backends",
        "generation",
        "model",
        "batch",
        "benchmark",
        "convert",
        "demo",
        "desktop",
        "distributed",
        "memory",
        "quality",
        "server",
        "verification",
    },
    "__main__": {"cli"},
    "__init__": SHARED | {"sampling", "text", "generation", "model"},
}
# What a room shows under its own name although it stands above it; only its __init__.py knows it.
SHOWN = {"hub/__init__.py": {"pull"}}

# Rooms that an extra belongs to: they import its packages where they like, and nobody imports them at the top level.
EXTRA_ROOMS = {
    "history": {"sqlalchemy", "alembic"},
    "rendering": {"markdown_it", "pygments", "latex2mathml", "nh3"},
    "server": {"fastapi", "starlette", "uvicorn", "prometheus_client", "pydantic"},
    "desktop": {"webview"},
    "integrations": {"langchain_core", "llm", "pandas", "pydantic"},
}
HEAVY = {
    "torch",
    "transformers",
    "llama_cpp",
    "llguidance",
    "fastapi",
    "starlette",
    "uvicorn",
    "prometheus_client",
    "pydantic",
    "sqlalchemy",
    "alembic",
    "markdown_it",
    "pygments",
    "latex2mathml",
    "nh3",
    "webview",
    "langchain_core",
    "llm",
    "pandas",
    "gi",
    "huggingface_hub",
    "rich",
    "sentencepiece",
    "tokenizers",
    "matplotlib",
    "ray",
    "dask",
    "distributed",
    "pyspark",
}


def cpp_files() -> list[Path]:
    return sorted(path for path in CSRC.rglob("*") if path.suffix in {".h", ".cpp", ".inl"})


def python_files() -> list[tuple[str, Path]]:
    """(module path below belle_edge, file) of the whole package; convert/ is installed as belle_edge.convert."""
    files = [(str(p.relative_to(ROOT / "belle_edge")), p) for p in (ROOT / "belle_edge").rglob("*.py")]
    files = [
        (module, path) for module, path in files if not module.startswith("convert")
    ]  # a link, see below
    files += [(str(p.relative_to(ROOT)), p) for p in (ROOT / "convert").rglob("*.py")]
    return sorted(files)


def developer_files() -> list[Path]:
    """Python files that are not installed."""
    return sorted(
        path for folder in ("tests", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    )


def includes(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', path.read_text(encoding="utf-8"), re.MULTILINE)


def package_imports(module: str, tree: ast.AST) -> set[tuple[str, ...]]:
    """The modules below belle_edge that are imported, as paths: ("text", "tokenizer"); relative ones resolved."""
    folder = Path(module).parts[:-1]
    found = set()
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ["belle_edge", *folder[: len(folder) + 1 - node.level]] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # each name may be a module (`from .. import _core`) or something in one (`from .prompts import render`)
            names = [f"{base}.{alias.name}" for alias in node.names]
        found |= {tuple(name.split(".")[1:]) for name in names if name.startswith("belle_edge.")}
    return found - {("__version__",)}


@pytest.mark.parametrize("path", cpp_files(), ids=lambda p: str(p.relative_to(CSRC)))
def test_cpp_includes_follow_the_ladder(path: Path) -> None:
    relative = path.relative_to(CSRC)
    folder = relative.parts[0]
    for include in includes(path):
        target = include.split("/")[0]
        if target == folder or target not in CPP_LADDER:
            continue
        if target == "cpu":
            assert str(relative) in MAY_INCLUDE_CPU, f"{relative} includes {include}"
        else:
            assert target in CPP_LADDER[folder], f"{relative} includes {include}"


def test_names_of_cpp_files_tell_them_apart() -> None:
    """One base name, one thing: the tiers of kernels/ alone repeat theirs on purpose."""
    folders: dict[str, set[str]] = {}
    for path in cpp_files():
        if (folder := path.relative_to(CSRC).parts[0]) != "kernels":
            folders.setdefault(path.stem, set()).add(folder)
    assert not {name: rooms for name, rooms in folders.items() if len(rooms) > 1}


def test_architectures_know_the_table_alone() -> None:
    """Each architecture is one file, which shares nothing with the others and is listed."""
    folder = CSRC / "model"
    texts = {path: path.read_text(encoding="utf-8") for path in folder.glob("*.cpp")}
    defined = {
        name: path
        for path, text in texts.items()
        for name in re.findall(r"^const Architecture (k\w+) = ", text, re.MULTILINE)
    }
    listed = re.search(r"kArchitectures\[\] = \{(.*?)\}", texts[folder / "architectures.cpp"], re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"&(k\w+)", listed[1])) == set(defined)
    assert len(defined) >= 2
    assert len(set(defined.values())) == len(defined)
    shared = {"model/architectures.h", "model/config_keys.h", "model/decoder.h"}
    for path in defined.values():
        assert {name for name in includes(path) if name.startswith("model/")} <= shared, path


@pytest.mark.parametrize("path", cpp_files(), ids=lambda p: str(p.relative_to(CSRC)))
def test_cpp_features_stay_in_their_folders(path: Path) -> None:
    relative = path.relative_to(CSRC)
    folder, text = relative.parts[0], path.read_text(encoding="utf-8")
    if folder != "bindings":
        assert "pybind11" not in text
    if folder not in {"kernels", "quant"} and relative.parts[:2] not in {
        ("dense", "isa"),
        ("rounding", "isa"),
    }:
        assert not re.search(r"immintrin\.h|arm_neon\.h|_mm\d+_", text), (
            "vector intrinsics belong in kernels/"
        )
    if folder not in MAY_SPLIT_WORK:
        assert "parallel_for" not in text, "parallel loops belong in the rooms that work on tensors"


@pytest.mark.parametrize(("module", "path"), python_files(), ids=lambda value: str(value).rsplit("/", 1)[-1])
def test_python_imports_follow_the_ladder(module: str, path: Path) -> None:
    part = Path(module).parts[0].removesuffix(".py")
    assert part in PYTHON_LADDER, f"{module} has no place in the ladder of docs/ARCHITECTURE.md: give it one"
    allowed = {part} | PYTHON_LADDER[part] | SHOWN.get(module, set())
    for target in package_imports(module, ast.parse(path.read_text(encoding="utf-8"))):
        assert target[0] in allowed, f"{module} imports belle_edge.{'.'.join(target)}"


def files_of_rooms() -> list[tuple[str, Path]]:
    """The files of rooms that have a ladder inside, but for an __init__.py that is not on it: it shows other rooms."""
    found = []
    for module, path in python_files():
        room, *rest = Path(module).with_suffix("").parts
        if room in ROOM_LADDERS and (rest != ["__init__"] or "__init__" in ROOM_LADDERS[room]):
            found.append((module, path))
    return found


@pytest.mark.parametrize(
    ("module", "path"), files_of_rooms(), ids=lambda value: str(value).rsplit("/", 1)[-1]
)
def test_imports_inside_a_room_follow_its_ladder(module: str, path: Path) -> None:
    room, file = Path(module).with_suffix("").parts[:2]
    assert file in ROOM_LADDERS[room], f"{module} has no place in its room's ladder: give it one"
    for target in package_imports(module, ast.parse(path.read_text(encoding="utf-8"))):
        if target[0] == room and target[1] != file:
            assert target[1] in ROOM_LADDERS[room][file], f"{module} imports belle_edge.{'.'.join(target)}"


def test_the_ladders_have_no_cycle() -> None:
    for ladder in (PYTHON_LADDER, *ROOM_LADDERS.values()):
        tuple(TopologicalSorter(ladder).static_order())


@pytest.mark.parametrize(("module", "path"), python_files(), ids=lambda value: str(value).rsplit("/", 1)[-1])
def test_heavy_imports_are_inside_functions(module: str, path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    room = Path(module).parts[0]
    at_top = ast.Module([node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))], [])
    entered = {target[0] for target in package_imports(module, at_top)} & EXTRA_ROOMS.keys() - {room}
    entered -= (
        PYTHON_LADDER[room] if room in EXTRA_ROOMS else set()
    )  # they are entered inside functions themselves
    assert not entered, f"{module} imports {entered} at the top level"
    for node in tree.body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        heavy = {name.split(".")[0] for name in names} & HEAVY - EXTRA_ROOMS.get(room, set())
        assert not heavy, f"{module} imports {heavy} at the top level"


@pytest.mark.parametrize("name", ["__init__.py", "loop.py", "measured_llama.py"])
def test_a_measured_peer_needs_nothing_of_this_package(name: str) -> None:
    """A Python without belle_edge runs these: the standard library, NumPy, llama_cpp, and each other."""
    tree = ast.parse((ROOT / "belle_edge" / "benchmark" / "children" / name).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            assert (node.level, node.module) == (1, "loop")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            known = {*sys.stdlib_module_names, "numpy", "llama_cpp"}
            assert {imported.split(".")[0] for imported in names} <= known


def test_files_stay_readable() -> None:
    """No source file past 500 lines."""
    files = cpp_files() + [path for _, path in python_files()] + developer_files()
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert not {name: length for name, length in lengths.items() if length > 500}
