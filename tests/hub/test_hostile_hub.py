"""A hostile hub: each lie is refused by name, in bounded time and memory, and changes nothing outside its folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .attacks import ANSWERS, CHUNK, CHUNKED, LIST, SHA256, endless, text
from .hostile_hub import FILES, REPO, TOKEN, WEIGHTS, Attack, serve_attack
from .stand_in import COMMIT, git_sha1, serve

pytest.importorskip("huggingface_hub")

STORAGE = "models--BelleGroup--BELLE-7B-2M"
SLOW = {"slow-list", "slow-headers", "endless-beginnings", "body-is-slow"}
Snapshot = dict[str, tuple[int, int, object]]


class Home:
    """A user's folder: a cache, a working folder, and much that is none of the hub's business."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache, self.to = root, root / "cache" / "hub", root / "work" / "to"
        self.storage = self.cache / STORAGE
        for name in (
            ".ssh/id_rsa",
            "work/notes.txt",
            f"cache/hub/models--o--n/blobs/{SHA256}",
            "config.json",
        ):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"precious {name}")
        (root / "outside").mkdir()
        (root / "cache/hub/models--o--n/snapshots").symlink_to("blobs")

    def surroundings(self) -> Snapshot:
        """Everything but the repository's storage, its locks and the target folder: mode, time, content."""
        ours = {self.storage, self.cache / ".locks", self.to}
        found: Snapshot = {}
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if Path(folder, name) not in ours]
            for path in (Path(folder, name) for name in [*folders, *files]):
                status = path.lstat()
                content: object = None
                if path.is_symlink():
                    content = os.readlink(path)
                elif path.is_file():
                    content = path.read_bytes()
                holds_ours = path in self.to.parents or path in self.storage.parents  # so its time changes
                found[str(path)] = (status.st_mode, 0 if holds_ours else status.st_mtime_ns, content)
        return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with a login; time limits are the shipped ones but for pauses and bodies without a size."""
    from huggingface_hub import constants

    made = Home(tmp_path / "home")
    monkeypatch.chdir(made.root / "work")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(made.cache))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "*")
    limit(monkeypatch, pause_s=0.01, unstated_bytes=1_000_000)
    return made


def limit(monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
    from dataclasses import replace

    from belle_edge.hub import http as hub_http

    monkeypatch.setattr(hub_http, "LIMITS", replace(hub_http.LIMITS, **limits))


def pull(url: str, monkeypatch: pytest.MonkeyPatch, **options: object) -> Path:
    from huggingface_hub import constants

    from belle_edge.hub import pull as pull_from_hub

    monkeypatch.setattr(constants, "ENDPOINT", url)
    return pull_from_hub(REPO, **options).folder  # type: ignore[arg-type]


CASES = [(attack, "cache") for attack in [*LIST, *ANSWERS]]
CASES += [(attack, "folder") for attack in ANSWERS if attack.name not in SLOW]


@pytest.mark.parametrize(
    ("attack", "place"), CASES, ids=[f"{attack.name}-{place}" for attack, place in CASES]
)
def test_refused(attack: Attack, place: str, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from belle_edge.hub.hub_errors import HubError

    if attack.name in SLOW:
        limit(monkeypatch, headers_s=0.7, whole_s=0.7, stretch_s=0.7, n_attempts=2)
    before, started = home.surroundings(), time.monotonic()
    to = home.to if place == "folder" else None
    with serve_attack(attack) as (hub, other), pytest.raises(HubError, match=attack.message) as caught:
        pull(hub.url, monkeypatch, to=to, include=attack.include, revision=attack.revision)
    assert time.monotonic() - started < 30
    assert home.surroundings() == before
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    assert all(login is None for _, _, _, login in other.requests)
    assert all(name.startswith("api/models/") or name in FILES for _, name, _, _ in hub.requests)
    assert not any(path.read_bytes() != WEIGHTS for path in home.root.rglob("model.safetensors"))


def test_the_home_is_watched(home: Home) -> None:
    """The comparison above sees what it is there for."""
    before = home.surroundings()
    assert home.surroundings() == before
    (home.root / ".ssh" / "id_rsa").write_text("precious .ssh/id_rs?")
    assert home.surroundings() != before


def link_to_key(path: Path, home: Home) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(home.root / ".ssh" / "id_rsa")


def link_to_outside(path: Path, home: Home) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(home.root / "outside")


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
@pytest.mark.parametrize(
    ("place", "make_link"),
    [
        (f"cache/hub/{STORAGE}/snapshots", link_to_outside),
        (f"cache/hub/{STORAGE}/snapshots/{COMMIT}", link_to_outside),
        (f"cache/hub/{STORAGE}/snapshots/{COMMIT}/config.json", link_to_key),
        (f"cache/hub/{STORAGE}/blobs", link_to_outside),
        (f"cache/hub/{STORAGE}/blobs/{SHA256}", link_to_key),
        (f"cache/hub/{STORAGE}/blobs/{SHA256}.incomplete", link_to_key),
        (f"cache/hub/{STORAGE}/refs", link_to_outside),
        (f"cache/hub/{STORAGE}/refs/main", link_to_key),
        (f"cache/hub/.locks/{STORAGE}", link_to_outside),
        (f"cache/hub/.locks/{STORAGE}/{SHA256}.lock", link_to_key),
        ("work/to/images", link_to_outside),
        ("work/to/model.safetensors.incomplete", link_to_key),
    ],
)
def test_links_that_lead_out(
    place: str, make_link: Callable[[Path, Home], None], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left by another program, or by an earlier version: named, and neither followed nor removed."""
    from belle_edge.hub.hub_errors import HubError

    link = home.root / place
    make_link(link, home)
    before = home.surroundings()
    to = home.to if place.startswith("work/to") else None
    with serve(REPO, {**FILES, "images/a.json": b"{}"}) as hub:
        with pytest.raises(HubError, match=r"leads out of .*: remove the link there") as caught:
            pull(hub.url, monkeypatch, to=to, include=("*.json", "*.safetensors", "images/*"))
        assert str(link.parent) in str(caught.value)
        assert home.surroundings() == before
        assert link.is_symlink()
        link.unlink()
        pull(hub.url, monkeypatch, to=to, include=("*.json", "*.safetensors", "images/*"))


