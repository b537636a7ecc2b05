"""Quality measures: how far a quantized model's predictions are from the original's."""
