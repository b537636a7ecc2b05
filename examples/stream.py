"""Print an answer while it is written: python examples/stream.py MODEL.gguf "写一首关于春天的短诗。" """

import sys

from belle_edge import Belle

with Belle.load(sys.argv[1]) as model:
    stream = model.stream(sys.argv[2], max_tokens=128, temperature=0.7, seed=1)
    for piece in stream:  # never half a character
        print(piece, end="", flush=True)
    print(f"\n{stream.result.tokens_per_second:.1f} tokens/s", file=sys.stderr)
