"""GPTQ checkpoints: BELLE's own and AutoGPTQ's."""
