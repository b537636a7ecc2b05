"""`Belle`: a loaded GGUF file; its tokens and logits. The ways to write text with it are in writer.py."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .argument_names import explains_names
from .backends import open_backend
from .errors import ModelFormatError
from .folders import user_path
from .generation.answer import check_length
from .memory import check_memory
from .regular_files import irregular
from .settings import EngineSettings, token_ids
from .text.chat_format import ChatFormat
from .writer import Writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .backends.base import Backend


class Belle(Writer):
    """A loaded model. One model serves several Python threads: every call has its own sequence, and passes of
    the engine take turns. `close` in one thread ends the generations of the others with a ValueError.

    with Belle.load("belle.gguf") as model:
        print(model.generate("用一句话介绍北京。"))
    """

    def __init__(
        self,
        backend: Backend,
        *,
        path: Path,
        context: int | None = None,
        chat_format: ChatFormat | None = None,
    ) -> None:
        """Use `Belle.load`. Takes over `backend`. chat_format None: as the file says.

        ModelFormatError where tokenizer and weights do not match, ValueError for a context out of range.
        """
        self.backend = backend
        self.path = path
        self.tokenizer = backend.tokenizer()
        self.chat_format = chat_format or ChatFormat.from_metadata(backend.metadata)
        n_rows = int(backend.config["vocab_size"])
        if len(self.tokenizer) != n_rows:
            raise ModelFormatError(
                f"[model] {path.name}: {len(self.tokenizer)} tokens, but {n_rows} rows in the output matrix"
            )
        settings = EngineSettings(context=context)
        # tokens of prompt and answer together
        self.context = settings.context_of(int(backend.config["context_length"]))

    @classmethod
    @explains_names("model")
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        backend: str = "native",
        threads: int | None = None,
        context: int | None = None,
        kv: str = "auto",
        isa: str | None = None,
        memory_check: bool = True,
        family: str | None = None,
        chat_template: str | None = None,
    ) -> Belle:
        """Load a GGUF file; ~ in its path is the home folder.

        backend: "native" runs BLOOM and LLaMA, "llama.cpp" (package llama-cpp-python) whatever that knows.
        threads: None = every processor this process may use. context: tokens of prompt and answer together,
        None = as trained. kv: type of the key/value cache, "f32", "f16", or "auto" (f32 where all matrices
        are float). isa: instruction-set tier, None = the best this CPU has (see `belle-edge info`).
        memory_check: refuse before loading when weights and cache (of `context`, or of at most 4,096 tokens
        without one) cannot fit into memory. family: one of `belle_edge.prompts.FAMILIES`, whose template, stop strings
        and preset replace the file's. chat_template: Jinja source that replaces the file's or the family's template.

        Raises FileNotFoundError and other OSErrors, ModelFormatError (damaged), UnsupportedModelError (names
        what this engine lacks), InsufficientMemoryError (with the numbers, and what would fit), ValueError (an
        argument out of range), and with llama.cpp BackendError (its
        build does not run here) or BackendMissingError (not installed).
        """
        settings = EngineSettings(threads=threads, context=context, kv=kv, isa=isa)
        ChatFormat.of_file({}, family=family, chat_template=chat_template)  # raises before anything is read
        path = user_path("[model] path", path)
        if path.is_dir():
            raise ValueError(
                f"[model] {path} is a folder: convert it first (belle-edge convert {path} -o model.gguf)"
            )
        if not path.exists():
            raise FileNotFoundError(f"[model] no such file: {path}")
        if (kind := irregular(path)) is not None:
            raise ValueError(f"[model] {path}: expected a GGUF file, found {kind}")
        if memory_check:
            check_memory(path, context=settings.context, kv=kv)
        engine = open_backend(
            backend, path, threads=settings.threads, kv=kv, isa=isa, context=settings.context
        )
        try:
            chat_format = ChatFormat.of_file(engine.metadata, family=family, chat_template=chat_template)
            return cls(engine, path=path, context=settings.context, chat_format=chat_format)
        except BaseException:
            engine.close()
            raise

    @property
    def config(self) -> Mapping[str, Any]:
        """Architecture and shapes: n_layers, n_heads, hidden_size, vocab_size, context_length, …"""
        return self.backend.config

    @property
    def details(self) -> Mapping[str, Any]:
        """How it runs: threads, isa, kv_type, weight_bytes, kv_bytes_per_token, …"""
        return self.backend.details

    @explains_names("tokenize")
    def tokenize(self, text: str, *, add_bos: bool | None = None, parse_special: bool = False) -> list[int]:
        """Ids of `text`. add_bos None: as the file's settings say (these decide on EOS, too). parse_special:
        texts of control tokens, as `</s>`, become those tokens; otherwise they are plain text."""
        return self.tokenizer.encode(text, add_bos=add_bos, parse_special=parse_special)

    @explains_names("detokenize")
    def detokenize(self, ids: Sequence[int]) -> str:
        """Text of `ids`, without control tokens. Raises ValueError for an id outside the vocabulary."""
        return self.tokenizer.decode(ids)

    @explains_names("logits")
    def logits(self, ids: Sequence[int], *, last_only: bool = False) -> NDArray[np.float32]:
        """Next-token logits after each of `ids`: float32 [n_tokens, n_vocab]; last_only: [1, n_vocab].

        n_vocab counts the rows of the output matrix, padding rows included. Raises ValueError for no ids, too
        many, or one out of range.
        """
        ids = token_ids("[logits] ids", ids, most=self.context)
        check_length(ids, self.context)
        sequence = self.backend.new_sequence()
        return self.backend.forward([(sequence, ids)], logits="last" if last_only else "all")[0]

    def close(self) -> None:
        """Release the weights. Any later use raises ValueError."""
        self.backend.close()

    def __enter__(self) -> Belle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Belle({str(self.path)!r})"
