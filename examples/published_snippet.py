"""BELLE's published example with one line changed: the import. A GGUF file, a checkpoint folder or a hub id works.

python examples/published_snippet.py BelleGroup/BELLE-7B-2M "用一句话介绍北京。"
"""

from __future__ import annotations

import sys

from belle_edge.hf import AutoModelForCausalLM, AutoTokenizer  # was: from transformers import …


def main(name: str, question: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForCausalLM.from_pretrained(name)
    text = f"Human: {question}\n\nAssistant:"
    inputs = tokenizer(text, return_tensors="pt")
    outputs = model.generate(**inputs, max_length=100)
    print(tokenizer.decode(outputs[0]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
