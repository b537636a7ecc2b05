"""BELLE's prompt families (chat template, stop strings, sampling preset), and a renderer for templates.

Every BELLE model was trained on one exact prompt text; one space or newline off and it invents further turns
instead of stopping. The templates are Jinja source as a GGUF carries it in `tokenizer.chat_template`. They
are plain on purpose (no macros, no filters, no text outside expressions) so that llama.cpp and transformers
render them alike, whatever their whitespace settings.

Choices where the published sources are silent:

* Several turns, belle and belle-llama: each earlier turn keeps exactly the text it had when it was the last
  one, and the next turn follows after one newline, as in BELLE's multi-turn data
  (`Human:…\\nAssistant:…\\nHuman:…`, data/10M). So earlier key/value pages stay valid, and the stop string
  `\\nHuman:` is exactly what a further turn starts with.
* A system message: BELLE was trained without this role. Its text opens the first human turn, followed by a
  newline, as an instruction stands before its input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

Message = Mapping[str, str]  # {"role": "system" | "user" | "assistant", "content": text}


@dataclass(frozen=True)
class PromptFamily:
    """How one family of BELLE models is asked, stopped and sampled."""

    name: str
    description: str
    chat_template: str  # Jinja source over messages, add_generation_prompt, bos_token, eos_token
    stop_strings: tuple[str, ...]  # besides the end-of-sequence token
    preset: Mapping[str, float]  # temperature, top_k, top_p, repetition_penalty
    add_bos: bool | None = None  # whether prompts start with BOS; None: as the tokenizer's own settings say


def _template(
    *, before_user: str, after_user: str, assistant: str, after_assistant: str, next_turn: str
) -> str:
    """Jinja source of one family from Jinja string expressions (quoted, or `eos_token`)."""
    return (
        "{% if messages[0]['role'] == 'system' %}"
        "{% set system = messages[0]['content'] + '\\n' %}{% set turns = messages[1:] %}"
        "{% else %}{% set system = '' %}{% set turns = messages %}{% endif %}"
        "{% for message in turns %}"
        "{% if message['role'] == 'user' %}"
        f"{{% if loop.first %}}{{{{ {before_user} + system }}}}"
        f"{{% else %}}{{{{ {next_turn} + {before_user} }}}}{{% endif %}}"
        f"{{{{ message['content'] + {after_user} }}}}"
        "{% elif message['role'] == 'assistant' %}"
        f"{{{{ {assistant} + message['content'] + {after_assistant} }}}}"
        "{% else %}"
        "{{ raise_exception('this template knows the roles system (first), user and assistant') }}"
        "{% endif %}"
        "{% endfor %}"
        f"{{% if add_generation_prompt %}}{{{{ {assistant} }}}}{{% endif %}}"
    )


def _preset(temperature: float, top_k: int, top_p: float, repetition_penalty: float) -> Mapping[str, float]:
    return MappingProxyType(
        {"temperature": temperature, "top_k": top_k, "top_p": top_p, "repetition_penalty": repetition_penalty}
    )


_ALL = (
    PromptFamily(
        name="belle",
        description="BELLE-7B (BLOOM)",
        chat_template=_template(
            before_user="'Human: '",
            after_user=r"'\n\n'",
            assistant="'Assistant:'",
            after_assistant="''",
            next_turn=r"'\n'",
        ),
        stop_strings=("\nHuman:",),
        preset=_preset(0.35, 30, 0.85, 1.2),
    ),
    PromptFamily(
        name="belle-llama",
        description="BELLE-LLaMA-7B and -13B",
        chat_template=_template(  # the spaces around the newlines are part of it (B#59, B#101, B#196)
            before_user="'Human: '",
            after_user=r"' \n\n'",
            assistant="'Assistant: '",
            after_assistant="''",
            next_turn=r"'\n'",
        ),
        stop_strings=("\nHuman:",),
        preset=_preset(0.5, 30, 0.85, 1.0),
    ),
    PromptFamily(
        name="belle-ext",
        description="BELLE-LLaMA-EXT-7B and -13B (extended Chinese vocabulary)",
        chat_template=_template(  # some users report 'Assistant: ' instead of 'Belle: ' (B#380, B#457)
            before_user="'Human: '",
            after_user=r"'\n\n'",
            assistant="'Belle: '",
            after_assistant="''",
            next_turn=r"'\n\n'",
        ),
        stop_strings=("\nHuman:",),
        preset=_preset(0.5, 30, 0.85, 1.2),
    ),
    PromptFamily(
        name="belle-v2",
        description="BELLE-Llama2-13B-chat-0.4M and models of BELLE's training code since mid-2023",
        chat_template=_template(  # every answer ends with EOS, and there is no BOS (B#337)
            before_user=r"'Human: \n'",
            after_user=r"'\n\n'",
            assistant=r"'Assistant: \n'",
            after_assistant="eos_token",
            next_turn="''",
        ),
        stop_strings=(),
        preset=_preset(0.9, 30, 0.6, 1.2),
        add_bos=False,
    ),
)

FAMILIES: Mapping[str, PromptFamily] = MappingProxyType({family.name: family for family in _ALL})


def render(
    template: str,
    messages: Sequence[Message],
    *,
    bos_token: str | None = "",
    eos_token: str | None = "",
    add_generation_prompt: bool = True,
    tools: Sequence[Mapping[str, Any]] | None = None,
    documents: Sequence[Mapping[str, Any]] | None = None,
    values: Mapping[str, Any] | None = None,
) -> str:
    """The prompt text of `messages` under a Jinja chat template, as transformers renders it.

    A template comes from a model file, so it is untrusted: it reads what is given here and nothing else, and its
    steps, texts, lists and time are bounded (chat_template/limits.py).
    bos_token, eos_token: with None the template does not know the name, as in transformers without such a token.
    tools, documents: JSON schemas and texts, for templates that show them. values: further names of the template.
    Raises ValueError for malformed messages and for a template that is broken or rejects the messages.
    """
    from .chat_template.rendering import render_template

    tokens = {"bos_token": bos_token, "eos_token": eos_token}
    return render_template(
        template,
        {
            "messages": _check_messages(messages),
            "tools": tools,
            "documents": documents,
            "add_generation_prompt": add_generation_prompt,
            **{name: token for name, token in tokens.items() if token is not None},
            **(values or {}),
        },
    )


def check_dialogue(messages: Sequence[Message]) -> None:
    """ValueError unless `messages` are a dialogue that waits for an answer: perhaps a system message, then
    user and assistant in turn, a user message last."""
    for index, message in enumerate(_check_messages(messages)):
        role = message["role"]
        if role not in ("system", "user", "assistant"):
            raise ValueError(
                f"[messages] message {index}: expected the role system, user or assistant, got {role!r}"
            )
        if role == "system" and index > 0:
            raise ValueError(f"[messages] message {index}: the system message has to be the first one")
        if role == messages[index - 1]["role"] and index > 0:
            raise ValueError(
                f"[messages] message {index}: a second {role} message in a row; join their texts"
            )
    roles = [message["role"] for message in messages]
    if "user" not in roles or roles[roles[0] == "system"] != "user":
        raise ValueError("[messages] expected the first message after the system's to be the user's")
    if roles[-1] != "user":
        raise ValueError(
            f"[messages] expected the last message to be the user's, the one to answer; got {roles[-1]}"
        )


def _check_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    if not isinstance(messages, Sequence) or isinstance(messages, (str, bytes)):
        raise ValueError("[messages] expected a list of messages")
    if not messages:
        raise ValueError("[messages] expected at least one message, got none")
    checked = []
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise ValueError(f"[messages] message {index}: expected a dict, got {message!r}")
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or not isinstance(content, str):
            raise ValueError(
                f"[messages] message {index}: expected text under 'role' and 'content', got {dict(message)!r}"
            )
        checked.append(dict(message))
    return checked
