"""The demonstration checkpoint's tasks, its training and its measurement; only developers run these."""
