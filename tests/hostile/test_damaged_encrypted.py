"""Randomly damaged encrypted checkpoints: none converts, each is refused in one error that leaves nothing."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from belle_edge.convert import convert
from belle_edge.errors import ConversionError

from ..convert.encryption import encrypt_folder, random_bytes
from .checkpoints import write_checkpoint
from .damage import damaged

N_SEEDS = 60


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*the key has")
def test_randomly_damaged_encrypted_files(tmp_path: Path) -> None:
    plain = write_checkpoint(tmp_path / "plain", hidden=64, n_layers=1, n_heads=2)
    key = tmp_path / "consolidated.00.pth"
    key.write_bytes(random_bytes(200_000))
    source = encrypt_folder(plain, tmp_path / "sound", key.read_bytes())
    out = tmp_path / "out.gguf"
    convert(source, out, key=key)
    out.unlink()
    for seed in range(N_SEEDS):
        folder = tmp_path / f"damaged-{seed}"
        shutil.copytree(source, folder)
        path = random.Random(seed).choice(sorted(folder.iterdir()))
        data = path.read_bytes()
        path.write_bytes(damaged(data, len(data), seed)[0])
        with pytest.raises(ConversionError, match=r"^\["):
            convert(folder, out, key=key)
        assert not list(tmp_path.glob("out.gguf*"))
