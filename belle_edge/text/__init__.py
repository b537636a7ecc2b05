"""Text and tokens: vocabularies, encoders, prompts, chat templates, and text that is shown."""
