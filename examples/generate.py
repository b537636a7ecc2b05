"""Answer one question: python examples/generate.py MODEL.gguf "用一句话介绍北京。" """

import sys

from belle_edge import Belle

with Belle.load(sys.argv[1]) as model:
    answer = model.generate(sys.argv[2], max_tokens=128)
    print(answer.text)
    print(f"{answer.completion_tokens} tokens, ended by {answer.finish_reason}", file=sys.stderr)
