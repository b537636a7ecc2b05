"""What writing needs of a loaded model; `Belle` is one."""

from __future__ import annotations

from typing import Protocol

from ..backends.base import Backend
from ..text.chat_format import ChatFormat
from ..text.tokenizer import Tokenizer


class LoadedModel(Protocol):
    """An engine with the tokenizer and the chat format of its file."""

    backend: Backend  # sequences, forward passes, samplers
    tokenizer: Tokenizer
    chat_format: ChatFormat
    context: int  # tokens of prompt and answer together
