"""What people read, in their language: 中文, English, Español.

The English texts are the message ids, with `{name}` for what is filled in. `t` and `tn` translate where a text is
shown, `said` a message that is made already; `msg` marks what is made elsewhere. Errors stay English until
`Translator.error` shows them.
"""

from __future__ import annotations

from .choice import LANGUAGES, chosen
from .current import current_translator, msg, said, t, tn, use_language
from .translator import Translator, catalogue, translator

__all__ = [
    "LANGUAGES",
    "Translator",
    "catalogue",
    "chosen",
    "current_translator",
    "msg",
    "said",
    "t",
    "tn",
    "translator",
    "use_language",
]
