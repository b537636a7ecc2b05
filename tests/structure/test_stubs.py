"""The stubs in belle_edge/_core/ say what the extension is, as it was built."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from belle_edge import _core

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "belle_edge" / "_core"
ALLOWLIST = Path(__file__).with_name("stubtest_allowlist.txt")


@pytest.mark.slow
def test_names_and_classes(tmp_path: Path) -> None:
    """Both ways: what a stub promises exists, and what exists has a stub."""
    pytest.importorskip("mypy")
    config = tmp_path / "mypy.ini"
    config.write_text(
        "[mypy]\nfollow_imports = skip\n"
    )  # the stub stands alone: without it PyTorch is read, too
    command = [sys.executable, "-m", "mypy.stubtest", "belle_edge._core", "--allowlist", str(ALLOWLIST)]
    command += ["--mypy-config-file", str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


def stub_functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Qualified name and definition of each function and method; an overloaded one comes several times."""
    for path in sorted(STUBS.glob("*.pyi")):
        module = "" if path.stem == "__init__" else f"{path.stem}."
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                yield module + node.name, node
            elif isinstance(node, ast.ClassDef):
                for member in node.body:
                    if isinstance(member, ast.FunctionDef) and not any(
                        isinstance(mark, ast.Name) and mark.id == "property" for mark in member.decorator_list
                    ):
                        yield f"{module}{node.name}.{member.name}", member


def built_function(name: str) -> ast.FunctionDef:
    """The signature that pybind11 writes as the first line of a docstring: mypy.stubtest does not read it."""
    found: Any = _core
    for part in name.split("."):
        found = getattr(found, part)
    signature = found.__doc__.splitlines()[0]
    definition = ast.parse(f"def {signature}: ...").body[0]
    assert isinstance(definition, ast.FunctionDef)
    return definition


def defaults(function: ast.FunctionDef) -> dict[str, object]:
    """Parameter -> its default, where it has one that is written out."""
    positional = [*function.args.posonlyargs, *function.args.args]
    given = dict(
        zip([arg.arg for arg in reversed(positional)], reversed(function.args.defaults), strict=False)
    )
    given |= {
        arg.arg: value
        for arg, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if value is not None
    }
    values = {name: eval(ast.unparse(value), {"__builtins__": {}}) for name, value in given.items()}
    return {name: value for name, value in values.items() if value is not ...}


@pytest.mark.parametrize(
    ("name", "stub"), [pytest.param(name, stub, id=name) for name, stub in stub_functions()]
)
def test_parameters(name: str, stub: ast.FunctionDef) -> None:
    """Names, order, which are keywords only, and the defaults."""
    built = built_function(name)
    named = [arg.arg for arg in built.args.args if not re.fullmatch(r"arg\d+", arg.arg)]
    without_name = len(built.args.args) - len(
        named
    )  # pybind11 numbers them: they are given by position alone
    promised = [arg.arg for arg in stub.args.posonlyargs] + [arg.arg for arg in stub.args.args]
    assert len(stub.args.posonlyargs) == (without_name + 1 if without_name else 0)  # and `self`
    assert len(promised) == len(built.args.args)
    assert without_name or promised == named
    assert [arg.arg for arg in stub.args.kwonlyargs] == [arg.arg for arg in built.args.kwonlyargs]
    expected = defaults(built)
    assert defaults(stub) == {parameter: expected[parameter] for parameter in defaults(stub)}
    optional = {
        arg.arg
        for arg, value in zip(built.args.kwonlyargs, built.args.kw_defaults, strict=True)
        if value is not None
    }
    required = {
        arg.arg
        for arg, value in zip(stub.args.kwonlyargs, stub.args.kw_defaults, strict=True)
        if value is None
    }
    overloaded = any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in stub.decorator_list)
    assert overloaded or not optional & required
