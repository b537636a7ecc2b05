"""Outputs never take the place of a source, never go through a link, and of two writers exactly one wins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from belle_edge.convert import convert, output
from belle_edge.convert.partial_file import atomic_file
from belle_edge.errors import ConversionError
from belle_edge.output_files import whole_file

from .checkpoints import write_bloom

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
N_ROUNDS, N_WRITERS = 12, 3


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_bloom(tmp_path / "source")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def spellings(folder: Path, name: str) -> list[Path]:
    """The same file under other names."""
    soft, hard, linked = (folder.parent / kind for kind in ("soft.gguf", "hard.gguf", "linked"))
    soft.symlink_to(folder / name)
    os.link(folder / name, hard)
    linked.symlink_to(folder, target_is_directory=True)
    return [folder / name, folder / ".." / folder.name / name, soft, hard, linked / name]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_source_is_not_overwritten(source: Path, name: str) -> None:
    before = contents(source)
    for target in spellings(source, name):
        for src in (source, source / "model.safetensors"):
            for resume in (False, True):
                with pytest.raises(ConversionError, match="is a file that is read here"):
                    convert(src, target, force=True, resume=resume)
    assert contents(source) == before


def test_other_files_that_are_read_are_not_overwritten(source: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("今天天气很好。\n", encoding="utf-8")
    adapter = tmp_path / "adapter" / "checkpoint-1"
    adapter.mkdir(parents=True)
    (adapter / "adapter_model.bin").write_bytes(b"weights")
    other = shutil.copytree(source, tmp_path / "other")
    for target in (texts, adapter / "adapter_model.bin", other / "tokenizer.json", tmp_path / "key.pth"):
        target.touch()
        before = target.read_bytes()
        with pytest.raises(ConversionError, match="is a file that is read here"):
            convert(
                source,
                target,
                force=True,
                vocab_from=[texts],
                lora=tmp_path / "adapter",
                tokenizer=other,
                key=tmp_path / "key.pth",
            )
        assert target.read_bytes() == before


def test_a_source_that_has_the_partial_files_name(source: Path, tmp_path: Path) -> None:
    weights = source / "model.safetensors"
    os.link(weights, tmp_path / "out.gguf.part")
    (tmp_path / "second.gguf.part").symlink_to(weights)
    before = contents(source)
    for name in ("out.gguf", "second.gguf"):
        with pytest.raises(ConversionError, match=r"\.part\]"):
            convert(source, tmp_path / name, force=True)
    assert contents(source) == before


def test_an_output_beside_its_source_is_replaced_and_resumed(source: Path) -> None:
    out = source / "out.gguf"
    convert(source, out)
    first = out.read_bytes()
    convert(source, out, force=True)
    out.rename(source / "renamed.bin")  # still a GGUF file, which is never a source
    convert(source, source / "renamed.bin", force=True)
    assert (source / "renamed.bin").read_bytes() == first


def stop(_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_output_beside_its_source_is_resumed(source: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        convert(source, source / "out.gguf", progress=stop)
    convert(source, source / "out.gguf", resume=True)
    assert not list(source.glob("*.part")) + list(source.glob("*.journal"))


@pytest.mark.parametrize("suffix", [".part", ".journal"])
@pytest.mark.parametrize("kind", ["symlink", "dangling", "hard link", "pipe", "folder"])
@pytest.mark.parametrize("settings", [{}, {"force": True}, {"resume": True}], ids=str)
def test_nothing_is_written_through_a_link(
    source: Path, tmp_path: Path, suffix: str, kind: str, settings: dict[str, bool]
) -> None:
    precious, name = tmp_path / "precious", tmp_path / f"out.gguf{suffix}"
    if kind != "dangling":
        precious.write_bytes(b"precious")
    if kind in ("symlink", "dangling"):
        name.symlink_to(precious)
    elif kind == "hard link":
        os.link(precious, name)
    elif kind == "pipe":
        os.mkfifo(name)
    else:
        name.mkdir()
    with pytest.raises(ConversionError, match=rf"out\.gguf{suffix}\] expected .* move it away"):
        convert(source, tmp_path / "out.gguf", **settings)
    assert precious.exists() == (kind != "dangling")
    assert kind == "dangling" or precious.read_bytes() == b"precious"
    assert os.path.lexists(name)
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize("dangling", [True, False])
def test_an_output_that_is_a_link(source: Path, tmp_path: Path, dangling: bool) -> None:
    precious, out = tmp_path / "precious", tmp_path / "out.gguf"
    if not dangling:
        precious.write_bytes(b"precious")
    out.symlink_to(precious)
    with pytest.raises(ConversionError, match="exists already"):
        convert(source, out)
    convert(source, out, force=True)
    assert not out.is_symlink()
    assert precious.exists() != dangling
    assert dangling or precious.read_bytes() == b"precious"


def test_a_strangers_partial_file_is_kept(source: Path, tmp_path: Path) -> None:
    """A browser calls its own downloads so."""
    part = tmp_path / "out.gguf.part"
    part.write_bytes(b"half a download")
    with pytest.raises(ConversionError, match="no journal says that a conversion left it"):
        convert(source, tmp_path / "out.gguf")
    assert part.read_bytes() == b"half a download"
    convert(source, tmp_path / "out.gguf", force=True)
    assert not part.exists()


def test_the_later_of_two_conversions_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one begins and ends between the second one's look at the target and its first byte."""
    out, check = tmp_path / "out.gguf", output.check_free_space

    def first_comes(path: Path, n_bytes: int) -> None:
        monkeypatch.setattr(output, "check_free_space", check)
        convert(source, out, type="f32")

    monkeypatch.setattr(output, "check_free_space", first_comes)
    with pytest.raises(ConversionError, match="exists already"):
        convert(source, out, type="q8_0")
    convert(source, tmp_path / "first.gguf", type="f32")
    assert out.read_bytes() == (tmp_path / "first.gguf").read_bytes()
    assert not list(tmp_path.glob("out.gguf.*"))


