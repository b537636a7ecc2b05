"""The processes in which engines are measured, each with its own memory.

measured_llama.py is run by any Python that has llama_cpp and NumPy: it and loop.py import nothing else of this package.
"""
