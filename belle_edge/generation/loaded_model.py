"""What writing needs of a loaded model; `Belle` is one."""

from __future__ import annotations

from typing import Protocol

from ..backends.base import Backend
from ..text.chat_format import ChatFormat
from ..text.tokenizer import Tokenizer
from .scheduler import Scheduler


class LoadedModel(Protocol):
    """An engine with the tokenizer and the chat format of its file."""

    backend: Backend  # sequences, forward passes, samplers
    scheduler: Scheduler  # through which all of its answers are written
    tokenizer: Tokenizer
    chat_format: ChatFormat
    context: int  # tokens of prompt and answer together
