"""What a comparison does unless told otherwise, and the names of its stages: the command's help needs no more."""

DEFAULT_TOKENS, DEFAULT_WORST, DEFAULT_ANSWER = 16384, 5, 24
LAYERS, LOGITS, ANSWERS = "layers", "next tokens", "answers"  # what a comparison goes through
