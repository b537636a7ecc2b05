"""Random damage to a sound model file: it loads or is refused, and the process lives on."""

from __future__ import annotations

import pytest

from belle_edge import _core

from .conftest import ModelFile
from .subprocesses import run_python

N_SEEDS = 400

# Flips some bits of the header (and of the tensors, rarely), loads the model, and runs it when it loads.
FLIP = """
import random, resource
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))  # a damaged size must not ask for all memory
source, target, header_bytes, n_seeds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
original = open(source, "rb").read()
n_loaded = 0
for seed in range(n_seeds):
    print("seed", seed, flush=True)
    choose = random.Random(seed)
    data = bytearray(original)
    for _ in range(choose.choice([1, 1, 2, 5])):
        end = header_bytes if choose.random() < 0.95 else len(data)
        data[choose.randrange(end)] ^= 1 << choose.randrange(8)
    with open(target, "wb") as file:
        file.write(data)
    try:
        model = _core.Model(target)
    except (ValueError, OSError):
        continue
    n_loaded += 1
    logits = model.forward([(model.new_sequence(), [1, 2, 3])])[0]
    assert logits.shape == (1, model.config["vocab_size"])
print("loaded", n_loaded)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "type"), [("llama", "q4_0"), ("bloom", "f16")])
def test_random_bit_flips(
    model_file: ModelFile, tmp_path_factory: pytest.TempPathFactory, architecture: str, type: str
) -> None:
    pytest.importorskip("resource", reason="memory limits need POSIX")
    path = model_file(architecture, type)
    target = tmp_path_factory.mktemp("flips") / "damaged.gguf"
    header_bytes = min(tensor.offset for tensor in _core.GgufFile(str(path)).tensors())
    result = run_python(FLIP, path, target, header_bytes, N_SEEDS, timeout=120)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, f"ended after '{lines[-1:]}' with {result.returncode}\n{result.stderr}"
    assert 0 < int(lines[-1].removeprefix("loaded ")) < N_SEEDS