def test_an_earlier_download_with_a_link_to_elsewhere(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the hub: a key is not copied to where others may see it."""
    from belle_edge.hub.hub_errors import HubError

    with serve(REPO, FILES) as hub:
        folder = pull(hub.url, monkeypatch)
        (folder / "config.json").unlink()
        link_to_key(folder / "config.json", home)
        hub.status = 503
        before = home.surroundings()
        with (
            pytest.raises(HubError, match="leads out of"),
            pytest.warns(UserWarning, match="downloaded earlier"),
        ):
            pull(hub.url, monkeypatch, to=home.to)
    assert home.surroundings() == before
    assert not (home.to / "config.json").exists()


def test_the_login_goes_to_the_hub_only(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """By relative redirects, too; not to another port of the same host, and a sane one is followed."""
    from .attacks import redirect

    moved = Attack(
        "moved",
        "",
        on_small=redirect("{other}/large/config.json"),
        on_large=redirect("/large/model.safetensors"),
    )
    with serve_attack(moved) as (hub, other):
        folder = pull(hub.url, monkeypatch)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    logins = {name: login for method, name, _, login in hub.requests if method == "GET"}
    assert set(logins.values()) == {f"Bearer {TOKEN}"}
    assert "model.safetensors" in logins
    assert [(name, login) for _, name, _, login in other.requests] == [("config.json", None)]


def test_no_redirect_from_https_to_http() -> None:
    from belle_edge.hub.http import _redirected
    from belle_edge.hub.hub_errors import HubAnswerError

    with pytest.raises(HubAnswerError, match="a redirect from https to 'http://a/y'"):
        _redirected("https://a/x", "http://a/y", "x")
    assert _redirected("https://a/x", "//b/y", "x") == "https://b/y"


@pytest.mark.parametrize("status", ["200 OK", "416 Range Not Satisfiable"])
def test_a_server_without_ranges(status: str, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there is given up where the answer is the whole file, or that there is no such part."""
    from .hostile_hub import HostileHandler

    def whole(handler: HostileHandler) -> None:
        if "416" in status and handler.headers["Range"]:
            handler.raw(f"{status}\nContent-Length: 0")
        else:
            handler.send(WEIGHTS)

    part = home.storage / "blobs" / f"{SHA256}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(WEIGHTS[:1000])
    with serve_attack(Attack("no-ranges", "", on_large=whole)) as (hub, _):
        folder = pull(hub.url, monkeypatch)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.ranges("model.safetensors")[0] == "bytes=1000-"


def test_small_files_are_checked_and_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """By git's hash: a damaged one is replaced, a sound one in a folder is not fetched again."""
    with serve(REPO, FILES) as hub:
        folder = pull(hub.url, monkeypatch)
        assert os.path.basename(os.readlink(folder / "config.json")) == git_sha1(FILES["config.json"])
        (folder / "config.json").resolve().write_bytes(bytes(23))
        pull(hub.url, monkeypatch)
        assert (folder / "config.json").read_bytes() == FILES["config.json"]
        pull(hub.url, monkeypatch, to=home.to)
        hub.requests.clear()
        pull(hub.url, monkeypatch, to=home.to)
    assert hub.fetched() == []


MEASURED = """
import re, sys
from belle_edge.cli.main import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
sys.exit(code)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc")
@pytest.mark.parametrize(
    "attack",
    [
        Attack("endless-list", "longer than", on_list=endless(CHUNKED, CHUNK)),
        Attack("a-million-lists", "objects and arrays", on_list=text("[" + "[]," * 2_700_000 + "[]]")),
        Attack("deep-json", "objects and arrays", on_list=text("[" * 8_000_000)),
        Attack(
            "endless-redirect", "expected an http", on_list=endless("302 Found\nLocation: ftp://a/", CHUNK)
        ),
        Attack("body-goes-on", "goes on after", on_large=endless(CHUNKED, CHUNK)),
    ],
    ids=lambda attack: attack.name,
)
def test_memory_is_bounded(attack: Attack, home: Home) -> None:
    """Of the whole command: less than 500 MB at its highest, Python and all libraries in it."""
    with serve_attack(attack) as (hub, _):
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, "pull", REPO],
            env={**inherited, "HF_ENDPOINT": hub.url, "HF_HOME": str(home.root / "cache")},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1
    assert attack.message in done.stderr
    assert int(done.stdout) < 500_000, done.stdout
