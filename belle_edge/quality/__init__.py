"""What rounding costs: a file compared with its original, perplexity, tasks; above the models and the converter."""
