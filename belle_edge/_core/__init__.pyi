"""Type stubs of the C++ extension `belle_edge._core` (sources in csrc/)."""

import mmap
import os
from collections.abc import Callable, Mapping
from collections.abc import Sequence as PySequence
from typing import Any, Final, Literal, TypedDict, overload, type_check_only

import numpy as np
from numpy.typing import NDArray

__version__: str

# What Python shares with the engine, as C++ defines it.
MAX_THREADS: Final[int]  # that may be asked for; 0 still gives as many as a larger machine has
MAX_SIZE: Final[int]  # of one size in a model's metadata: layers, heads, widths, the context
MAX_HEAD_DIM: Final[int]
NORM_EPS_BOUNDS: Final[tuple[float, float]]  # of a norm's epsilon, both excluded
MAX_PASS_ROWS: Final[int]  # tokens that one pass computes; longer prompts take several
BLOCK_SIZE: Final[int]  # weights per block of each quantized type
PANEL_ROWS: Final[int]  # rows that are packed together; the last panel of a matrix is filled up
PAGE_TOKENS: Final[int]  # positions by which the KV cache grows
HALF_OVERFLOW: Final[float]  # from here on a float rounds to an infinite float16
KV_TYPES: Final[tuple[str, ...]]  # of the KV cache: f32, f16, q8
FLOAT_TYPES: Final[frozenset[str]]  # the weight types that are not quantized
CHECKSUM_ALGORITHM: Final[str]
CHECKSUM_CHUNK_BYTES: Final[int]  # of the data section, as the converter writes them
CHECKSUM_KEYS: Final[
    tuple[str, str, str, str]
]  # algorithm, chunk_bytes, data, header: the last metadata of a file
ENTRY_HASHES_KEY: Final[str]  # the metadata that tells a file that was rewritten from a damaged one

@type_check_only
class CpuInfo(TypedDict):
    architecture: str
    brand: str
    features: list[str]
    usable_threads: int  # processors this process may use: affinity mask and cgroup quota considered

@type_check_only
class IsaTierInfo(TypedDict):
    name: str
    supported: bool
    missing_features: list[str]
    compiled: bool
    activation_forms: list[str]  # that its kernels take in prefill: "block32" always; "slab256", "bf16"
    prompt_attention: str  # what that multiplies beside coarser forms: "float32", "int16" or "bf16"

def cpu_info() -> CpuInfo: ...
def cgroup_cpu_quota(membership: str = "/proc/self/cgroup", root: str = "/sys/fs/cgroup") -> float:
    """Processors that the cgroup (v1 or v2) CPU quota allows, 0.0 = no quota."""

def isa_tiers() -> list[IsaTierInfo]:
    """Every tier this build knows, best first."""

def default_isa() -> str:
    """The tier a new model uses: `BELLE_ISA` if set (ValueError when unsupported), else the best supported one."""

def xxh64(data: bytes | bytearray | memoryview | NDArray[Any]) -> int:
    """XXH64 (seed 0) of contiguous bytes. Raises ValueError for a view with gaps."""

def probe_read_bandwidth(*, n_bytes: int, passes: int = 8, threads: int = 0) -> list[float]:
    """Bytes per second of each pass over `n_bytes` of anonymous memory (2 MB pages), all threads together.

    OSError when there is not so much memory.
    """

@type_check_only
class IntegerPeak(TypedDict):
    isa: str
    threads: int
    ops_per_second: list[float]  # of each round; a multiplication and an addition count as two

def probe_integer_peak(*, isa: str = "", threads: int = 0, seconds: float = 0.2) -> IntegerPeak:
    """How fast the tier's integer multiply is over registers alone. ValueError as for `Model` and an unknown tier."""

@type_check_only
class ReadAhead(TypedDict):
    one_token: int  # bytes in front of its products for which a kernel asks, in passes of one row
    several_tokens: int  # of 2 to 16
    measured: bool  # else these are the defaults: too few weights to measure with

def probe_read_ahead(
    *, isa: str = "", threads: int = 0, n_rows: int, n_cols: int, piece_bytes: int = 8 << 20
) -> ReadAhead:
    """The distances at which the tier's q4_0 kernels read memory fastest, measured on a matrix of zeros cut into
    pieces of at least `piece_bytes`, as `Model` measures them on its weights. ValueError for impossible shapes and as
    for `Model` and an unknown tier; OSError when there is not so much memory."""

