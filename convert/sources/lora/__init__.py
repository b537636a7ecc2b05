"""PEFT's LoRA adapters, merged into a checkpoint while it is read."""
