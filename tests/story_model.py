"""A random LLaMA with a vocabulary for English stories, made on the spot: grouped queries, a context of 512.

Greedy text is readable pieces of words and never ends: the rows of the head for bytes and control tokens are tiny.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

VOCAB_SIZE, N_HEADS, N_KV_HEADS = 512, 8, 4
N_UNSPOKEN = 3 + 256  # <unk>, <s>, </s> and one token for each byte
CORPUS = """
Once upon a time, there was a little girl named Lily. She loved to play outside with her friends.
One day Lily went to the park and saw a big red ball under a tree. "Can I have it?" she asked her mom.
The dog wanted the ball too, so he ran after it and barked. The sun was warm and the sky was very blue.
A small bird sat on the fence and sang a happy song. Everyone stopped to listen to what it had to say.
Tom was sad because his toy car was broken. His dad said, "Don't worry, we can fix it together."
They took some glue and a piece of wood, and after a while the wheels could turn again. Tom smiled.
In the evening the children came home. They were hungry and tired, but they had many stories to tell.
The cat slept near the window. It dreamed of fish, of milk and of a long walk through the green garden.
"""


@dataclass(frozen=True)
class Size:
    n_layers: int = 5
    hidden: int = 64
    feed_forward: int = 172
    context: int = 512


SMALL = Size()
LARGE = Size(n_layers=8, hidden=512, feed_forward=1376, context=2048)  # 90 MiB as f32: work and memory show


def write_story_model(folder: Path, size: Size = SMALL) -> Path:
    """A checkpoint as Hugging Face publishes them; the same bytes each time. Returns `folder`."""
    folder.mkdir(parents=True)
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_act": "silu",
        "vocab_size": VOCAB_SIZE,
        "hidden_size": size.hidden,
        "num_hidden_layers": size.n_layers,
        "num_attention_heads": N_HEADS,
        "num_key_value_heads": N_KV_HEADS,
        "head_dim": size.hidden // N_HEADS,
        "intermediate_size": size.feed_forward,
        "max_position_embeddings": size.context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    specials = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = {
        **specials,
        "add_bos_token": True,
        "add_eos_token": False,
        "tokenizer_class": "LlamaTokenizer",
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "generation_config.json").write_text(json.dumps({"bos_token_id": 1, "eos_token_id": 2}))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    vocabulary = train_sentencepiece(
        CORPUS.strip().splitlines(), VOCAB_SIZE, coverage=1.0
    )  # letters or one mark each
    (folder / "tokenizer.model").write_bytes(vocabulary)
    save_file(_weights(size), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def train_sentencepiece(sentences: Iterable[str], vocab_size: int, *, coverage: float) -> bytes:
    """A SentencePiece BPE model with byte fallback; coverage: the share of characters that get tokens."""
    import sentencepiece

    output = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=output,
        vocab_size=vocab_size,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        character_coverage=coverage,
        minloglevel=2,
    )
    return output.getvalue()


def _weights(size: Size) -> dict[str, NDArray[np.float32]]:
    hidden, feed_forward = size.hidden, size.feed_forward
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCAB_SIZE, hidden),
        "lm_head.weight": (VOCAB_SIZE, hidden),
        "model.norm.weight": (hidden,),
    }
    kv_width = hidden // N_HEADS * N_KV_HEADS
    widths = {"q": hidden, "k": kv_width, "v": kv_width, "o": hidden}
    for layer in range(size.n_layers):
        block = f"model.layers.{layer}"
        shapes |= {f"{block}.{name}_layernorm.weight": (hidden,) for name in ("input", "post_attention")}
        shapes |= {f"{block}.self_attn.{name}_proj.weight": (width, hidden) for name, width in widths.items()}
        shapes |= {f"{block}.mlp.{name}_proj.weight": (feed_forward, hidden) for name in ("gate", "up")}
        shapes[f"{block}.mlp.down_proj.weight"] = (hidden, feed_forward)
    random = np.random.default_rng(4)
    weights = {}
    for name, shape in shapes.items():
        weights[name] = random.standard_normal(size=shape, dtype=np.float32) * np.float32(1.2 * hidden**-0.5)
        if len(shape) == 1:
            weights[name] += 1
    weights["lm_head.weight"][:N_UNSPOKEN] *= 0.05  # no zeros: equal logits have no order
    return weights
