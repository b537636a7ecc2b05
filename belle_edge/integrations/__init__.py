"""This package inside others: a chat model of LangChain, a plugin of `llm`, answers for columns of pandas.

Each file needs the package it is made for, which an extra of the same name brings; nothing here is imported by others.
"""
