"""Arguments of transformers' from_pretrained: which change nothing here, and which are refused."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any

from ..argument_names import OTHER_NAMES, unknown_argument
from ..errors import excerpt

# Where the weights lie, how they are read, and by which code: the model is on the CPU, in its file's types.
SAME_ANSWER = frozenset(
    (
        *("device_map", "low_cpu_mem_usage", "use_safetensors", "attn_implementation", "trust_remote_code"),
        *("offload_folder", "offload_state_dict", "offload_buffers", "max_memory", "tp_plan", "use_cache"),
        *("use_fast", "legacy", "use_flash_attention_2", "resume_download", "weights_only", "tp_size"),
        *("device_mesh", "ignore_mismatched_sizes", "return_unused_kwargs", "experts_implementation"),
    )
)
DTYPES = ("dtype", "torch_dtype")
# What would make another model or another download -> the values that ask for nothing.
REFUSED: Mapping[str, tuple[Any, ...]] = {
    "config": (),
    "state_dict": (),
    "subfolder": ("",),
    "variant": (),
    "quantization_config": (),
    "adapter_kwargs": (),
    "adapter_name": (),
    "output_loading_info": (False,),
    "output_attentions": (False,),
    "output_hidden_states": (False,),
    "from_tf": (False,),
    "from_flax": (False,),
    "code_revision": (),
    "tokenizer_type": (),
    "bos_token": (),
    "eos_token": (),
    "unk_token": (),
    "additional_special_tokens": (),
    "add_bos_token": (),
    "add_eos_token": (),
    "add_prefix_space": (),
    "split_special_tokens": (False,),
    "clean_up_tokenization_spaces": (False,),
    # The hub is asked as its own tools are told to: HF_TOKEN, HF_HOME, HF_HUB_OFFLINE, HF_ENDPOINT.
    "token": (False,),
    "use_auth_token": (False,),
    "cache_dir": (),
    "local_files_only": (False,),
    "force_download": (False,),
    "proxies": (),
    "mirror": (),
}
_ADVICE = {
    "token": "set HF_TOKEN, or log in with `hf auth login`",
    "use_auth_token": "set HF_TOKEN, or log in with `hf auth login`",
    "cache_dir": "set HF_HOME for downloads, and BELLE_CACHE for conversions",
    "local_files_only": "set HF_HUB_OFFLINE=1",
    "proxies": "set HTTPS_PROXY",
    "quantization_config": "write quantization='q8_0' or 'q4_0'",
    "subfolder": "name the folder itself",
    "adapter_kwargs": "merge the adapter: belle-edge convert --lora",
}


def check_loading(who: str, others: Mapping[str, Any], known: Collection[str]) -> None:
    """ValueError for an argument that is refused, or that nobody knows; `known` are the function's own."""
    every = {*known, *SAME_ANSWER, *DTYPES, *REFUSED}
    for name, value in others.items():
        if name not in every:
            raise unknown_argument(who, name, every, others=_translated(known))
        if name in REFUSED and value is not None and value not in REFUSED[name]:
            advice = _ADVICE.get(name, "leave it out, or run the original checkpoint with transformers")
            raise ValueError(f"[{who}] {name}={excerpt(value)} is not implemented here: {advice}")


def _translated(known: Collection[str]) -> Mapping[str, str]:
    """Other libraries' names for what loading takes here."""
    if "context" not in known:
        return {}
    return {
        name: told.replace("Belle.load(path, ", "from_pretrained(name, ")
        for name, told in OTHER_NAMES.items()
    }


def warn_of_types(dtype: Any, type: str) -> None:
    """A warning where a type of floats is asked for and the default, a quantized one, is used."""
    if dtype is not None and str(dtype) != "auto":
        name = str(dtype).removeprefix("torch.")
        warnings.warn(
            f"from_pretrained: dtype={name} does not choose the weights' type, which is {type}: "
            "quantization='f32', 'f16' or 'bf16' keeps floats",
            stacklevel=3,
        )
