"""Will a model fit? What this process may still use, and what a GGUF file will need, before anything is loaded."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import _core
from .errors import BelleError
from .folders import user_path

_TOKENIZER_BYTES_PER_TOKEN = 1024  # measured on 8,192 byte-level tokens, libraries aside
_LIBRARIES_BYTES = 8 << 20
_STACK_BYTES = 8 << 20  # address space of one thread
_USUAL_CONTEXT = 4096  # tokens of cache that a load without a stated context is checked for
_UNLIMITED = 1 << 60  # cgroup v1 writes a number this large for "no limit"
_LIGHTER_TYPES = (("q8_0", "q8_0"), ("q4_0", "q6_k"))  # of most matrices, of the output matrix


class InsufficientMemoryError(BelleError, MemoryError):
    """A model cannot fit into the memory this process may use; the message has the numbers and what to do."""


@dataclass(frozen=True)
class Available:
    """Memory this process may still use, and which limit says so."""

    n_bytes: int
    limit: str


@dataclass(frozen=True)
class Requirement:
    """Bytes a file needs when it runs, as predicted from its header."""

    weights: int
    n_weights: int
    n_head_weights: int  # of those in the output matrix
    kv: int
    kv_type: str
    kv_bytes_per_token: int
    kv_types: dict[str, int]  # what `kv` would be with each type of the cache
    context: int  # tokens that `kv` is for
    activations: int  # buffers of one pass, logits
    tokenizer: int
    file: int  # mapped while it is open: address space, not memory

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.activations + self.tokenizer


def open_file(path: str | os.PathLike[str] | _core.GgufFile, *, root: Path = Path("/")) -> _core.GgufFile:
    """Open a GGUF file and check its header: once for all who load it. One that is open is given back.

    root: where proc/ and sys/ are. OSError, ModelFormatError, and InsufficientMemoryError where even the address space
    for its bytes is missing.
    """
    if isinstance(path, _core.GgufFile):
        return path
    path = user_path("[memory] path", path)
    try:
        return _core.GgufFile(str(path))
    except MemoryError as error:
        limit = available_address_space(root)
        left = f": {size_text(limit.n_bytes)} of {limit.limit} are left" if limit is not None else ""
        raise InsufficientMemoryError(
            f"[memory] {path.name} ({size_text(path.stat().st_size)}) cannot even be mapped{left}"
        ) from error


def check_memory(
    path: str | os.PathLike[str] | _core.GgufFile,
    *,
    context: int | None = None,
    kv: str = "auto",
    root: Path = Path("/"),
) -> Requirement:
    """Raise InsufficientMemoryError where `path`, or a file that is open, cannot fit; else return what it needs.

    context: tokens of cache to count; None = as trained, but not more than 4,096, because the cache grows with use
    and few dialogues fill a longer one. root: where proc/ and sys/ are. Also raises OSError, ModelFormatError.
    """
    file = open_file(path, root=root)
    needed = required_memory(file, context=context, kv=kv)
    if context is None and needed.context > _USUAL_CONTEXT:
        needed = required_memory(file, context=_USUAL_CONTEXT, kv=kv)
    space = available_address_space(root)
    if space is not None:  # the mapping of the open file counts as used there
        space = Available(space.n_bytes + needed.file, space.limit)
    for available, amount in (
        (available_memory(root), needed.total),
        (space, needed.total + needed.file + _stacks()),
    ):
        if available is not None and amount > available.n_bytes:
            raise InsufficientMemoryError(_refusal(Path(file.path), needed, amount, available))
    return needed


def required_memory(file: _core.GgufFile, *, context: int | None = None, kv: str = "auto") -> Requirement:
    """Predict from a header what a model needs. A size the header lacks counts as nothing: loading refuses it.

    ValueError for an unknown type of the cache.
    """
    if kv not in ("auto", *_core.KV_TYPES):
        raise ValueError(f"[memory] kv: expected auto, f32, f16 or q8, got '{kv}'")
    tensors = file.tensors()
    matrices = [tensor for tensor in tensors if len(tensor.shape) > 1]
    weights = sum(4 * math.prod(tensor.shape) for tensor in tensors if len(tensor.shape) == 1)
    for tensor in matrices:
        n_rows = math.prod(tensor.shape[:-1])
        weights += _rounded_up(n_rows, _core.PANEL_ROWS) * (tensor.n_bytes // n_rows if n_rows else 0)
    all_float = {tensor.type for tensor in matrices} <= _core.FLOAT_TYPES
    kv_type = ("f32" if all_float else "f16") if kv == "auto" else kv

    architecture = file.get("general.architecture", "")

    def size(key: str, fallback: int = 0) -> int:
        value = file.get(f"{architecture}.{key}", fallback)
        return value if isinstance(value, int) and value > 0 else fallback

    hidden, n_heads = size("embedding_length"), size("attention.head_count")
    n_kv_heads = size("attention.head_count_kv", n_heads)
    head_dim = size("attention.key_length", hidden // n_heads if n_heads else 0)
    feed_forward, trained = size("feed_forward_length"), size("context_length", 2048)
    n_tokens = min(context or trained, trained)
    n_caches = size("block_count") * n_kv_heads
    per_token = {name: n_caches * _core.kv_head_bytes(name, head_dim) for name in _core.KV_TYPES}
    n_cached = _rounded_up(n_tokens, _core.PAGE_TOKENS)
    widths = 4 * hidden + (2 * n_heads + 2 * n_kv_heads) * head_dim + 2 * feed_forward
    sizes = {tensor.name: tensor.shape for tensor in matrices}
    embedding = sizes.get("token_embd.weight", (0, 0))
    n_vocab = embedding[0]
    return Requirement(
        weights=weights,
        n_weights=sum(math.prod(tensor.shape) for tensor in tensors),
        n_head_weights=math.prod(sizes.get("output.weight", embedding)),
        kv=n_cached * per_token[kv_type],
        kv_type=kv_type,
        kv_bytes_per_token=per_token[kv_type],
        kv_types={name: n_cached * n_bytes for name, n_bytes in per_token.items()},
        context=n_tokens,
        activations=min(_core.MAX_PASS_ROWS, n_tokens) * 4 * widths + 16 * n_vocab,
        tokenizer=_LIBRARIES_BYTES + _TOKENIZER_BYTES_PER_TOKEN * n_vocab,
        file=file.size_bytes,
    )


def available_memory(root: Path = Path("/")) -> Available | None:
    """The smallest of the system's available memory and what this process's cgroups leave; None if unknown."""
    found = [limit for limit in (_system_memory(root), *_cgroup_limits(root)) if limit is not None]
    return min(found, key=lambda limit: limit.n_bytes, default=None)


def available_address_space(root: Path = Path("/")) -> Available | None:
    """What RLIMIT_AS (`ulimit -v`) leaves to this process; None without such a limit."""
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    pages = _read(root / "proc/self/statm").split()
    used = int(pages[0]) * resource.getpagesize() if pages else 0
    return Available(max(0, limit - used), "address space (ulimit -v)")


def size_text(n_bytes: float) -> str:
    """Bytes for people: 1.5 MiB."""
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.2f} GiB"


def _system_memory(root: Path) -> Available | None:
    """Linux: MemAvailable. Windows: free physical memory. Elsewhere: all physical memory, an upper bound."""
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return Available(int(line.split()[1]) << 10, "free memory")
    if sys.platform == "win32":
        import ctypes

        # MEMORYSTATUSEX: two 32-bit numbers (the first is the size of the struct), then seven of 64 bits
        status = (ctypes.c_uint64 * 8)(64)
        done = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return Available(int(status[2]), "free memory") if done else None
    if sys.platform == "darwin":
        import os

        return Available(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "physical memory")
    return None


def _cgroup_limits(root: Path) -> Iterator[Available]:
    """What each memory cgroup leaves, from this process's own up to the root, versions 2 and 1.

    Page cache counts as usage there but is given up when memory gets short, so it counts as free here.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, own = rest.partition(":")
        if not controllers:
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
        else:
            continue
        # A container may see its own group as the root, although the path names the host's.
        relative = Path(own.strip().lstrip("/"))
        for folder in (base / relative, *[base / parent for parent in relative.parents]):
            limit, used = _number(folder / names[0]), _number(folder / names[1])
            if limit is None or used is None or limit >= _UNLIMITED:
                continue
            cache = sum(
                int(value)
                for key, _, value in (
                    entry.partition(" ") for entry in _read(folder / "memory.stat").splitlines()
                )
                if key in (f"{names[2]}inactive_file", f"{names[2]}active_file")
            )
            yield Available(max(0, limit - max(0, used - cache)), f"cgroup limit of {size_text(limit)}")


