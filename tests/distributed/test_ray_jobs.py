"""`belle-edge batch --ray`: the bytes of a job without it, whatever dies in between; nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from belle_edge._core import GgufFile
from belle_edge.cli.main import main
from belle_edge.distributed import actor_pool
from belle_edge.distributed.item_worker import ItemWorker
from belle_edge.distributed.ray_model import RayModel
from belle_edge.distributed.ray_session import actors_and_threads, check_reachable, ray_session
from belle_edge.errors import BackendError

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = ("法国的首都是哪里？", "“高”的反义词是什么？", "12加30等于多少？", "你是谁？")
N_RECORDS = 1200


@pytest.fixture(scope="module")
def model(converted: Callable[[str, str], Path]) -> Path:
    return converted("bloom", "q4_0")


@pytest.fixture(scope="module")
def alone(model: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The output of a job of N_RECORDS without Ray."""
    folder = tmp_path_factory.mktemp("alone")
    source, out = write_questions(folder / "in.jsonl", N_RECORDS), folder / "out.jsonl"
    assert main(["batch", str(model), str(source), "-o", str(out), "--threads", "2"]) == 3
    return out.read_bytes()


def write_questions(path: Path, n_records: int) -> Path:
    """Sampled answers of different lengths; some records are refused."""
    records = [
        {"id": index, "prompt": QUESTIONS[index % 4] * (1 + index % 3), "temperature": 3.0}
        if index % 50 != 7
        else {"id": index, "prompt": "北京" * 3000}
        for index in range(n_records)
    ]
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    return path


def wait_for(ready: Callable[[], Any], job: subprocess.Popen[str]) -> Any:
    """What `ready` returns, once that is something."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        assert job.poll() is None, job.communicate()
        if found := ready():
            return found
        time.sleep(0.01)
    raise AssertionError("nothing came")


def descendants(pid: int) -> dict[int, str]:
    """Processes below `pid`, with their command lines."""
    parents, commands = {}, {}
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)] = int(fields[1])
            commands[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except (OSError, ValueError, IndexError):
            continue
    found: dict[int, str] = {}
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new and child not in found}
        found |= {child: commands[child] for child in new}
    return found


def environment() -> dict[str, str]:
    """Of a process that runs this tree."""
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    own = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return {**own, "PYTHONPATH": paths, "BELLE_LANGUAGE": "en"}


@pytest.fixture
def started(model: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the job of `in.jsonl` in a process of its own, with these options."""
    jobs: list[subprocess.Popen[str]] = []
    command = [sys.executable, "-m", "belle_edge", "batch", str(model), str(tmp_path / "in.jsonl")]
    command += ["-o", str(tmp_path / "out.jsonl"), "--threads", "1"]

    def start(*options: str) -> subprocess.Popen[str]:
        job = subprocess.Popen([*command, *options], env=environment(), text=True, stdout=-1, stderr=-1)
        jobs.append(job)
        return job

    yield start
    for job in jobs:
        if job.poll() is None:
            job.terminate()
            job.communicate(timeout=60)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_job_that_loses_an_actor(
    started: Callable[..., subprocess.Popen[str]], alone: bytes, tmp_path: Path
) -> None:
    """On a Ray of its own."""
    pytest.importorskip("ray")
    write_questions(tmp_path / "in.jsonl", N_RECORDS)
    out = tmp_path / "out.jsonl"
    job = started("--ray", "--ray-actors", "2")
    wait_for(lambda: n_lines(out) > 20, job)
    below = descendants(job.pid)
    workers = [pid for pid, command in below.items() if command.startswith("ray::ItemWorker")]
    assert len(workers) == 2, below
    os.kill(workers[0], signal.SIGKILL)
    n_then = n_lines(out)
    told, errors = job.communicate(timeout=240)
    assert (job.returncode, told) == (3, ""), errors  # Ray would tell of the death there
    assert errors.count("\n") == 1, errors
    assert n_then < N_RECORDS
    assert out.read_bytes() == alone
    assert_gone(below)


@pytest.mark.slow
def test_a_job_on_a_cluster_is_stopped_and_goes_on(
    started: Callable[..., subprocess.Popen[str]], ray_cluster: Any, model: Path, alone: bytes, tmp_path: Path
) -> None:
    """Found by its address; the model there is compared by its hash; the rest is answered without Ray."""
    source, out = write_questions(tmp_path / "in.jsonl", N_RECORDS), tmp_path / "out.jsonl"
    job = started(f"--ray={ray_cluster.get_runtime_context().gcs_address}", "--ray-actors", "1")
    wait_for(lambda: n_lines(out) > 20, job)
    job.send_signal(signal.SIGINT)
    errors = job.communicate(timeout=120)[1]
    assert (job.returncode, "Traceback" in errors) == (130, False), errors
    assert "the same command goes on" in errors
    assert n_lines(out) < N_RECORDS
    assert main(["batch", str(model), str(source), "--threads", "2", "-o", str(out)]) == 3
    assert out.read_bytes() == alone
    assert ray_cluster.get(ray_cluster.put(5)) == 5