@type_check_only
class WeightTypeInfo(TypedDict):
    ggml_id: int
    block_size: int  # weights per block, 1 for the float types
    block_bytes: int
    scale_offsets: tuple[
        int, ...
    ]  # bytes: where a block has its float16 numbers, the scale and then the minimum
    quantized: bool
    written: bool  # by `quantize`; the others are only read

def kv_head_bytes(kv_type: str, head_dim: int) -> int:
    """Bytes of one position's key and value in one head of the cache. ValueError for an unknown type."""

def weight_types() -> dict[str, WeightTypeInfo]:
    """Tensor types this build knows, by name."""

def quantize(
    rows: NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16],
    type: str,
    *,
    importance: NDArray[np.float32] | None = None,
    threads: int = 0,
    isa: str = "",
) -> NDArray[np.uint8]:
    """Quantize `rows` [n_rows, n_cols] to GGUF bytes [n_rows, row_bytes], the same on every tier.

    Rows are float32, float16, or bfloat16 as raw uint16 bits. isa "" = `default_isa()`.

    Bit-equal to the `gguf` package's reference where it has one. The scales of the k-types and of the iq4 types are
    searched for, so that the error is small. With `importance` [n_cols], what an error in each column counts, as in
    llama.cpp's importance matrix, those of every quantized type are. Raises ValueError for a type that is unknown or
    not written, a row length that is not a multiple of the block size, a value that is not finite (names the row), or
    an importance that is negative, not finite, of another length, or of no use to the type.
    """

def dequantize(data: NDArray[np.uint8], type: str, *, threads: int = 0) -> NDArray[np.float32]:
    """GGUF bytes [n_rows, row_bytes] -> float32 [n_rows, n_cols], with the bits of the `gguf` package.

    ValueError for an unknown type, and for rows that are not whole blocks.
    """

class Rounding:
    """Rounds rows w to blocks q so that (w - q) H (w - q)^T is small, for the second moments H of a matrix' inputs.

    One object serves all matrices with the same input, from any thread. The bytes are the same on every tier, for any
    threads, and however the rows are cut into calls. How: docs/design/rounding.md.
    """

    def __init__(
        self, moments: NDArray[np.float32], *, damping: float = 0.01, threads: int = 0, isa: str = ""
    ) -> None:
        """Keep `moments` [n_cols, n_cols], the mean of x x^T over inputs x. The first `round` factors them, which takes
        as much memory again.

        damping: what is added to the diagonal, in units of its mean; more where the moments need it. isa "" =
        `default_isa()`. ValueError for another shape, and for numbers that cannot be means of products.
        """
    @property
    def damping(self) -> float:
        """What is added to the diagonal; factors. ValueError for moments that are far from positive semidefinite."""
    def round(
        self,
        rows: NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16],
        type: str,
        *,
        effort: Literal["fast", "best"] = "fast",
        threads: int = 0,
    ) -> NDArray[np.uint8]:
        """`rows` [n_rows, n_cols] to GGUF bytes [n_rows, row_bytes] of any quantized type. Rows as in `quantize`.

        effort "best" refines scales and codes after that: 5 to 17 % less error, in about six times the time.

        ValueError for another number of columns, a type that is unknown or whose blocks do not divide it, a value that
        is not finite (names the row), and moments that are far from positive semidefinite.
        """
    def errors(
        self,
        rows: NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16],
        data: NDArray[np.uint8],
        type: str,
        *,
        threads: int = 0,
    ) -> NDArray[np.float64]:
        """(w - q) H (w - q)^T of each row [n_rows], for `data` [n_rows, row_bytes]. ValueError as in `round`."""

def linear(
    weights: NDArray[np.uint8],
    type: str,
    x: NDArray[np.float32],
    *,
    isa: str = "",
    threads: int = 0,
    activations: str = "block32",
) -> NDArray[np.float32]:
    """One linear layer, for tests: x [n_tokens, k] by GGUF weight rows [n_rows, row_bytes] -> [n_tokens, n_rows].

    activations: the form that more than 16 tokens take, one of the tier's `activation_forms`.
    """

