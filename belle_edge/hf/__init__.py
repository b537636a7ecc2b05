"""transformers' interface for scripts that already use it: only the import changes.

    from belle_edge.hf import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name)  # a GGUF file, a checkpoint folder, or a hub id
    model = AutoModelForCausalLM.from_pretrained(name)
    inputs = tokenizer("你好", return_tensors="pt")
    outputs = model.generate(**inputs, max_length=100)
    print(tokenizer.decode(outputs[0]))

Defaults are transformers': greedy, special tokens in decoded text, `max_length` counts the prompt. Tensors are
torch's where torch is installed, else NumPy arrays that behave alike for this use.
"""

from __future__ import annotations

from .auto import AutoModelForCausalLM, AutoTokenizer
from .causal_lm import HfModel
from .encoding import BatchEncoding
from .generation_config import GenerationConfig
from .pretrained_tokenizer import HfTokenizer
from .streamers import TextStreamer, set_seed

__all__ = [
    "AutoModelForCausalLM",
    "AutoTokenizer",
    "BatchEncoding",
    "GenerationConfig",
    "HfModel",
    "HfTokenizer",
    "TextStreamer",
    "set_seed",
]
