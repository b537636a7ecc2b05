"""The most probable next tokens after a text: python examples/logits.py MODEL.gguf "今天天气" """

import sys

import numpy as np

from belle_edge import Belle

with Belle.load(sys.argv[1]) as model:
    logits = model.logits(model.tokenize(sys.argv[2]), last_only=True)[0]  # [n_vocab]
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    for token_id in np.argsort(-probabilities)[:5]:
        print(f"{probabilities[token_id]:.3f}  {model.detokenize([int(token_id)])!r}")
