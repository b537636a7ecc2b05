"""`belle-edge pull` against a local stand-in: what is fetched, resumed, checked, and said when it fails."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run
from .stand_in import COMMIT, serve

pytestmark = pytest.mark.slow
REPO = "BelleGroup/BELLE-7B-2M"
WEIGHTS = random.Random(0).randbytes(3_000_000)
FILES = {
    "config.json": b'{"model_type": "bloom"}',
    "tokenizer.json": b"{}",
    "README.md": b"# BELLE",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": WEIGHTS[::-1],
    "training_args.bin": b"unneeded",
    "images/picture.json": b"{}",
}
GGUFS = {"README.md": b"x", "belle-q4_0.gguf": WEIGHTS[:1000], "belle-q8_0.gguf": WEIGHTS[:2000]}


def snapshot(home: Path) -> Path:
    return home / "hub" / "models--BelleGroup--BELLE-7B-2M" / "snapshots" / COMMIT


def test_only_what_is_needed(pull: Run, hub_home: Path) -> None:
    with serve(REPO, FILES) as hub:
        done = pull(hub.url, REPO)
        again = pull(hub.url, REPO, "--json")
    assert done.returncode == 0, done.stderr
    assert sorted(hub.fetched()) == ["README.md", "config.json", "model.safetensors", "tokenizer.json"]
    assert "4 files, 3.0 MB" in done.stdout
    assert (snapshot(hub_home) / "model.safetensors").read_bytes() == WEIGHTS
    report = json.loads(again.stdout)
    assert report["folder"] == str(snapshot(hub_home))
    assert report["files"] == ["config.json", "tokenizer.json", "README.md", "model.safetensors"]
    assert not report["from_cache"]


def test_huggingface_hub_finds_it(pull: Run, hub_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import hf_hub_download

    with serve(REPO, FILES) as hub:
        assert pull(hub.url, REPO).returncode == 0
    for revision in (None, "main", COMMIT):
        path = hf_hub_download(
            REPO, "model.safetensors", revision=revision, cache_dir=hub_home / "hub", local_files_only=True
        )
        assert Path(path).read_bytes() == WEIGHTS


def test_a_dropped_connection_is_resumed(pull: Run, hub_home: Path) -> None:
    weights = random.Random(3).randbytes(35_000_000)  # huggingface_hub writes blocks of ten million bytes
    with serve(REPO, {**FILES, "model.safetensors": weights}) as hub:
        hub.drop_after["model.safetensors"] = [12_000_000, 15_000_000]
        done = pull(hub.url, REPO)
    assert done.returncode == 0, done.stderr
    starts = [int((asked or "bytes=0-")[6:-1]) for asked in hub.ranges("model.safetensors")]
    assert len(starts) == 3
    assert starts[0] == 0 < starts[1] < starts[2]
    assert (snapshot(hub_home) / "model.safetensors").read_bytes() == weights


def test_a_later_run_continues(pull: Run, hub_home: Path) -> None:
    """What an earlier process left is kept: the server is asked for the rest only."""
    with serve(REPO, FILES) as hub:
        blobs = snapshot(hub_home).parents[1] / "blobs"
        blobs.mkdir(parents=True)
        (blobs / f"{hashlib.sha256(WEIGHTS).hexdigest()}.incomplete").write_bytes(WEIGHTS[:1_234_567])
        done = pull(hub.url, REPO)
    assert done.returncode == 0, done.stderr
    assert hub.ranges("model.safetensors") == ["bytes=1234567-"]
    assert (snapshot(hub_home) / "model.safetensors").read_bytes() == WEIGHTS
    assert not list(blobs.glob("*.incomplete"))


def test_a_wrong_beginning_is_fetched_again(pull: Run, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "model.safetensors.incomplete").write_bytes(b"?" * 1000)
    with serve(REPO, FILES) as hub:
        done = pull(hub.url, REPO, "--to", "to")
    assert done.returncode == 0, done.stderr
    assert hub.ranges("model.safetensors") == ["bytes=1000-", None]
    assert (tmp_path / "to" / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("target", [(), ("--to", "to")], ids=["cache", "folder"])
def test_wrong_content(pull: Run, hub_home: Path, tmp_path: Path, target: tuple[str, ...]) -> None:
    with serve(REPO, FILES) as hub:
        hub.wrong_content.add("model.safetensors")
        done = pull(hub.url, REPO, *target)
        assert done.returncode == 1
        assert "[model.safetensors] checksum: expected SHA-256" in done.stderr
        assert done.stderr.count("\n") == 1
        digest = hashlib.sha256(WEIGHTS).hexdigest()
        left = [
            path for path in tmp_path.rglob("*") if digest in path.name or "model.safetensors" in path.name
        ]
        assert [path for path in left if path.suffix != ".lock"] == []
        hub.wrong_content.clear()
        assert pull(hub.url, REPO, *target).returncode == 0


def test_a_damaged_cached_file_is_replaced(pull: Run, hub_home: Path) -> None:
    with serve(REPO, FILES) as hub:
        assert pull(hub.url, REPO).returncode == 0
        weights = snapshot(hub_home) / "model.safetensors"
        damaged = bytearray(WEIGHTS)
        damaged[5] ^= 1
        weights.resolve().write_bytes(damaged)
        assert pull(hub.url, REPO).returncode == 0
        assert weights.read_bytes() == WEIGHTS
        weights.resolve().write_bytes(damaged)
    offline = pull(hub.url, REPO)
    assert offline.returncode == 1
    assert "[model.safetensors] the downloaded copy was damaged and is removed" in offline.stderr
    assert not weights.is_file()


def test_without_the_hub(pull: Run, tmp_path: Path) -> None:
    with serve(REPO, FILES) as hub:
        assert pull(hub.url, REPO).returncode == 0
        hub.requests.clear()
        offline = pull(hub.url, REPO, "--json", HF_HUB_OFFLINE="1")
        assert hub.requests == []
        hub.status = 503
        down = pull(hub.url, REPO, "--json")
    gone = pull(hub.url, REPO, "--json", "--to", "copy")
    for done in (offline, down, gone):
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["from_cache"]
        assert "using the copy downloaded earlier" in done.stderr
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == WEIGHTS
    nothing = pull(hub.url, "BelleGroup/other")
    assert nothing.returncode == 1
    assert "the hub cannot be reached" in nothing.stderr
    assert "HF_ENDPOINT" in nothing.stderr
    assert nothing.stderr.count("\n") == 1


def test_a_mirror_without_hashes(pull: Run, hub_home: Path) -> None:
    """Names only in the list: size and hash come with the file itself."""
    with serve(REPO, FILES) as hub:
        hub.without_hashes = True
        assert pull(hub.url, REPO).returncode == 0
        hub.wrong_content.add("pytorch_model.bin")
        wrong = pull(hub.url, REPO, "--include", "*.bin")
    assert "[pytorch_model.bin] checksum" in wrong.stderr
    assert (snapshot(hub_home) / "model.safetensors").read_bytes() == WEIGHTS


def test_the_login_stays_with_the_hub(pull: Run) -> None:
    with serve(REPO, FILES) as hub:
        assert pull(hub.url, REPO, HF_TOKEN="hf_secret").returncode == 0
    sent = {name: token for method, name, _, token in hub.requests if method == "GET"}
    assert sent["config.json"] == "Bearer hf_secret"
    assert sent["model.safetensors"] is None  # it came from another host


def test_include_and_to(pull: Run, tmp_path: Path) -> None:
    with serve(REPO, FILES) as hub:
        done = pull(hub.url, REPO, "--to", "to", "--include", "*.md", "images/*", "--revision", COMMIT)
        assert done.returncode == 0, done.stderr
        nothing = pull(hub.url, REPO, "--include", "*.zip")
    found = sorted(path.relative_to(tmp_path / "to").as_posix() for path in (tmp_path / "to").rglob("*.*"))
    assert found == ["README.md", "images/picture.json"]
    assert "no file matches *.zip" in nothing.stderr


def test_gguf_repositories(pull: Run, tmp_path: Path) -> None:
    with serve(REPO, GGUFS) as hub:
        unclear = pull(hub.url, REPO)
        assert unclear.returncode == 1
        assert "choose one: belle-q4_0.gguf, belle-q8_0.gguf" in unclear.stderr
        done = pull(hub.url, REPO, "--type", "Q8_0", "--to", "to", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["gguf"] == str(Path("to") / "belle-q8_0.gguf")
    assert hub.fetched() == ["belle-q8_0.gguf"]
    assert (tmp_path / "to" / "belle-q8_0.gguf").read_bytes() == GGUFS["belle-q8_0.gguf"]


@pytest.mark.parametrize(
    ("arguments", "status", "error", "message"),
    [
        (("BelleGroup/nothing",), 200, "", "no such model on the hub"),
        ((REPO,), 403, "GatedRepo", "is gated: accept its terms"),
        ((REPO,), 401, "", "login"),
        ((REPO, "--revision", "v9"), 200, "", "the hub has no revision 'v9'"),
        (("not-an-id",), 200, "", "expected a hub id of the form org/name"),
        ((REPO, "--convert", "--type", "q3"), 200, "", "expected one of f32"),
    ],
)
def test_errors(pull: Run, arguments: tuple[str, ...], status: int, error: str, message: str) -> None:
    with serve(REPO, FILES) as hub:
        hub.status, hub.error = status, error
        done = pull(hub.url, *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["../escaped.json", "/tmp/escaped.json"])
def test_names_that_lead_out_of_the_folder_are_refused(pull: Run, tmp_path: Path, name: str) -> None:
    """Also where nobody asks for such a file: git has none, so this is no sound hub."""
    with serve(REPO, {**FILES, name: b"{}"}) as hub:
        done = pull(hub.url, REPO, "--to", "to")
    assert done.returncode == 1
    assert f"the file name '{name}' leads out of its folder" in done.stderr
    assert not (tmp_path / "escaped.json").exists()
    assert not (tmp_path / "to").exists()
    assert hub.fetched() == []


def test_convert(pull: Run, tmp_path: Path, checkpoint: Callable[[str], Path]) -> None:
    import gguf

    with serve("BelleGroup/BELLE-tiny", checkpoint("bloom")) as hub:
        done = pull(hub.url, "BelleGroup/BELLE-tiny", "--convert", "--type", "q8_0", "--json")
        exists = pull(hub.url, "BelleGroup/BELLE-tiny", "--convert", "--type", "q8_0")
    assert done.returncode == 0, done.stderr
    path = Path(json.loads(done.stdout)["gguf"])
    assert path == Path("BELLE-tiny-q8_0.gguf")
    fields = gguf.GGUFReader(tmp_path / path).fields
    assert fields["general.source.huggingface.repository"].contents() == "BelleGroup/BELLE-tiny"
    assert exists.returncode == 1
    assert "--force" in exists.stderr


def test_a_hub_id_is_a_model(command: Run, tmp_path: Path, checkpoint: Callable[[str], Path]) -> None:
    """generate and info take the id: downloaded and converted once; without the hub an error that names HF_ENDPOINT."""
    repo, cache = "BelleGroup/BELLE-tiny", {"BELLE_CACHE": str(tmp_path / "cache")}
    options = ("--temperature", "0", "--max-tokens", "4")
    with serve(repo, checkpoint("bloom")) as hub:
        first = command(hub.url, "generate", repo, *options, "你好", **cache)
        again = command(hub.url, "generate", repo, *options, "你好", "-q", **cache)
    assert first.returncode == 0, first.stderr
    assert "note: converting BelleGroup/BELLE-tiny" in first.stderr
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")
    offline = command(hub.url, "info", repo, "--json", **cache, HF_HUB_OFFLINE="1")
    assert json.loads(offline.stdout)["architecture"] == "bloom"
    nothing = command(hub.url, "generate", "BelleGroup/other", "你好", **cache)
    assert nothing.returncode == 1
    assert "HF_ENDPOINT" in nothing.stderr
    assert nothing.stderr.count("\n") == 1
