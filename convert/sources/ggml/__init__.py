"""llama.cpp's files from before GGUF, as checkpoints."""
