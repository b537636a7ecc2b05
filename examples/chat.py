"""A dialogue whose turns compute their own tokens only: python examples/chat.py MODEL.gguf 问题 问题 …"""

import sys

from belle_edge import Belle

with Belle.load(sys.argv[1]) as model:
    conversation = model.conversation(max_tokens=128, overflow="slide", seed=1)
    for question in sys.argv[2:]:
        answer = conversation.say(question)
        print(f"> {question}\n{answer}")
        print(f"{answer.prefilled_tokens} of {answer.prompt_tokens} prompt tokens were new", file=sys.stderr)
