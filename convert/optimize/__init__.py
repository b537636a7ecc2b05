"""Types and rounding chosen by what they do to a model's answers."""
