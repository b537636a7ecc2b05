"""How one GGUF file wants to be asked: chat template, stop strings and sampling preset from its metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import ModelFormatError, excerpt
from ..sampling import SamplingParams
from .prompts import FAMILIES, Message, render
from .tokenizer import Tokenizer
from .vocabulary import Metadata

_PRESET_KEYS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
_GUARDS = tuple(chr(code) for code in range(0xFDD0, 0xFDF0))  # Unicode's noncharacters: never part of a text
_ANCHORS = ("\x01", "\n", "a")  # texts to encode a continuation behind; the first is in hardly any token


@dataclass(frozen=True)
class ChatFormat:
    """What generating without `raw` adds to a prompt."""

    template: str | None = None  # Jinja source
    family: str | None = None  # one of prompts.FAMILIES, if the file names it
    stop_strings: tuple[str, ...] = ()
    preset: Mapping[str, float] = field(default_factory=dict)
    add_bos: bool | None = None  # whether prompts start with BOS; None: as the tokenizer's own settings say

    @classmethod
    def of_file(
        cls, metadata: Metadata, *, family: str | None = None, chat_template: str | None = None
    ) -> ChatFormat:
        """What the file says, unless the caller knows better.

        family: one of prompts.FAMILIES, whose template, stop strings and preset replace the file's. chat_template:
        Jinja source that replaces the template alone. Raises ValueError for an unknown family and a template that
        cannot be rendered, and as `from_metadata`.
        """
        found = cls.from_metadata(metadata)
        if family is not None:
            if not isinstance(family, str) or family not in FAMILIES:
                raise ValueError(
                    f"[model] family: expected one of {', '.join(FAMILIES)}, got {excerpt(family)}"
                )
            known = FAMILIES[family]
            found = cls(known.chat_template, family, known.stop_strings, known.preset, known.add_bos)
        if chat_template is None:
            return found
        if not isinstance(chat_template, str) or not chat_template.strip():
            raise ValueError(
                f"[model] chat_template: expected the text of a template, got {excerpt(chat_template)}"
            )
        render(chat_template, [{"role": "user", "content": "…"}], bos_token="", eos_token="")
        return replace(found, template=chat_template)

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
            if isinstance(stops, str):  # a file has a list, also of one
                raise ValueError(f"stop_strings: expected a list, got {excerpt(stops)}")
            checked = SamplingParams(stop=() if stops is None else stops).merged(**preset)
        except (TypeError, ValueError) as error:
            raise ModelFormatError(f"[chat format] belle.* metadata: {error}") from error
        template = metadata.get("tokenizer.chat_template")
        if template is not None and not isinstance(template, str):
            raise ModelFormatError("[chat format] tokenizer.chat_template: expected a text")
        template = template or (family.chat_template if family else None)
        return cls(template=template, family=name, stop_strings=tuple(checked.stop), preset=preset)

    @property
    def appends(self) -> bool:
        """Whether the template is one of BELLE's, which repeat earlier turns as they were and only add to them."""
        return any(self.template == family.chat_template for family in FAMILIES.values())

    def encode(
        self,
        tokenizer: Tokenizer,
        messages: Sequence[Message],
        *,
        limit: int | None = None,
        add_generation_prompt: bool = True,
    ) -> list[int]:
        """Ids of the prompt for the next answer. Control tokens come from the template only, never from a
        message. limit: as for `Tokenizer.encode`. add_generation_prompt False: of the messages alone.

        Raises ValueError for malformed messages, and when there is no template or it is broken.
        """
        guard = self._unused([str(message.get("content")) for message in messages])[0]
        shielded = [_shielded(message, tokenizer, guard) for message in messages]
        text = self._render(tokenizer, shielded, add_generation_prompt=add_generation_prompt)
        bos = tokenizer.bos_token
        add_bos = False if bos and text.startswith(bos) else self.add_bos
        return tokenizer.encode(
            text, add_bos=add_bos, add_eos=False, parse_special=True, guard=guard, limit=limit
        )

    def encode_next(self, tokenizer: Tokenizer, content: str, *, limit: int | None = None) -> list[int]:
        """Ids that come after an answer's own tokens: what closes its turn (EOS in belle-v2, nothing in the
        other families), the user's next turn, the opening of the next answer. limit: as for `Tokenizer.encode`.

        It is the text that the template puts behind an answer, encoded as a continuation. So the ids of
        earlier turns stay what they were.
        Raises ValueError when the template is broken, or does not repeat an answer as it was written.
        """
        guard, answer = self._unused([content])[:2]
        user: Message = {"role": "user", "content": content}
        earlier: list[Message] = [{"role": "user", "content": "…"}, {"role": "assistant", "content": answer}]
        before, found, after = self._render(
            tokenizer, [*earlier, _shielded(user, tokenizer, guard)]
        ).partition(answer)
        if not found or before != self._render(tokenizer, earlier[:1]):
            raise ValueError("[chat format] this template rewrites earlier answers: use chat() with messages")
        return encode_continuation(tokenizer, after, parse_special=True, guard=guard, limit=limit)

    def _unused(self, texts: Sequence[str]) -> list[str]:
        """Guard characters that are in none of `texts` and not in the template: two or more."""
        if self.template is None:
            raise ValueError(
                "[chat format] this file has no chat template: name its family (Belle.load(family=…)), give a "
                "template (chat_template=…), or send the text as it is (raw=True)"
            )
        joined = "".join(texts) + self.template
        unused = [char for char in _GUARDS if char not in joined]
        if len(unused) < 2:
            raise ValueError(
                "[chat format] the messages use every Unicode noncharacter from U+FDD0 to U+FDEF"
            )
        return unused

    def _render(
        self, tokenizer: Tokenizer, messages: Sequence[Message], *, add_generation_prompt: bool = True
    ) -> str:
        return render(
            self.template or "",
            messages,
            bos_token=tokenizer.bos_token,
            eos_token=tokenizer.eos_token,
            add_generation_prompt=add_generation_prompt,
        )


def encode_continuation(
    tokenizer: Tokenizer,
    text: str,
    *,
    parse_special: bool = False,
    guard: str = "",
    limit: int | None = None,
) -> list[int]:
    """Ids of a text that goes on after others: without BOS, and without the space that SentencePiece puts
    before the first word of a text."""

    def encode(part: str, n_more: int = 0) -> list[int]:
        return tokenizer.encode(
            part,
            add_bos=False,
            add_eos=False,
            parse_special=parse_special,
            guard=guard,
            limit=None if limit is None else limit + n_more,
        )

    if tokenizer.vocabulary.add_space_prefix:
        for anchor in _ANCHORS:
            before = encode(anchor)
            both = encode(anchor + text, len(before))
            if both[: len(before)] == before:
                return both[len(before) :]
    return encode(text)


def _short(value: float) -> float:
    """A float32 of the file as the decimal number that was meant: 0.35, not 0.3499999940395355."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _shielded(message: Message, tokenizer: Tokenizer, guard: str) -> Message:
    """Role and text, and no other key: those would reach the template unshielded."""
    content = message.get("content")
    if not isinstance(content, str):
        return message
    return {"role": message.get("role", ""), "content": tokenizer.shield(content, guard)}
