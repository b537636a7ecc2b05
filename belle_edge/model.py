"""`Belle`: load a GGUF file, write text with it, look at its tokens and logits."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .backends import open_backend
from .chat_format import ChatFormat
from .errors import ModelFormatError
from .generation import Generation, Stream, check_length
from .sampling import SamplingParams, resolve
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray

    from .backends.base import Backend


class Belle:
    """A loaded model. One model serves several Python threads: every call has its own sequence.

    with Belle.load("belle.gguf") as model:
        print(model.generate("用一句话介绍北京。"))
    """

    def __init__(self, backend: Backend, *, path: Path, context: int | None = None) -> None:
        """Use `Belle.load`. Takes over `backend`.

        ModelFormatError where tokenizer and weights do not match, ValueError for a context out of range.
        """
        self._backend = backend
        self.path = path
        self.tokenizer = Tokenizer.from_metadata(backend.metadata)
        self.chat_format = ChatFormat.from_metadata(backend.metadata)
        n_rows = int(backend.config["vocab_size"])
        if len(self.tokenizer) != n_rows:
            raise ModelFormatError(
                f"[model] {path.name}: {len(self.tokenizer)} tokens, but {n_rows} rows in the output matrix"
            )
        trained = int(backend.config["context_length"])
        self.context = trained if context is None else context  # tokens of prompt and answer together
        if not 1 <= self.context <= trained:
            raise ValueError(
                f"[model] context: expected 1 to {trained} tokens (the model's own), got {context}"
            )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        backend: str = "native",
        threads: int | None = None,
        context: int | None = None,
        kv: str = "auto",
        isa: str | None = None,
    ) -> Belle:
        """Load a GGUF file of architecture bloom or llama.

        threads: None = every processor this process may use. context: tokens of prompt and answer together,
        None = as trained. kv: type of the key/value cache, "f32", "f16", or "auto" (f32 where all matrices
        are float). isa: instruction-set tier, None = the best this CPU has (see `belle-edge info`).

        Raises FileNotFoundError and other OSErrors, ModelFormatError (damaged), UnsupportedModelError (names
        what this engine lacks), ValueError (an argument out of range).
        """
        path = Path(path)
        if path.is_dir():
            raise ValueError(
                f"[model] {path} is a folder: convert it first (belle-edge convert {path} -o model.gguf)"
            )
        if not path.exists():
            raise FileNotFoundError(f"[model] no such file: {path}")
        if threads is not None and threads < 1:
            raise ValueError(f"[model] threads: expected at least 1, got {threads}")
        engine = open_backend(backend, path, threads=threads, kv=kv, isa=isa)
        try:
            return cls(engine, path=path, context=context)
        except BaseException:
            engine.close()
            raise

    @property
    def config(self) -> Mapping[str, Any]:
        """Architecture and shapes: n_layers, n_heads, hidden_size, vocab_size, context_length, …"""
        return self._backend.config

    @property
    def details(self) -> Mapping[str, Any]:
        """How it runs: threads, isa, kv_type, weight_bytes, kv_bytes_per_token, …"""
        return self._backend.details

    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int = 256,
        raw: bool = False,
        params: SamplingParams | None = None,
        **sampling: Any,
    ) -> Generation:
        """Answer a prompt.

        prompt: text, or token ids that are used as they are. max_tokens: of the answer. raw False: the text
        is put into the file's chat template, its sampling preset and its stop strings apply; raw True: none
        of these, the text goes in as it is (with BOS as the tokenizer's settings say) and SamplingParams'
        defaults apply. Both end at EOS and at the end of the context. params, sampling: settings by name, see
        SamplingParams; `params` replaces the preset, single settings change it. `temperature=0` is the plain
        argmax unless penalties are given too.

        Returns the finished Generation. Raises ValueError (a setting out of range, an empty prompt, a prompt
        longer than the context, a broken template) and KeyboardInterrupt within one token.
        """
        stream = self.stream(prompt, max_tokens=max_tokens, raw=raw, params=params, **sampling)
        for _ in stream:
            pass
        return stream.result

    def stream(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int = 256,
        raw: bool = False,
        params: SamplingParams | None = None,
        **sampling: Any,
    ) -> Stream:
        """As `generate`, but piece by piece: iterate, then read `.result`. Never half a character."""
        raw = raw or self._lacks_template(prompt)
        chosen = resolve({} if raw else self.chat_format.preset, params, sampling)
        if not raw:
            chosen = chosen.merged(stop=(*self.chat_format.stop_strings, *chosen.stop))
        return Stream(
            self._backend,
            self.tokenizer,
            self._prompt_ids(prompt, raw=raw),
            chosen,
            max_tokens=max_tokens,
            context=self.context,
        )

    def tokenize(self, text: str, *, add_bos: bool | None = None, parse_special: bool = False) -> list[int]:
        """Ids of `text`. add_bos None: as the file's settings say (these decide on EOS, too). parse_special:
        texts of control tokens, as `</s>`, become those tokens; otherwise they are plain text."""
        return self.tokenizer.encode(text, add_bos=add_bos, parse_special=parse_special)

    def detokenize(self, ids: Sequence[int]) -> str:
        """Text of `ids`, without control tokens. Raises ValueError for an id outside the vocabulary."""
        return self.tokenizer.decode(ids)

    def logits(self, ids: Sequence[int], *, last_only: bool = False) -> NDArray[np.float32]:
        """Next-token logits after each of `ids`: float32 [n_tokens, n_vocab]; last_only: [1, n_vocab].

        n_vocab counts the rows of the output matrix, padding rows included. Raises ValueError for no ids, too
        many, or one out of range.
        """
        check_length(ids, self.context)
        sequence = self._backend.new_sequence()
        return self._backend.forward([(sequence, ids)], logits="last" if last_only else "all")[0]

    def close(self) -> None:
        """Release the weights. Any later use raises ValueError."""
        self._backend.close()

    def __enter__(self) -> Belle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Belle({str(self.path)!r})"

    def _lacks_template(self, prompt: str | Sequence[int]) -> bool:
        """Whether a text prompt cannot be put into a template, because the file has none; warns then."""
        if self.chat_format.template is not None or not isinstance(prompt, str):
            return False
        warnings.warn(
            f"{self.path.name} has no chat template: the prompt goes in as it is (raw=True hides this note)",
            stacklevel=3,
        )
        return True

    def _prompt_ids(self, prompt: str | Sequence[int], *, raw: bool) -> list[int]:
        if not isinstance(prompt, str):
            return [int(token_id) for token_id in prompt]
        if raw:
            return self.tokenizer.encode(prompt, add_eos=False)
        return self.chat_format.encode(self.tokenizer, [{"role": "user", "content": prompt}])
