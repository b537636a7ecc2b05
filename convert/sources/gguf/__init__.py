"""GGUF files as sources: tensors whose values are taken anew, and metadata that is copied."""
