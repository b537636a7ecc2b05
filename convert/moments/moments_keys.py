"""Names in a file of moments: llama.cpp's for what its tools read, ours for the rest."""

from __future__ import annotations

VERSION = 1
ENERGY_SUFFIX, COUNT_SUFFIX = ".in_sum2", ".counts"  # behind a matrix's name: sums of squares, tokens
MOMENTS_SUFFIX = ".moments"  # behind the name of a group of matrices that share an input
DATASETS, CHUNK_COUNT, CHUNK_SIZE = "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"
OURS = "belle.moments."
GROUPS = f"{OURS}groups"  # "GROUP MATRIX MATRIX …" for each group, names without ".weight"
CHUNK_TOKENS = 512  # the longest text, and what llama.cpp calls a chunk