class TensorInfo:
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str:
        """Lower-case GGML type name; "type_<id>" for one this build cannot read."""
    @property
    def shape(self) -> tuple[int, ...]:
        """NumPy order: [n_rows, n_cols] (GGUF stores it reversed)."""
    @property
    def offset(self) -> int:
        """From the start of the file, in bytes."""
    @property
    def n_bytes(self) -> int: ...

@type_check_only
class ChecksumInfo(TypedDict):
    algorithm: str  # "xxh64"
    chunk_bytes: int
    n_chunks: int  # of the data section; the last one may be shorter

class GgufFile:
    """A memory-mapped, bounds-checked GGUF v2/v3 file. Raises OSError or belle_edge.errors.ModelFormatError.

    The first part of a split model is the whole model; ModelFormatError for another part, and where one is missing.

    A file with checksums is one that `belle-edge convert` wrote: opening it checks everything before the data section.
    Values are read when they are asked for; ModelFormatError if the file was rewritten in place since it was opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None: ...
    @property
    def path(self) -> str:
        """Bytes that are not in the system's encoding are surrogates."""
    @property
    def parts(self) -> list[str]:
        """Paths of the model's files: its own, and the others where it is split."""
    @property
    def version(self) -> int: ...
    @property
    def alignment(self) -> int: ...
    @property
    def size_bytes(self) -> int:
        """Of all parts."""
    @property
    def data_offset(self) -> int:
        """Where the data section begins, in bytes; what comes before is the header."""
    @property
    def checksums(self) -> ChecksumInfo | None:
        """None for a file that belle-edge did not write, and for one whose tensors another program wrote anew."""
    @property
    def rewritten(self) -> str | None:
        """What another program changed since belle-edge wrote the file; None where nothing, and for foreign files."""
    def check_in_place(self) -> None:
        """Raise ModelFormatError unless the paths still name the files that are open here, and nobody wrote to them:
        for another program that opens them by their paths."""
    def check_supported(self) -> None:
        """Raise what loading raises before it reads a weight, UnsupportedModelError for a sound file, if it does."""
    def verify_data(self, *, threads: int = 0, progress: Callable[[int, int], object] | None = None) -> bool:
        """Compare the data section with its checksums; False for a file without any.

        progress(done_bytes, total_bytes) is called now and then. Raises KeyboardInterrupt, and ModelFormatError that
        names the bytes that do not match and their tensors.
        """
    def keys(self) -> list[str]:
        """Metadata keys in file order."""
    def __contains__(self, key: str, /) -> bool: ...
    def __getitem__(self, key: str, /) -> Any:
        """One metadata value: int, float, bool, str, list[str], or a NumPy array of numbers. KeyError if absent."""
    def get(self, key: str, default: Any = None) -> Any: ...
    def array_length(self, key: str, /) -> int:
        """Elements of an array value without converting it; 0 for a scalar."""
    def tensors(self) -> list[TensorInfo]: ...
    def tensor_bytes(self, name: str, /) -> NDArray[np.uint8]:
        """Read-only view of a tensor's bytes in the mapped file. KeyError if absent.

        The file must not be cut while the view is in use: the system would end the process.
        """

class Sampler:
    """Picks the next token from logits over the whole vocabulary; holds the penalties' history and the random state.

    What is not allowed leaves first. Order (Hugging Face's): repetition penalty, presence and frequency penalty, logit
    bias, banned tokens, temperature, top-k, top-p, min-p, then one draw. Temperature 0 takes the argmax (lowest id on
    ties) after penalties, bias, bans.
    """

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        seed: int = 0,
        logit_bias: Mapping[int, float] = ...,
        banned: PySequence[int] = ...,
    ) -> None: ...
    def accept(self, ids: PySequence[int] | NDArray[np.int32]) -> None:
        """Add tokens to the history that the penalties look at (the prompt, or tokens chosen elsewhere)."""
    def resume(self, ids: PySequence[int] | NDArray[np.int32]) -> None:
        """Go on after these tokens, which a sampler with the same settings chose: as `accept`, and their random numbers
        are used up."""
    def allow(self, words: NDArray[np.uint32]) -> None:
        """The next choice is one of these: bit i % 32 of word i / 32 stands for token i, and what has no bit is not
        allowed. Words [ceil(n_vocab / 32)]; they are copied."""
    def sample(self, logits: NDArray[np.float32]) -> int:
        """Choose from `logits` [n_vocab], accept the choice and forget what was allowed."""
    def copy(self) -> Sampler: ...

