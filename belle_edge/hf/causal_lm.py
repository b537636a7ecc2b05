"""A model with the interface of transformers' causal language models, on a backend of this package."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..backends import open_backend
from ..errors import excerpt
from ..settings import EngineSettings
from .array_tensors import TensorKind, is_torch, make_tensor, torch_or_none
from .decoding import Record, decode_steps, start_rows
from .generation_config import GenerationConfig
from .logits import Hooks, LogitsPipeline, Shape
from .model_outputs import GenerateOutput, ModelConfig, ModelOutput
from .padded_rows import check_positions, check_prompt, spans, token_rows

_log = logging.getLogger(__name__)
_FORWARD_WITHOUT_EFFECT = {"use_cache", "token_type_ids"}
_FORWARD_ONLY_FALSE = {"output_attentions", "output_hidden_states"}  # the default, as programs spell it out


class HfModel:
    """A loaded GGUF file. Everything is on the CPU; weights keep the file's types whatever `.half()` says."""

    def __init__(
        self,
        path: Path,
        *,
        generation_config: Mapping[str, Any] | None = None,
        name_or_path: str = "",
        backend: str = "native",
        threads: int | None = None,
        context: int | None = None,
        kv: str = "auto",
        isa: str | None = None,
    ) -> None:
        """generation_config: the source's generation_config.json; without one EOS, BOS and padding are the
        file's. The other arguments, and what is raised: as for `Belle.load`.
        """
        settings = EngineSettings(threads=threads, context=context, kv=kv, isa=isa)
        self._backend = open_backend(
            backend, path, threads=settings.threads, kv=kv, isa=isa, context=settings.context
        )
        try:
            self.context = settings.context_of(int(self._backend.config["context_length"]))
        except ValueError:
            self._backend.close()
            raise
        self._tokenizer = self._backend.tokenizer()
        vocabulary = self._tokenizer.vocabulary
        self.name_or_path = name_or_path or str(path)
        stated = dict(generation_config or {})
        self._generation_config = GenerationConfig.from_dict(
            {
                "bos_token_id": vocabulary.bos_id,
                "eos_token_id": sorted(vocabulary.end_ids) or None,
                "pad_token_id": vocabulary.padding_id,
                **{key: value for key, value in stated.items() if value is not None},
            }
        )
        shapes = self._backend.config
        self.config = ModelConfig(
            model_type=shapes["architecture"],
            vocab_size=shapes["vocab_size"],
            hidden_size=shapes["hidden_size"],
            intermediate_size=shapes["feed_forward_size"],
            num_hidden_layers=shapes["n_layers"],
            num_attention_heads=shapes["n_heads"],
            num_key_value_heads=shapes["n_kv_heads"],
            max_position_embeddings=shapes["context_length"],
            bos_token_id=vocabulary.bos_id,
            eos_token_id=vocabulary.eos_id,
            pad_token_id=vocabulary.padding_id,
            is_encoder_decoder=False,
            use_cache=True,
            name_or_path=self.name_or_path,
        )

    @property
    def generation_config(self) -> GenerationConfig:
        """Settings of `generate` where a call states none. May be replaced, also by transformers' own."""
        return self._generation_config

    @generation_config.setter
    def generation_config(self, config: Any) -> None:
        if not isinstance(config, Mapping) and not hasattr(config, "to_dict"):
            raise ValueError(f"[model] generation_config: expected a GenerationConfig, got {excerpt(config)}")
        self._generation_config = GenerationConfig.from_dict(
            config if isinstance(config, Mapping) else config.to_dict()
        )

    def can_generate(self) -> bool:
        return True

    # ---- what scripts call on a torch module ----------------------------------------------------------------

    def eval(self) -> HfModel:
        return self

    def to(self, *args: Any, **options: Any) -> HfModel:
        """Itself: the model stays on the CPU, in the types of its file."""
        if args or options:
            _log.debug("model.to%s: no effect, the model runs on the CPU in its file's types", args)
        return self

    cuda = cpu = half = float = bfloat16 = requires_grad_ = to

    @property
    def device(self) -> Any:
        """torch.device("cpu"), or "cpu" in a program that does not use torch."""
        torch = sys.modules.get("torch")
        return "cpu" if torch is None else torch.device("cpu")

    def close(self) -> None:
        """Release the weights."""
        self._backend.close()

    def __enter__(self) -> HfModel:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # ---- a forward pass -------------------------------------------------------------------------------------

    def forward(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        position_ids: Any = None,
        return_dict: bool | None = None,
        **options: Any,
    ) -> ModelOutput | tuple[Any]:
        """Next-token logits of every position; zeros where the mask hides one.

        input_ids, attention_mask: [n_rows, n_tokens]. position_ids: may state what follows from the mask.
        return_dict False: the logits as the only entry of a tuple. ValueError for ids out of range, a hole in the
        mask, more tokens than the context, or arguments this engine has no use for.
        """
        unknown = sorted(
            name
            for name in options.keys() - _FORWARD_WITHOUT_EFFECT
            if options[name] is not None and not (name in _FORWARD_ONLY_FALSE and options[name] is False)
        )
        if unknown:
            raise ValueError(
                f"[model] argument '{unknown[0]}' is not implemented by this engine: leave it out, "
                "or run the original checkpoint with transformers"
            )
        rows = token_rows(input_ids)
        visible = spans(rows, attention_mask, pad_id=None)
        check_positions(position_ids, visible)
        for row, (start, end) in zip(rows, visible, strict=True):
            check_prompt(row[start:end], self.context)
        batch = [
            (self._backend.new_sequence(), row[start:end])
            for row, (start, end) in zip(rows, visible, strict=True)
        ]
        parts = self._backend.forward(batch, logits="all")
        logits = np.zeros((len(rows), len(rows[0]), parts[0].shape[1]), np.float32)
        for index, ((start, end), part) in enumerate(zip(visible, parts, strict=True)):
            logits[index, start:end] = part
        output = ModelOutput(make_tensor(logits, _kind_of(input_ids)))
        return (output.logits,) if return_dict is False else output

    __call__ = forward

    # ---- generation -----------------------------------------------------------------------------------------

    def generate(
        self,
        inputs: Any = None,
        generation_config: Any = None,
        *,
        input_ids: Any = None,
        attention_mask: Any = None,
        position_ids: Any = None,
        streamer: Any = None,
        logits_processor: Sequence[Any] | None = None,
        stopping_criteria: Sequence[Any] | None = None,
        **settings: Any,
    ) -> Any:
        """Prompts with their answers: int64 [n_rows, n_tokens], finished rows filled with the padding token.

        inputs or input_ids: [n_rows, n_tokens], padded on either side as attention_mask says (without one,
        padding tokens count as padding); none: an answer to BOS. position_ids: may state what follows from the
        mask. generation_config: any object with to_dict,
        or a dict; settings: single ones by name (max_length, max_new_tokens, do_sample, temperature, top_k,
        top_p, repetition_penalty, seed, …); None takes one of the model's own back. Greedy unless do_sample.
        Unlike in transformers padding never counts for the repetition penalty, so each row gets the answer it would
        get alone.

        streamer: gets the prompt, then each new token, by put(), and end(). Raises ValueError for settings
        unknown, out of range or not implemented (docs/HF.md lists them), a hole in the mask, and a prompt that is
        empty or too long. Warns of settings that change nothing.
        """
        config = self.generation_config.merged(generation_config, settings)
        given = inputs if input_ids is None else input_ids
        if isinstance(given, Mapping) or hasattr(given, "input_ids"):  # a whole BatchEncoding
            given, attention_mask = given["input_ids"], given["attention_mask"]
        if given is None:
            if config.bos_token_id is None:
                raise ValueError("[generate] no input_ids, and the vocabulary has no BOS token to start from")
            given = [[config.bos_token_id]]
        kind, rows = _kind_of(given), token_rows(given)
        pad_id = config.pad_token_id if config.pad_token_id not in config.eos_ids else None
        visible = spans(rows, attention_mask, pad_id=pad_id)
        check_positions(position_ids, visible)
        prompts = [row[start:end] for row, (start, end) in zip(rows, visible, strict=True)]
        for prompt in prompts:
            check_prompt(prompt, self.context)
        n_width = len(rows[0])
        n_limit = config.length_limit(n_width, self.context)
        n_steps = n_limit - n_width
        n_room = self.context + 1 - max(map(len, prompts))  # the last token need not be fed
        if n_steps > n_room:
            warnings.warn(
                f"generate: the context of {self.context} tokens ends before max_length", stacklevel=2
            )
            n_steps = n_room

        hooks = Hooks(tuple(logits_processor or ()), tuple(stopping_criteria or ()), kind)
        shape = Shape(
            n_width=n_width,
            n_limit=n_limit,
            n_free=config.first_free_length(n_width),
            n_copies=config.num_return_sequences or 1,
            n_vocab=int(self._backend.config["vocab_size"]),
        )
        pipeline, record = LogitsPipeline(config, hooks, shape), Record()
        answers = start_rows(self._backend, self._tokenizer, prompts, config, plain=not pipeline.needed)
        if streamer is not None:
            streamer.put(make_tensor(rows, kind))
        columns = []
        for tokens in decode_steps(
            self._backend,
            answers,
            config,
            hooks,
            pipeline,
            n_steps=n_steps,
            record=record,
        ):
            columns.append([config.padding_id if token is None else token for token in tokens])
            if streamer is not None:
                streamer.put(make_tensor(columns[-1], kind))
        if streamer is not None:
            streamer.end()

        n_copies = len(answers) // len(rows)
        whole = [[*rows[i // n_copies], *(column[i] for column in columns)] for i in range(len(answers))]
        sequences = make_tensor(whole, kind)
        if not config.return_dict_in_generate:
            return sequences
        return GenerateOutput(
            sequences,
            tuple(make_tensor(step, kind) for step in record.scores) if config.output_scores else None,
            tuple(make_tensor(step, kind) for step in record.logits) if config.output_logits else None,
        )


def _kind_of(ids: Any) -> TensorKind:
    """Results come as the input came: torch for tensors and (where installed) lists, arrays for arrays."""
    if is_torch(ids):
        return "pt"
    return "np" if isinstance(ids, np.ndarray) or torch_or_none() is None else "pt"
