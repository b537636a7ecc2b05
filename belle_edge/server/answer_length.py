"""How long an answer may become: what the request asks for, within what the server allows."""

from __future__ import annotations

from .server_errors import bad_request


def allowed_length(asked: int | None, most: int | None, *, name: str = "max_tokens") -> int | None:
    """Tokens of an answer; None: up to the end of the context. ApiError where more are asked for than allowed."""
    if most is not None and asked is not None and asked > most:
        raise bad_request(f"{name}: this server allows at most {most} tokens, got {asked}", param=name)
    return most if asked is None else asked
