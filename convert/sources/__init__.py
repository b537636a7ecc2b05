"""Where checkpoints come from: one file per published form, all giving a `Checkpoint` (see checkpoint.py)."""
