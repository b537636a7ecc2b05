"""`belle-edge serve`: an endpoint on this computer that speaks OpenAI's and Ollama's interfaces.

Everything here needs the extra `server`; nobody imports it before it is used.
"""
