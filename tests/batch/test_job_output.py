"""The journal of a job: whatever a kill leaves of journal and output, the next start goes on from there."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from belle_edge.batch.job_output import FileOutput, JobChangedError, journal_of

ORDER = (2, 0, 1, 5, 3, 4)  # in which the records finish
SETTINGS = {"model": "m", "settings": {"seed": 1}}
HEADER = b"head\n"


def opened(path: Path, *, ordered: bool = True, force: bool = False, **changed: Any) -> FileOutput:
    return FileOutput.open(path, {**SETTINGS, **changed}, header=HEADER, ordered=ordered, force=force)


def content(index: int) -> bytes:
    return f"{index}答\n".encode()


def go_on(path: Path, *, ordered: bool = True) -> int:
    """Run the job to its end. Returns how many records were still to be done."""
    with closing(opened(path, ordered=ordered)) as output:
        left = [index for index in range(6) if not output.is_done(index, f"d{index}", index + 1)]
        assert output.n_earlier == 6 - len(left)
        for index in sorted(left, key=ORDER.index):
            output.add(index, f"d{index}", content(index), failed=index == 3)
        output.finish()
    return len(left)


def whole(*, ordered: bool) -> bytes:
    return HEADER + b"".join(content(index) for index in (range(6) if ordered else ORDER))


@pytest.mark.parametrize("ordered", [True, False])
def test_any_place_of_a_kill(tmp_path: Path, ordered: bool) -> None:
    path = tmp_path / "out"
    with closing(opened(path, ordered=ordered)) as output:
        for index in ORDER:
            output.add(index, f"d{index}", content(index), failed=index == 3)
    journal, written = journal_of(path).read_bytes(), path.read_bytes()
    assert written == whole(ordered=ordered)
    first = len(journal.split(b"\n", 1)[0]) + 1
    n_left = set()
    for n_journal in (*range(first, len(journal), 17), len(journal)):
        for n_output in range(0, len(written) + 1, 5):
            journal_of(path).write_bytes(journal[:n_journal])
            path.write_bytes(written[:n_output])
            n_left.add(go_on(path, ordered=ordered))
            assert path.read_bytes() == whole(ordered=ordered)
            assert not journal_of(path).exists()
    assert n_left == set(range(7))


def test_zeros_that_a_power_cut_leaves(tmp_path: Path) -> None:
    """Of the output, whose last piece was not on the disk, and of the journal."""
    path = tmp_path / "out"
    with closing(opened(path)) as output:
        for index in (0, 1, 2):
            output.add(index, f"d{index}", content(index), failed=False)
    journal, written = journal_of(path).read_bytes(), path.read_bytes()
    for n_kept in range(len(written)):
        path.write_bytes(written[:n_kept] + bytes(len(written) - n_kept))
        opened(path).close()
        assert path.read_bytes() == written
    journal_of(path).write_bytes(journal[:-30] + bytes(30))
    assert go_on(path) == 4
    assert path.read_bytes() == whole(ordered=True)


def test_a_second_stop(tmp_path: Path) -> None:
    path = tmp_path / "out"
    for indices in ((2, 0), (1, 5)):
        with closing(opened(path)) as output:
            for index in indices:
                assert not output.is_done(index, f"d{index}", 1)
                output.add(index, f"d{index}", content(index), failed=False)
    assert path.read_bytes() == HEADER + content(0) + content(1) + content(2)
    assert go_on(path) == 2
    assert path.read_bytes() == whole(ordered=True)


def test_what_another_job_left(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with closing(opened(path)) as output:
        output.add(0, "d0", content(0), failed=True)
        with pytest.raises(JobChangedError, match="another process"):
            opened(path)
    with pytest.raises(JobChangedError, match=r"under settings\.seed"):
        opened(path, settings={"seed": 2})
    with pytest.raises(JobChangedError, match="under ordered"):
        opened(path, ordered=False)
    with closing(opened(path)) as output:
        assert (output.n_earlier, output.n_failed_earlier) == (1, 1)
        with pytest.raises(JobChangedError, match="line 7 of the input"):
            output.is_done(0, "other", 7)
    with closing(opened(path)) as output, pytest.raises(JobChangedError, match="fewer records"):
        output.finish()
    path.write_bytes(b"hand")
    with pytest.raises(JobChangedError, match="was changed"):
        opened(path)
    with closing(opened(path, force=True)) as output:
        assert output.n_earlier == 0
    assert path.read_bytes() == HEADER


def test_files_of_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        opened(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    journal_of(path).write_bytes(b"diary")
    with pytest.raises(JobChangedError, match="something else"):
        opened(path)
    assert (path.read_bytes(), journal_of(path).read_bytes()) == (b"precious", b"diary")
