"""huggingface_hub's cache on the disk: blobs/<hash>, linked from snapshots/<commit>/, and branches in refs/.

Other programs find files there. Whatever links lie in it: nothing outside a repository's own folder is read, written
or removed.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from .hub_errors import HubError
from .listing import COMMIT, SHA256


def storage_of(repo_id: str) -> Path:
    """The folder of a repository (models--org--name)."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repo_id.replace('/', '--')}"


def checked(path: Path, root: Path) -> Path:
    """`path`, if it lies under `root` when all links are followed. HubError names the place otherwise."""
    real, real_root = os.path.realpath(path), os.path.realpath(root)
    if Path(real_root) not in Path(real).parents:
        raise HubError(f"[{path}] leads out of {root}, to {real}: remove the link there, then pull again")
    return path


def expected_sha256(path: Path) -> str | None:
    """The hash that the cache itself states for one of its files: the name of the blob it links to."""
    name = path.resolve().name
    return name if SHA256.fullmatch(name) else None


def remove_cached(pointer: Path, storage: Path) -> None:
    """Remove a file of the cache: the blob and the link to it."""
    checked(pointer, storage)
    with suppress(FileNotFoundError):
        pointer.resolve().unlink()
    with suppress(FileNotFoundError):
        pointer.unlink()


def link(blob: Path, pointer: Path) -> None:
    """Make `pointer` show `blob` as huggingface_hub does; where links are not allowed the file moves there."""
    pointer.parent.mkdir(parents=True, exist_ok=True)
    pointer.unlink(missing_ok=True)  # a link to a blob that is gone
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:
        os.replace(blob, pointer)


def lock(storage: Path, name: str) -> AbstractContextManager[object]:
    """huggingface_hub's own lock of a blob: one process downloads, the others wait."""
    from filelock import FileLock

    folder = checked(storage.parent / ".locks" / storage.name, storage.parent)
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(checked(folder / f"{name}.lock", folder))


def remember(storage: Path, revision: str, commit: str) -> None:
    """Note which commit a branch or tag was, for later calls without the hub."""
    path = _reference(storage, revision)
    if revision == commit or path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(commit, encoding="ascii")


def earlier_commit(storage: Path, revision: str) -> str | None:
    """The commit of a revision in the cache, None where it has none."""
    path = _reference(storage, revision)
    name = path.read_text(encoding="ascii", errors="replace").strip() if path and path.is_file() else revision
    return name if COMMIT.fullmatch(name) and (storage / "snapshots" / name).is_dir() else None


def _reference(storage: Path, revision: str) -> Path | None:
    """Where a branch or tag is noted; None for a name that is no path below that folder."""
    if any(part in ("", ".", "..") for part in revision.split("/")) or set(revision) & set("\\:\0"):
        return None
    return checked(storage / "refs" / revision, storage)
