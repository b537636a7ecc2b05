"""The developers' tools: one version of each for pre-commit, make lint and these tests; and what they find."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ISSUE_FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
CPP_FILES = [
    str(path.relative_to(ROOT))
    for folder in ("csrc", "tests")
    for pattern in ("*.h", "*.cpp")
    for path in sorted((ROOT / folder).rglob(pattern))
]
INSTALL = "pip install -e '.[dev]' brings it"


def tool(name: str) -> str:
    """A program of the extra `lint`, of this environment; skips without it."""
    beside = Path(sys.executable).with_name(name + (".exe" if sys.platform == "win32" else ""))
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: {INSTALL}")
    return found


def run(*command: str) -> None:
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, f"{shlex.join(command)[:300]}\n{done.stdout}{done.stderr}"


def pins() -> dict[str, str]:
    """Tool -> its one version, from the extra `lint` of pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r"^lint = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return dict(re.findall(r'"([a-z-]+)==([\d.]+)', found[1]))


def hooks() -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    return list(config["repos"][0]["hooks"])


def test_the_tools_are_the_pinned_ones() -> None:
    expected = pins()
    assert {"ruff", "mypy", "clang-format", "clang-tidy", "pre-commit", "zizmor"} <= set(expected)
    found = {}
    for name in expected:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    assert found == {name: expected[name] for name in found}, INSTALL


def test_pre_commit_runs_the_pinned_tools() -> None:
    """Each hook is a program of the environment; the one that is not has its version in the hook."""
    for hook in hooks():
        if hook["language"] == "python":
            assert hook["stages"] == ["manual"], (
                f"{hook['id']} would be installed from elsewhere at each commit"
            )
            assert all("==" in package for package in hook["additional_dependencies"])
        else:
            assert hook["language"] == "unsupported"
            assert hook["entry"].split()[0] in pins()


def test_pre_commit_accepts_its_configuration() -> None:
    run(tool("pre-commit"), "validate-config", ".pre-commit-config.yaml")


@pytest.mark.slow
def test_clang_format() -> None:
    run(tool("clang-format"), "--dry-run", "-Werror", *CPP_FILES)


@pytest.mark.slow
def test_clang_tidy() -> None:
    """Outside kernels/, whose sources need their tier's flags, and the bindings, whose headers take long."""
    program = tool("clang-tidy")
    files = [name for name in CPP_FILES if re.match(r"csrc/(?!kernels/|bindings/)\S+\.cpp", name)]
    assert len(files) > 20

    def check(name: str) -> str:
        command = [program, "--quiet", name, "--", "-std=c++17", "-Icsrc"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
        return "" if done.returncode == 0 else done.stdout + done.stderr

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        problems = "".join(threads.map(check, files))
    assert problems == ""


def test_workflows_are_safe() -> None:
    """Actions by commit, no credentials kept, least permissions: what zizmor's strictest reader finds."""
    run(tool("zizmor"), "--offline", "--persona", "auditor", "--no-progress", ".github")


@pytest.mark.slow
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_schema(path: Path) -> None:
    program = tool("check-jsonschema")
    run(program, "--builtin-schema", "vendor.github-workflows", str(path))
    run(program, "--builtin-schema", "custom.github-workflows-require-timeout", str(path))


@pytest.mark.slow
@pytest.mark.parametrize("path", ISSUE_FORMS, ids=lambda path: path.name)
def test_issue_form_schema(path: Path) -> None:
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.github-issue-forms", str(path))


def test_actionlint() -> None:
    run(tool("actionlint"), *map(str, WORKFLOWS))


def test_only_publishing_can_ask_for_a_token() -> None:
    yaml = pytest.importorskip("yaml")
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {}, path.name
        for name, job in workflow["jobs"].items():
            granted = job["permissions"]
            if granted.get("id-token"):
                assert (path.name, name) == ("release.yml", "publish")
                assert job["environment"]["name"] == "pypi"
                assert [step["uses"].split("@")[0] for step in job["steps"]] == [
                    "actions/download-artifact",
                    "pypa/gh-action-pypi-publish",
                ]
            else:
                assert granted in ({}, {"contents": "read"}), f"{path.name}: {name}"


def test_wheels_are_tested_with_what_exists() -> None:
    """[tool.cibuildwheel]: its command runs the demo and tests that are here, with the plugins that they need."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text[text.index("[tool.cibuildwheel]") :]
    paths = re.findall(r"\{project\}/(\S+?)[\s\"]", section)
    assert paths
    assert [path for path in paths if not any((ROOT / path).glob("test_*.py"))] == []
    assert '"belle-edge demo"' in section
    plugins = {"timeout =": "pytest-timeout", "-n auto": "pytest-xdist"}
    assert [name for option, name in plugins.items() if option in text and f'"{name}"' not in section] == []
    assert "musllinux" not in section.partition("skip =")[2].partition("\n")[0]


def test_each_switch_of_cmake_is_one_that_setup_passes() -> None:
    lists = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    options = re.findall(r"^(?:option|set)\((BELLE_\w+) .*(?:\bCACHE\b| ON\)$| OFF\)$)", lists, re.MULTILINE)
    assert {"BELLE_VERSION", "BELLE_EMULATE_AMX"} <= set(options)
    build = (ROOT / "native_build.py").read_text(encoding="utf-8")
    assert [name for name in options if f'"{name}"' not in build] == []


def test_make_targets_are_documented_and_phony() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^(\w+):", makefile, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert sorted(phony[1].split()) == sorted(targets)
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [name for name in targets if f"`make {name}`" not in contributing] == []
