"""Jinja chat templates from model files, rendered as transformers renders them, within bounds.

A template is a stranger's program. `rendering.py` runs it; every operation of it passes `environment.py`, which
charges a `limits.Budget` before anything large is made.
"""
