"""Perplexity with its error, by the rule of llama.cpp's tool llama-perplexity, on either engine."""
