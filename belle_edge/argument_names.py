"""Names of arguments that a function does not have: the nearest of its own, and what to write for other libraries'."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing import ParamSpec

    P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_LENGTH = "write max_tokens=…, the tokens of the answer"
_CONTEXT = "write Belle.load(path, context=…)"
_THREADS = "write Belle.load(path, threads=…)"
_CPU = "leave it out: everything runs on the CPU"
_TYPES = "leave it out: a file keeps its types; belle-edge convert --type chooses them"
_BATCH = "write generate_batch(prompts, max_batch=…)"
_COPIES = "write generate_batch([prompt] * n, seed=…)"
_LOGPROBS = "write top_logprobs=…, the number of most probable tokens to report"
_BANNED = "write banned=[…], ids of tokens that are never chosen"
_STOP = "write stop=[…], texts that end the answer"
_MESSAGES = "write chat(messages)"
_NOT_DONE = "leave it out: this engine has temperature, top_k, top_p and min_p"
_TEMPLATE_ONLY = (
    "generate, stream, astream and generate_batch have it; a chat always goes through the template"
)
_SHAPES = "generate, stream, astream, generate_batch, chat, stream_chat, conversation and its send have it"
_SCHEMA = "write schema=…, a JSON schema or a pydantic model"
_SLIDES = "generate, stream, astream, chat, stream_chat and conversation have it"

# The names of transformers, llama-cpp-python, OpenAI, Ollama and vLLM, and our own where they do not belong.
OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("max_new_tokens", "n_predict", "num_predict", "max_completion_tokens"), _LENGTH),
        **dict.fromkeys(("max_output_tokens", "max_gen_len"), _LENGTH),
        "max_tokens": "it belongs to the call: generate(prompt, max_tokens=…)",
        "max_length": "write max_tokens=…, which counts the answer alone",
        **dict.fromkeys(("n_ctx", "num_ctx", "ctx_size", "max_model_len", "max_seq_len"), _CONTEXT),
        **dict.fromkeys(("context", "context_length", "context_size", "context_window"), _CONTEXT),
        **dict.fromkeys(("n_threads", "num_thread", "num_threads", "n_threads_batch", "threads"), _THREADS),
        **dict.fromkeys(("backend", "kv", "isa"), "it belongs to Belle.load(path, …)"),
        **dict.fromkeys(("type_k", "type_v", "cache_type", "kv_cache_dtype"), "write Belle.load(path, kv=…)"),
        **dict.fromkeys(
            ("model_path", "model", "filename", "gguf"), "the path comes first: Belle.load(path)"
        ),
        **dict.fromkeys(("n_gpu_layers", "num_gpu", "gpu_layers", "main_gpu", "tensor_split"), _CPU),
        **dict.fromkeys(("device", "device_map", "offload_kqv"), _CPU),
        **dict.fromkeys(("dtype", "torch_dtype", "quantization", "load_in_8bit", "load_in_4bit"), _TYPES),
        **dict.fromkeys(("use_mmap", "use_mlock"), "leave it out: weights are always resident, once"),
        **dict.fromkeys(("lora_path", "lora"), "merge it on converting: belle-edge convert --lora"),
        "verbose": "leave it out: the library prints nothing; logging.getLogger('belle_edge') tells more",
        **dict.fromkeys(("repeat_penalty", "repetition_penality", "rep_pen"), "write repetition_penalty=…"),
        **dict.fromkeys(
            ("repeat_last_n", "penalty_last_n"),
            "write penalty_scope='answer' to spare the prompt; 'all' counts everything",
        ),
        "temp": "write temperature=…",
        "do_sample": "leave it out: temperature=0 takes the best token, any other temperature samples",
        **dict.fromkeys(("random_seed", "rng_seed"), "write seed=…"),
        "top_n": "write top_k=… (tokens to choose from), or top_logprobs=… (probabilities to report)",
        **dict.fromkeys(("logprobs", "n_probs", "top_n_tokens", "output_scores"), _LOGPROBS),
        **dict.fromkeys(("stop_strings", "stop_sequences", "stop_words", "stops"), _STOP),
        **dict.fromkeys(("stop_token_ids", "eos_token_id"), "the file says them; " + _STOP),
        **dict.fromkeys(("suppress_tokens", "bad_words_ids", "bad_words"), _BANNED),
        "ignore_eos": "write banned=[model.tokenizer.vocabulary.eos_id]",
        **dict.fromkeys(("n", "num_return_sequences", "best_of"), _COPIES),
        **dict.fromkeys(("batch_size", "n_batch", "max_batch_size", "max_batch", "num_batch"), _BATCH),
        **dict.fromkeys(("messages", "history"), _MESSAGES),
        **dict.fromkeys(
            ("system", "system_prompt", "system_message"),
            "write conversation(system=…), or chat([{'role': 'system', …}, …])",
        ),
        "stream": "write model.stream(prompt)",
        "streamer": "write model.stream(prompt) and iterate over it",
        **dict.fromkeys(("num_keep", "keep"), "write n_keep=…, with overflow='slide'"),
        **dict.fromkeys(("raw", "template"), _TEMPLATE_ONLY),
        **dict.fromkeys(("overflow", "n_keep"), _SLIDES),
        **dict.fromkeys(("schema", "grammar", "regex", "choice"), _SHAPES),
        **dict.fromkeys(("response_format", "format", "json_schema", "guided_json", "json"), _SCHEMA),
        **dict.fromkeys(
            ("guided_choice", "choices"), "write choice=[…], the texts of which the answer is one"
        ),
        **dict.fromkeys(("guided_regex", "pattern"), "write regex=…, for the whole answer"),
        **dict.fromkeys(("guided_grammar", "gbnf"), "write grammar=…, in llguidance's variant of Lark"),
        "progress": "write on_progress=…",
        **dict.fromkeys(
            ("num_beams", "beam_size", "num_beam_groups"), "leave it out: there is no beam search"
        ),
        **dict.fromkeys(("typical_p", "tfs_z", "top_a", "epsilon_cutoff", "eta_cutoff"), _NOT_DONE),
        **dict.fromkeys(("mirostat", "mirostat_mode", "mirostat_tau", "mirostat_eta"), _NOT_DONE),
        "add_special_tokens": "write add_bos=…",
        **dict.fromkeys(("special", "parse_specials"), "write parse_special=…"),
        "skip_special_tokens": "leave it out: control tokens are left out of a text",
        **dict.fromkeys(
            ("max_time", "timeout"), "iterate over model.stream(prompt) and leave it when you like"
        ),
    }
)


def advice(name: str, known: Collection[str], *, others: Mapping[str, str] = OTHER_NAMES) -> str:
    """What to write instead of `name`: " (did you mean 'x'?)", or what another library's name is here."""
    if name in others and name not in known:
        return f": {others[name]}"
    near = get_close_matches(name, known, n=1, cutoff=0.7)
    return f" (did you mean '{near[0]}'?)" if near else ""


def unknown_argument(
    place: str,
    name: str,
    known: Collection[str],
    *,
    noun: str = "argument",
    others: Mapping[str, str] = OTHER_NAMES,
) -> ValueError:
    """The error for an argument that is not among the `known` ones; it lists them."""
    told = advice(name, known, others=others)
    return ValueError(f"[{place}] unknown {noun} '{name}'{told} (known: {', '.join(sorted(known))})")


def explains_names(place: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """For a function without **kwargs: an unknown name is a ValueError that says what to write."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        known = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]

        @wraps(function)
        def checked(*args: P.args, **options: P.kwargs) -> R:
            for name in options:
                if name not in known:
                    raise unknown_argument(place, name, known)
            return function(*args, **options)

        return checked

    return decorate


def explains_fields(place: str) -> Callable[[type[T]], type[T]]:
    """For a class: as `explains_names`, for the arguments that make an object of it."""

    def decorate(cls: type[T]) -> type[T]:
        cls.__init__ = explains_names(place)(cls.__init__)  # type: ignore[method-assign]
        return cls

    return decorate
