"""Texts that files are measured on: records with their language and place, windows of running text, what is scored."""
