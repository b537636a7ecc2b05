"""Menu entries: what is written for each system, where, and that nothing of it stays."""

from __future__ import annotations

import os
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from belle_edge.cli.main import main
from belle_edge.desktop.icons import PNG_SIZES, icon_file
from belle_edge.desktop.menu import program, windows_entry
from belle_edge.desktop.menu.linux_entry import LinuxEntry, exec_line
from belle_edge.desktop.menu.macos_entry import MacEntry

from ..server.server_process import wait_until

ODD = ['/home/a b/$x/`q`/100%/\\e""/李/belle-edge', "--flag"]


def test_linux(tmp_path: Path) -> None:
    other = tmp_path / "applications" / "other.desktop"
    other.parent.mkdir()
    other.write_text("mine")
    entry = LinuxEntry(tmp_path)
    written = entry.install(ODD)
    assert all(path.is_file() for path in written)
    assert len(written) == 2 + len(PNG_SIZES)
    text = written[0].read_text(encoding="utf-8")
    assert written[0] == tmp_path / "applications" / "belle-edge.desktop"
    assert f"\nExec={exec_line(ODD)}\n" in text
    assert "\nIcon=belle-edge\n" in text
    if (validator := shutil.which("desktop-file-validate")) is not None:
        done = subprocess.run([validator, str(written[0])], capture_output=True, encoding="utf-8")
        assert (done.returncode, done.stdout) == (0, "")
    assert entry.install(["again"]) == written
    assert entry.uninstall() == written
    assert entry.uninstall() == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [other]
    assert not (tmp_path / "icons").exists()


def test_exec_is_quoted_as_the_specification_says() -> None:
    assert exec_line(["/usr/bin/belle-edge", "desktop"]) == '"/usr/bin/belle-edge" "desktop"'
    assert exec_line(['a "b" $c `d` \\e 5%']) == '"a \\\\"b\\\\" \\\\$c \\\\`d\\\\` \\\\\\\\e 5%%"'


GLIB = """\
import sys
from gi.repository import Gio
assert Gio.DesktopAppInfo.new_from_filename(sys.argv[1]).launch([], None)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's menus")
def test_glib_starts_what_is_meant(tmp_path: Path, gi_path: str) -> None:
    """Linux desktops start entries by GLib, or as it does. A path with a per cent sign is more than it can."""
    target = tmp_path / "a b $x `q` \\e 李" / "echo"
    target.parent.mkdir()
    out = tmp_path / "out"
    target.write_text(f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" > {out}\n', encoding="utf-8")
    target.chmod(0o755)
    (path, *_) = LinuxEntry(tmp_path / "data").install([str(target), "desktop"])
    environment = {**os.environ, "PYTHONPATH": gi_path}
    done = subprocess.run(
        [sys.executable, "-c", GLIB, path], env=environment, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    expected = f"{target}\ndesktop\n"
    assert wait_until(lambda: out.exists() and out.read_text(encoding="utf-8") == expected)


@pytest.mark.skipif(sys.platform == "win32", reason="runs the program that it writes")
def test_macos(tmp_path: Path) -> None:
    home = tmp_path / "李 's home"
    target = home / "echo it"
    home.mkdir()
    target.write_text('#!/bin/sh\necho "$0|$*"\n')
    target.chmod(0o755)
    entry = MacEntry(home / "Applications")
    information, program_file, icon = entry.install([str(target), "desktop"])
    described = plistlib.loads(information.read_bytes())
    contents = home / "Applications" / "BELLE Edge.app" / "Contents"
    assert program_file == contents / "MacOS" / described["CFBundleExecutable"]
    assert icon == contents / "Resources" / f"{described['CFBundleIconFile']}.icns"
    assert icon.read_bytes() == icon_file("icns").read_bytes()
    done = subprocess.run([program_file], capture_output=True, encoding="utf-8")
    assert done.stdout == f"{target}|desktop\n"
    assert entry.uninstall() == [information, program_file, icon]
    assert not contents.parent.exists()
    assert (home / "Applications").is_dir()


def test_windows_values(tmp_path: Path) -> None:
    """The script itself runs on Windows alone: what it reads is checked here."""
    entry = windows_entry.WindowsEntry(tmp_path)
    values = entry.values(["C:\\李\\python w.exe", "-m", "belle_edge", "a b"])
    assert values["BELLE_TARGET"] == "C:\\李\\python w.exe"
    assert values["BELLE_ARGUMENTS"] == '-m belle_edge "a b"'
    assert values["BELLE_LINK"] == str(tmp_path / "BELLE Edge.lnk")
    assert Path(values["BELLE_ICON"].removesuffix(",0")).is_file()
    assert set(re.findall(r"\$env:(BELLE_\w+)", windows_entry.SCRIPT)) == set(values)
    assert entry.uninstall() == []
    (tmp_path / "BELLE Edge.lnk").write_bytes(b"")
    assert entry.uninstall() == [tmp_path / "BELLE Edge.lnk"]


@pytest.mark.skipif(sys.platform != "win32", reason="asks PowerShell")
def test_windows(tmp_path: Path) -> None:
    entry = windows_entry.WindowsEntry(tmp_path / "李")
    assert entry.install([sys.executable, "-V"]) == [tmp_path / "李" / "BELLE Edge.lnk"]


def test_what_an_entry_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.sysconfig, "get_path", lambda _name: str(tmp_path))
    command = program.desktop_command()
    assert command == [sys.executable, "-m", "belle_edge", "desktop"]
    done = subprocess.run([*command, "--help"], capture_output=True, encoding="utf-8", timeout=60)
    assert "belle-edge desktop" in done.stdout
    ending = ".exe" if sys.platform == "win32" else ""
    (tmp_path / f"belle-edge-desktop{ending}").touch()
    assert program.desktop_command() == [str(tmp_path / f"belle-edge-desktop{ending}")]


@pytest.mark.skipif(sys.platform != "linux", reason="writes Linux's entry")
def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fastapi", reason="pip install '.[server]' brings it")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert main(["desktop", "--install"]) == 0
    text = (tmp_path / "applications" / "belle-edge.desktop").read_text(encoding="utf-8")
    found = re.search(r"^Exec=(.*)$", text, re.MULTILINE)
    assert found is not None
    assert os.access(shlex.split(found[1])[0], os.X_OK)
    assert capsys.readouterr().out.count("written: ") == 2 + len(PNG_SIZES)
    assert main(["desktop", "--uninstall"]) == 0
    assert capsys.readouterr().out.count("removed: ") == 2 + len(PNG_SIZES)
    assert main(["desktop", "--uninstall"]) == 0
    assert capsys.readouterr().out == "there is no menu entry of BELLE Edge\n"