def test_a_target_that_appears_at_the_last_moment(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"

    def another_program(_: object) -> None:
        out.write_bytes(b"precious")

    with pytest.raises(OSError, match=r"exists already.*--force overwrites it"):
        convert(source, out, progress=another_program)
    assert out.read_bytes() == b"precious"
    convert(source, out, force=True, resume=True)
    assert out.read_bytes()[:4] == b"GGUF"


def test_a_file_system_without_hard_links(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT has none; the system call says so."""

    def no_link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    convert(source, tmp_path / "out.gguf")
    whole = (tmp_path / "out.gguf").read_bytes()
    late = tmp_path / "late"
    writing = whole_file(late, replace=False)
    writing.__enter__().write(b"late")
    late.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        writing.__exit__(None, None, None)
    assert late.read_bytes() == b"precious"
    assert (tmp_path / "out.gguf").read_bytes() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["late", "out.gguf", "source"]


def test_a_run_that_ended_between_naming_and_tidying_up(source: Path, tmp_path: Path) -> None:
    """The finished file has both names: the partial one must not be written to."""
    out = tmp_path / "out.gguf"
    convert(source, out)
    whole = out.read_bytes()
    os.link(out, tmp_path / "out.gguf.part")
    with pytest.raises(ConversionError, match="exists already"):
        convert(source, out)
    with atomic_file(out, replace=True) as file:
        file.write(b"x")
        assert out.read_bytes() == whole
    assert out.read_bytes() == b"x"


WRITERS = """
import json, os, sys
from pathlib import Path
from belle_edge.convert import convert
source, folder = Path(sys.argv[1]), Path(sys.argv[2])
for turn in range(int(sys.argv[3])):
    gate, children = os.pipe(), []
    for _ in range(int(sys.argv[4])):
        child = os.fork()
        if child == 0:
            os.close(gate[1])
            os.read(gate[0], 1)  # all start when the pipe is closed
            try:
                convert(source, folder / f"{turn}.gguf", threads=1)
            except ValueError as error:
                os._exit(1 if "another conversion" in str(error) or "exists already" in str(error) else 2)
            except BaseException:
                os._exit(3)
            os._exit(0)
        children.append(child)
    os.close(gate[0]), os.close(gate[1])
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""


@pytest.mark.slow
def test_of_several_at_once_exactly_one_wins(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    command = [sys.executable, "-c", WRITERS, str(source), str(folder), str(N_ROUNDS), str(N_WRITERS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    rounds = [sorted(json.loads(line)) for line in done.stdout.splitlines()]
    assert rounds == [[0] + [1] * (N_WRITERS - 1)] * N_ROUNDS
    assert len({path.read_bytes() for path in folder.iterdir()}) == 1
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{n}.gguf" for n in range(N_ROUNDS))


def test_the_hubs_cache_is_no_place_for_an_output(source: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--name" / "snapshots" / ("0" * 40)
    shutil.copytree(source, snapshot)
    with pytest.raises(ConversionError, match="cache"):
        convert(snapshot, snapshot / "out.gguf")
