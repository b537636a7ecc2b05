"""The checkpoint of a hub repository, downloaded: of an encrypted one only with a key that fits."""

from __future__ import annotations

from pathlib import Path

from belle_edge.convert.sources.encrypted import files_in, missing_key
from belle_edge.convert.sources.key_file import KeyFile
from belle_edge.hub.hub_errors import HubError, HubUnreachableError
from belle_edge.hub.repository import download, look_up


def download_checkpoint(repo_id: str, revision: str | None = None, key: KeyFile | None = None) -> Path:
    """The folder of a repository's checkpoint. HubError as for `look_up` and `download`.

    Of an encrypted one the small files come first: with a wrong key, or none, the weights are not downloaded.
    """
    repository = look_up(repo_id, revision)
    if repository.gguf_names and not repository.has_checkpoint:
        raise HubError(
            f"[{repo_id}] holds GGUF files, which need no conversion: belle-edge pull {repo_id} --type q4_0 fetches"
            " one, and `convert FILE.gguf` gives its matrices another type"
        )
    if repository.folder is not None and not repository.has_checkpoint:
        raise HubUnreachableError(
            f"[{repo_id}] the earlier download has no weights, and the hub cannot be reached"
        )
    if repository.is_encrypted:
        if key is None:
            raise missing_key(repo_id)
        files_in(download(repository, repository.metadata_files(), revision=revision), key)
    return download(repository, repository.checkpoint_files(), revision=revision)