def n_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def assert_gone(processes: dict[int, str]) -> None:
    """Ray ends its processes itself, after its driver at the latest."""
    end = time.monotonic() + 60
    while left := [pid for pid in processes if is_running(pid)]:
        assert time.monotonic() < end, [processes[pid] for pid in left]
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.slow
def test_choices_on_a_cluster(
    ray_cluster: Any, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_questions(tmp_path / "in.jsonl", 60)
    options = ["--threads", "1", "--choice", "巴黎", "--choice", "低", "--max-batch", "4"]
    for name, more in (("alone", []), ("there", ["--ray", "--ray-actors", "2"])):
        out = tmp_path / f"{name}.csv"
        assert main(["batch", str(model), str(source), "-o", str(out), *options, *more]) == 3
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    assert capsys.readouterr().err.count("\n") == 2
    assert ray_cluster.is_initialized()


@pytest.mark.slow
def test_errors_of_actors_are_those_of_this_process(
    ray_cluster: Any, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_questions(tmp_path / "in.jsonl", 3)
    arguments = ["batch", str(model), str(source), "--ray", "--threads", "1"]
    assert main([*arguments, "--context", "999999"]) == 1
    assert "context: expected 1 to" in capsys.readouterr().err
    assert main([*arguments, "--threads", "64"]) == 1
    assert "no machine has 64 CPUs, the largest has 2" in capsys.readouterr().err


@pytest.mark.slow
def test_actors_that_die_and_die(ray_cluster: Any, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_pool, "ItemWorker", _of_worker(ray_cluster, "_Dying"))
    with pytest.raises(BackendError, match="4 workers died without an answer"):
        RayModel(ray_cluster, GgufFile(str(model)), {"threads": 1}, n_actors=1)


@pytest.mark.slow
def test_machines_that_would_answer_otherwise(
    ray_cluster: Any, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_pool, "ItemWorker", _of_worker(ray_cluster, "_OfAnotherTier"))
    with RayModel(ray_cluster, GgufFile(str(model)), {"threads": 1}, n_actors=2) as remote:
        items = [{"prompt": QUESTIONS[0], "seed": index, "max_tokens": 3} for index in range(4000)]
        with pytest.raises(ValueError, match=r"isa is tier-.*--isa sets the instruction set"):
            list(remote.batch(items))


class _Dying(ItemWorker):
    def load(self, path: str, load: Any, *, hashed: bool) -> tuple[str, dict[str, Any]]:
        os._exit(1)


class _OfAnotherTier(ItemWorker):
    def load(self, path: str, load: Any, *, hashed: bool) -> tuple[str, dict[str, Any]]:
        machine, found = super().load(path, load, hashed=hashed)
        return machine, {**found, "isa": f"tier-{os.getpid()}"}


def _of_worker(ray: Any, name: str) -> Any:
    """A class of this file, which the workers cannot import."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return globals()[name]


class _Cluster:
    """What is asked of Ray about its machines."""

    def __init__(self, *cpus: int) -> None:
        self._cpus = cpus

    def nodes(self) -> list[dict[str, Any]]:
        dead = {"Alive": False, "Resources": {"CPU": 500.0}}
        return [dead, *({"Alive": True, "Resources": {"CPU": float(n)}} for n in self._cpus)]


@pytest.mark.parametrize(
    ("cpus", "n_actors", "threads", "wanted"),
    [
        ((8,), None, None, (1, 8)),
        ((8, 4, 0), None, None, (2, 4)),
        ((8, 4), None, 3, (3, 3)),
        ((8, 4), 5, None, (5, 2)),
        ((2,), 4, None, (4, 1)),
        ((8, 4), 1, None, (1, 8)),
    ],
)
def test_actors_and_threads(
    cpus: tuple[int, ...], n_actors: int | None, threads: int | None, wanted: tuple[int, int]
) -> None:
    assert actors_and_threads(_Cluster(*cpus), n_actors, threads) == wanted


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--ray-actors", "2"], "--ray-actors: it needs --ray"),
        (["--ray", "--ray-actors", "0"], "--ray-actors: expected an integer from 1"),
        (["--ray", "--dry-run"], "--dry-run: it measures this process, leave out --ray"),
    ],
)
def test_options_that_do_not_go_together(
    options: list[str], problem: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_questions(tmp_path / "in.jsonl", 1)
    assert main(["batch", str(model), str(source), *options]) == 1
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_where_nothing_listens(scheme: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        address = f"{scheme}127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(BackendError, match=f"no cluster at {address}: "):
            check_reachable(address)


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    with pytest.raises(BackendError, match=r"pip install 'belle-edge\[ray\]'"), ray_session():
        pass
