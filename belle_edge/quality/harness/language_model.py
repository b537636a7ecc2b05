"""A loaded model as lm-eval wants one: its three kinds of requests, answered by our engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window, simple_parse_args_string
from tqdm import tqdm

from ...generation.token_scores import scores_of
from ...model import Belle
from ...settings import integer
from ...text.chat_format import encode_continuation
from .answers import AnswerRequest, answers_of, settings_of
from .histories import rendered
from .model_arguments import belle_of, max_batch_of, own_arguments
from .texts import RequestEncoder

TokenPair = tuple[
    Any, list[int], list[int]
]  # the texts of a request, or None; ids of context and continuation


class BelleLM(TemplateLM):  # type: ignore[misc]
    """`lm_eval.simple_evaluate(model=BelleLM(belle), …)`. Tokens, truncation and results are as those of lm-eval's own
    `hf` model; beginnings that requests share are computed once."""

    def __init__(
        self,
        model: Belle,
        *,
        max_length: int | None = None,
        max_gen_toks: int = 256,
        add_bos_token: bool | None = None,
        prefix_token_id: int | None = None,
        batch_size: int | str | None = None,
    ) -> None:
        """max_length: tokens of a request, None: the model's context. max_gen_toks: of answers whose task does not say.
        add_bos_token: whether texts begin with BOS, None: as the file says. prefix_token_id: stands for an empty
        context, None: BOS, else EOS. batch_size: answers that are written at a time, "auto" or None: 16.

        ValueError for a value out of range.
        """
        super().__init__()
        self.model = model
        self.max_length = (
            model.context
            if max_length is None
            else integer("[harness] max_length", max_length, low=1, high=model.context)
        )
        self.max_gen_toks = integer("[harness] max_gen_toks", max_gen_toks, low=1)
        self.max_batch = max_batch_of(batch_size)
        self._encoder = RequestEncoder(
            model.tokenizer, add_bos=add_bos_token, prefix_token_id=prefix_token_id
        )

    # ---- made by lm-eval's command

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: Any = None) -> BelleLM:
        """`create_from_arg_obj` of "path=FILE.gguf,threads=2"."""
        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    @classmethod
    def create_from_arg_obj(cls, arg_dict: Mapping[str, Any], additional_config: Any = None) -> BelleLM:
        """Load the file `path`. Arguments are those of `Belle.load` and of this class. Raises what these do, and
        ValueError for an unknown one. The command always names a device, which counts for nothing."""
        general = {name: value for name, value in dict(additional_config or {}).items() if value is not None}
        own = own_arguments(arg_dict)
        if str(general.get("batch_size", 1)) != "1":  # which is the command's default, and would be slow
            own.setdefault("batch_size", general["batch_size"])
        return cls(belle_of(arg_dict), **own)

    def get_model_info(self) -> dict[str, Any]:
        """For the report: which file, by which engine."""
        details = self.model.details
        return {
            "model_file": self.model.path.name,
            "model_architecture": self.model.config["architecture"],
            "model_engine": self.model.backend.name,
            "model_kv_type": details["kv_type"],
        }

    # ---- tokens and texts

    @property
    def eot_token_id(self) -> int:
        """EOS, or what stands for an empty context where there is none."""
        eos = self.model.tokenizer.vocabulary.eos_id
        return self._encoder.prefix_id if eos is None else eos

    @property
    def prefix_token_id(self) -> int:
        """What an empty context consists of."""
        return self._encoder.prefix_id

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """See `RequestEncoder.encode`."""
        return self._encoder.encode(string, add_special_tokens=add_special_tokens)

    def tok_decode(self, tokens: Sequence[int], skip_special_tokens: bool = True) -> str:
        """Text of ids."""
        return self.model.tokenizer.decode(tokens, skip_special=skip_special_tokens)

    @property
    def tokenizer_name(self) -> str:
        """Tells vocabularies apart in lm-eval's cache of requests."""
        vocabulary = self.model.tokenizer.vocabulary
        digest = hashlib.sha256("\0".join([vocabulary.model, *vocabulary.tokens]).encode("utf-8", "replace"))
        return f"belle-edge-{digest.hexdigest()[:16]}"

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The model's template; None where none is wanted. ValueError for a name: a file has one template."""
        if isinstance(chat_template, str):
            raise ValueError(
                f"[harness] chat template '{chat_template}': a GGUF file has one template without a name; write "
                "--apply_chat_template alone"
            )
        return self.model.chat_format.template if chat_template else None

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The text of a history, see `rendered`."""
        return rendered(
            self.model.chat_format,
            self.model.tokenizer,
            chat_history,
            add_generation_prompt=add_generation_prompt,
        )

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Ids of both, from those of the text that they make together.

        Where the end of the context and the whole continuation make one token, `hf` gives up. Here the continuation is
        encoded by itself then, as a model that was given the context writes it.
        """
        first, second = super()._encode_pair(context, continuation)
        return first, second or encode_continuation(self.model.tokenizer, continuation)

    # ---- requests

    def _loglikelihood_tokens(
        self, requests: Sequence[TokenPair], disable_tqdm: bool = False, **kwargs: Any
    ) -> list[tuple[float, bool]]:
        """(log-probability, whether greedy decoding writes it) of each continuation."""
        found: list[Any] = [None] * len(requests)
        pairs = [self._fitting(context, continuation) for _, context, continuation in requests]
        with tqdm(total=len(requests), disable=disable_tqdm, desc="Running loglikelihood requests") as bar:
            for index, scores in scores_of(self.model, pairs):
                found[index] = (scores.total, scores.is_greedy)
                if requests[index][0] is not None:
                    self.cache_hook.add_partial("loglikelihood", requests[index][0], found[index])
                bar.update()
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-probability of each whole text, in windows of `max_length` tokens that follow each other."""
        windows = [self._windows(text) for (text,) in (request.args for request in requests)]
        places = [index for index, several in enumerate(windows) for _ in several]
        missing = [len(several) for several in windows]
        totals = [0.0] * len(requests)
        with tqdm(
            total=len(places), disable=disable_tqdm, desc="Running loglikelihood_rolling requests"
        ) as bar:
            for window, scores in scores_of(self.model, [pair for several in windows for pair in several]):
                index = places[window]
                totals[index] += scores.total
                missing[index] -= 1
                if not missing[index]:
                    self.cache_hook.add_partial("loglikelihood_rolling", requests[index].args, totals[index])
                bar.update()
        return totals

    def _windows(self, text: str) -> list[tuple[list[int], list[int]]]:
        """Pairs of a context and the tokens to score after it: each token of `text` once."""
        pairs = get_rolling_token_windows(
            token_list=self.tok_encode(text),
            prefix_token=self.prefix_token_id,
            max_seq_len=self.max_length,
            context_len=1,
        )
        return [make_disjoint_window(pair) for pair in pairs]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """The answer to each context, without the text that ended it."""
        texts: list[Any] = [None] * len(requests)
        eos_text = self.tok_decode([self.eot_token_id], skip_special_tokens=False)
        asked = [
            AnswerRequest(
                self.tok_encode(context) or [self.prefix_token_id],
                settings_of(given, default_max_tokens=self.max_gen_toks, eos_text=eos_text),
            )
            for context, given in (request.args for request in requests)
        ]
        answers = answers_of(self.model, asked, context=self.max_length, max_batch=self.max_batch)
        with tqdm(total=len(requests), disable=disable_tqdm, desc="Running generate_until requests") as bar:
            for index, text in answers:
                texts[index] = text
                self.cache_hook.add_partial("generate_until", requests[index].args, text)
                bar.update()
        return texts

    def _fitting(self, context: list[int], continuation: list[int]) -> tuple[list[int], list[int]]:
        """Both within `max_length`: what is too much leaves at the beginning of the context."""
        if not continuation:
            raise ValueError("[harness] a continuation is empty: there is nothing to score")
        if len(continuation) > self.max_length:
            raise ValueError(
                f"[harness] a continuation has {len(continuation)} tokens, max_length is {self.max_length}"
            )
        room = self.max_length + 1 - len(continuation)  # the last token is not fed
        return (context or [self.prefix_token_id])[-room:], continuation