def choose_tokens(
    rows: PySequence[NDArray[np.float32]],
    samplers: PySequence[Sampler],
    *,
    top_logprobs: int = -1,
    outcomes: list[Any],
) -> list[Any]:
    """Each sampler's choice from its row [n_vocab], put into `outcomes` all at once; see `Model.forward_sample`."""

class LoadProgress:
    """How far the loading of a `Model` is; other threads may read it meanwhile."""

    def __init__(self) -> None: ...
    @property
    def done_bytes(self) -> int: ...
    @property
    def total_bytes(self) -> int:
        """0 before it begins to read."""

class RestingBatch:
    """How far the pass of one batch came, for `Model.forward`."""

    def __init__(self) -> None: ...
    @property
    def n_layers(self) -> int:
        """Layers that are done; 0 before it begins, and after its end."""

class Sequence:
    """One token sequence with its KV cache. Belongs to the Model that made it."""

    @property
    def length(self) -> int:
        """Tokens in the cache."""
    def tokens(self) -> NDArray[np.int32]:
        """The ids in the cache, in order."""
    def fork(self) -> Sequence:
        """A second sequence with the same content; full KV pages are shared until one of them writes."""
    def truncate(self, length: int) -> None:
        """Drop everything from position `length` on. ValueError if length exceeds the current one."""
    def discard(self, begin: int, end: int) -> None:
        """Forget positions [begin, end) and move the later ones down by as many.

        Rotary keys are turned back by the distance, ALiBi needs nothing. What is left still carries what its
        attention saw before. ValueError unless 0 <= begin <= end <= length.
        """
    def save(self) -> bytes:
        """The whole state, to be given to Model.restore of the same model."""

@type_check_only
class ModelConfig(TypedDict):
    architecture: str  # "bloom" | "llama"
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    hidden_size: int
    feed_forward_size: int
    vocab_size: int  # rows of the output matrix
    context_length: int  # the file's training context

@type_check_only
class ActivationChoice(TypedDict):
    """How one weight matrix takes its input in prefill, and the measured relative RMS errors of its outputs."""

    tensor: str
    type: str
    form: str
    outliers: list[
        int
    ]  # columns of the input that its slabs leave to products in float; none for other forms
    errors: dict[str, float]  # by form, of the kernels on the file's weights
    yardstick: float  # of activations as other engines have them: a scale per block of the weights' type
    weight_error: float  # of the rounding that the file's weights already have
    influence: float  # squared share of the hidden state that the matrix' branch has added

