"""How fast a model runs here, next to the limits of this machine and, if wanted, next to llama.cpp."""
