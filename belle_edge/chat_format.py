"""How one GGUF file wants to be asked: chat template, stop strings and sampling preset from its metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .errors import ModelFormatError
from .prompts import FAMILIES, Message, render
from .sampling import SamplingParams
from .tokenizer import Tokenizer
from .vocabulary import Metadata

_PRESET_KEYS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
_GUARDS = tuple(chr(code) for code in range(0xFDD0, 0xFDF0))  # Unicode's noncharacters: never part of a text


@dataclass(frozen=True)
class ChatFormat:
    """What generating without `raw` adds to a prompt."""

    template: str | None = None  # Jinja source
    family: str | None = None  # one of prompts.FAMILIES, if the file names it
    stop_strings: tuple[str, ...] = ()
    preset: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_metadata(cls, metadata: Metadata) -> ChatFormat:
        """Read `tokenizer.chat_template` and `belle.*`; what the file leaves out comes from its family.

        Raises ModelFormatError for a preset or stop string that is out of range.
        """
        name = metadata.get("belle.family")
        family = FAMILIES.get(name) if isinstance(name, str) else None
        stored = {key: metadata.get(f"belle.sampling.{key}") for key in _PRESET_KEYS}
        preset = {key: _short(value) for key, value in stored.items() if value is not None}
        stops = metadata.get("belle.stop_strings")
        if family is not None:
            preset = preset or dict(family.preset)
            stops = family.stop_strings if stops is None else stops
        try:
            checked = SamplingParams(stop=() if stops is None else stops).merged(**preset)
        except (TypeError, ValueError) as error:
            raise ModelFormatError(f"[chat format] belle.* metadata: {error}") from error
        template = metadata.get("tokenizer.chat_template") or (family.chat_template if family else None)
        return cls(template=template, family=name, stop_strings=tuple(checked.stop), preset=preset)

    def encode(self, tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
        """Ids of the prompt for the next answer. Control tokens come from the template only, never from a
        message.

        Raises ValueError for malformed messages, and when there is no template or it is broken.
        """
        if self.template is None:
            raise ValueError("[chat format] this file has no chat template; use raw=True")
        joined = "".join([str(message.get("content")) for message in messages])
        guard = next((char for char in _GUARDS if char not in joined and char not in self.template), None)
        if guard is None:
            raise ValueError(
                "[chat format] the messages use every Unicode noncharacter from U+FDD0 to U+FDEF"
            )
        shielded = [_shielded(message, tokenizer, guard) for message in messages]
        bos = tokenizer.bos_token
        text = render(self.template, shielded, bos_token=bos, eos_token=tokenizer.eos_token)
        add_bos = False if bos and text.startswith(bos) else None
        return tokenizer.encode(text, add_bos=add_bos, add_eos=False, parse_special=True, guard=guard)


def _short(value: float) -> float:
    """A float32 of the file as the decimal number that was meant: 0.35, not 0.3499999940395355."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _shielded(message: Message, tokenizer: Tokenizer, guard: str) -> Message:
    content = message.get("content")
    return {**message, "content": tokenizer.shield(content, guard)} if isinstance(content, str) else message