class Model:
    """Packed weights, a thread pool and a pool of KV pages. All methods may be called from any thread."""

    def __init__(
        self,
        file: str | os.PathLike[str] | GgufFile,
        *,
        threads: int = 0,
        isa: str = "",
        kv_type: str = "auto",
        activations: str = "auto",
        progress: LoadProgress | None = None,
    ) -> None:
        """Check `file`, or the one at that path, and pack its weights.

        threads 0 = every usable processor. isa "" = `default_isa()`. kv_type "f32", "f16", "q8" or "auto" (f32
        for files whose matrices are all float, else f16). activations: one of the tier's `activation_forms` for
        every matrix, or "auto": BELLE_ACTIVATIONS if set, else measured and chosen for each matrix. Raises
        OSError, ModelFormatError (broken file) or UnsupportedModelError (well-formed, but something this engine
        does not implement; names it).
        """
    @property
    def config(self) -> ModelConfig: ...
    @property
    def isa(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def kv_type(self) -> str: ...
    @property
    def weight_bytes(self) -> int: ...
    @property
    def read_ahead(self) -> ReadAhead: ...
    @property
    def kv_bytes_per_token(self) -> int: ...
    @property
    def kv_bytes(self) -> int:
        """Bytes of KV pages allocated now."""
    @property
    def activation_forms(self) -> list[ActivationChoice]:
        """What calibration measured and chose; empty where the tier has one form, or one was given."""
    def start_profile(self) -> None:
        """From now on passes add up the time of each operation."""
    def stop_profile(self) -> dict[str, tuple[float, int]]:
        """End that: operation -> (seconds, calls). A nested operation's time is its own alone; "other" is the rest of
        the passes."""
    def new_sequence(self) -> Sequence: ...
    def restore(self, data: bytes | bytearray | memoryview | mmap.mmap) -> Sequence:
        """Inverse of Sequence.save; ValueError if the bytes are damaged or come from another model or KV type."""
    def forward(
        self,
        batch: PySequence[tuple[Sequence, PySequence[int] | NDArray[np.int32]]],
        *,
        logits: str = "last",
        decode: bool | PySequence[bool] = False,
        stop: Callable[[], bool] | None = None,
        resting: RestingBatch | None = None,
    ) -> list[NDArray[np.float32]]:
        """Append tokens to one or more sequences (prefill and decode mixed) in one pass.

        decode: for all, or for each entry, whether the model itself chose these tokens. A row's bits follow from this,
        from the tokens before it and from nothing else.
        logits "last": [1, n_vocab] per entry, "all": [n_tokens, n_vocab], "none": empty arrays. On an error or Ctrl-C
        (KeyboardInterrupt) every sequence keeps the length it had. ValueError for ids out of range, empty entries,
        the same sequence twice, or a sequence of another model; RuntimeError in a forked child process.
        resting: what the pass rests in where `stop`, asked between layers, says True; the result is empty then. The
        same batch goes on with the same `resting`, at least one layer further each time, whatever else ran meanwhile.
        Where one of its sequences was changed it begins anew. For up to 512 tokens of one phase; else ValueError.
        """
    def forward_scores(
        self,
        batch: PySequence[
            tuple[
                Sequence,
                PySequence[int] | NDArray[np.int32],
                PySequence[int] | NDArray[np.int32],
                PySequence[int] | NDArray[np.int32],
            ]
        ],
    ) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
        """As forward, for tokens of prompts; then scores of given tokens: logits never reach Python.

        An entry is a sequence, the tokens that it gets, places among these (ascending, one perhaps several times), and
        a token for each place. The result has, for each of these tokens, its natural log-probability as the next one
        there, and whether it is the most probable one. Logits take 64 MiB at most, or one row.
        ValueError also for a place or a token that does not exist.
        """
    @overload
    def forward_sample(  # type: ignore[overload-overlap]
        self,
        batch: PySequence[tuple[Sequence, PySequence[int] | NDArray[np.int32], Sampler]],
        *,
        top_logprobs: Literal[-1] = -1,
        decode: bool | PySequence[bool] = False,
        outcomes: None = None,
        stop: Callable[[], bool] | None = None,
        resting: RestingBatch | None = None,
    ) -> list[int]: ...
    @overload
    def forward_sample(  # type: ignore[overload-overlap]
        self,
        batch: PySequence[tuple[Sequence, PySequence[int] | NDArray[np.int32], Sampler]],
        *,
        top_logprobs: Literal[-1] = -1,
        decode: bool | PySequence[bool] = False,
        outcomes: list[int | Exception],
        stop: Callable[[], bool] | None = None,
        resting: RestingBatch | None = None,
    ) -> list[int | Exception]: ...
    @overload
    def forward_sample(
        self,
        batch: PySequence[tuple[Sequence, PySequence[int] | NDArray[np.int32], Sampler]],
        *,
        top_logprobs: int,
        decode: bool | PySequence[bool] = False,
        outcomes: None = None,
        stop: Callable[[], bool] | None = None,
        resting: RestingBatch | None = None,
    ) -> list[tuple[int, float, list[tuple[int, float]]]]: ...
    @overload
    def forward_sample(
        self,
        batch: PySequence[tuple[Sequence, PySequence[int] | NDArray[np.int32], Sampler]],
        *,
        top_logprobs: int,
        decode: bool | PySequence[bool] = False,
        outcomes: list[tuple[int, float, list[tuple[int, float]]] | Exception],
        stop: Callable[[], bool] | None = None,
        resting: RestingBatch | None = None,
    ) -> list[tuple[int, float, list[tuple[int, float]]] | Exception]:
        """As forward, then each sampler chooses and accepts the next token: logits never reach Python.

        The samplers do not see the fed tokens: call Sampler.accept for a prompt that penalties shall count.
        top_logprobs >= 0: (id, its log-probability, the top_logprobs most likely ids with theirs), from the model's
        own distribution, before penalties and temperature.
        outcomes: an empty list that gets, and is, the result; a sampler's error stands in it in its token's place, and
        every sequence moves on. Without, the first such error is raised and every sequence keeps the length it had.
        """