def _refusal(path: Path, needed: Requirement, amount: int, available: Available) -> str:
    extra = amount - needed.total
    ways = ", or ".join(_ways_to_fit(needed, amount, available.n_bytes))
    return (
        f"[memory] {path.name} needs {size_text(amount)}: weights {size_text(needed.weights)}, "
        f"{needed.kv_type} cache for {needed.context} tokens {size_text(needed.kv)}, "
        f"buffers {size_text(needed.activations)}, tokenizer {size_text(needed.tokenizer)}"
        + (f", mapped file {size_text(extra)}" if extra else "")
        + f"; available are {size_text(available.n_bytes)} ({available.limit}); "
        + (f"what would fit: {ways}" if ways else "no smaller context, cache or weight type alone would fit")
    )


def _ways_to_fit(needed: Requirement, amount: int, available: int) -> Iterator[str]:
    """Single changes after which `amount` is at most `available`."""
    fixed = amount - needed.kv
    if needed.kv_bytes_per_token and available > fixed:
        pages = (available - fixed) // needed.kv_bytes_per_token // _core.PAGE_TOKENS
        if pages:
            yield f"a context of {pages * _core.PAGE_TOKENS} tokens"
    smaller = (name for name, n_bytes in needed.kv_types.items() if n_bytes < needed.kv)
    name = next((name for name in smaller if fixed + needed.kv_types[name] <= available), None)
    if name is not None:
        yield f"a cache (kv) of type {name}"
    for name, head in _LIGHTER_TYPES:
        weights = _bytes_of(name, needed.n_weights - needed.n_head_weights) + _bytes_of(
            head, needed.n_head_weights
        )
        if weights < needed.weights and amount - needed.weights + weights <= available:
            yield f"weights of type {name} ({size_text(weights)})"


def _bytes_of(type: str, n_weights: int) -> int:
    kind = _core.weight_types()[type]
    return round(n_weights * kind["block_bytes"] / kind["block_size"])


def _rounded_up(n: int, unit: int) -> int:
    return -(-n // unit) * unit


def _stacks() -> int:
    return _STACK_BYTES * _core.cpu_info()["usable_threads"]


def _read(path: Path) -> str:
    """The text of a small system file; empty where it is absent or unreadable."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdigit() else None
