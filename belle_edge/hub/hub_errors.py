"""Errors of the hub: what each says, and how text that came from outside is shown in them."""

from __future__ import annotations

import errno
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from ..errors import ConversionError

_SHOWN_CHARACTERS = 100
_Result = TypeVar("_Result")


class HubError(ConversionError):
    """A repository or file of the hub cannot be had; the message says why and what to do."""


class HubUnreachableError(HubError):
    """No answer from the hub: no network, a server error, or offline mode."""


class HubAnswerError(HubError):
    """An answer that no sound hub gives, such as a path for a hash. Nothing of it was used; the message names it."""

    def __init__(self, where: str, problem: str) -> None:
        place = where if len(where) <= 2 * _SHOWN_CHARACTERS else f"{where[:_SHOWN_CHARACTERS]}…"
        super().__init__(
            f"[{place}] refused: {problem}; the hub or mirror is broken or hostile: use another HF_ENDPOINT"
        )


class ConnectionFailedError(Exception):
    """A request without a whole answer in time; another attempt may succeed."""


class StatusError(Exception):
    """An answer whose status says no; `code` is the hub's own word for it ("GatedRepo"), or empty."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"status {status}" + (f", {code}" if code else ""))
        self.status, self.code = status, code


def first_line(error: BaseException) -> str:
    """The first line of a foreign exception, safe to show."""
    text = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return "".join(_escaped(character) for character in text[: 2 * _SHOWN_CHARACTERS])


def explained(repo_id: str, revision: str | None, call: Callable[[], _Result], *, doing: str = "") -> _Result:
    """`call()`, with failures of the connection and the disk as one sentence that says what to do.

    doing: what stopped, where a later call continues; "" for the first question to the hub.
    """
    try:
        return call()
    except StatusError as error:
        raise _refusal(repo_id, revision, error, doing) from None
    except ConnectionFailedError as error:
        raise _no_answer(repo_id, str(error), doing) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HubError(f"{doing or f'[{repo_id}]'}: no space left; free some and pull again") from None
        raise


def _refusal(repo_id: str, revision: str | None, error: StatusError, doing: str) -> HubError:
    """What a status means, by the hub's own word for it where there is one."""
    login = "log in (hf auth login, or HF_TOKEN)"
    if error.code == "GatedRepo":
        return HubError(f"[{repo_id}] is gated: accept its terms on its page, then {login}")
    if error.code == "RevisionNotFound":
        return HubError(f"[{repo_id}] the hub has no revision {revision!r} of it")
    if error.status == 404 and doing and error.code != "RepoNotFound":
        return HubError(f"[{repo_id}] the file vanished from the hub: {doing}")
    if error.code == "RepoNotFound" or error.status == 404 or (error.status == 401 and not doing):
        return HubError(
            f"[{repo_id}] no such folder here, and no such model on the hub (or it needs a login: hf auth"
            " login, or HF_TOKEN; HF_ENDPOINT names another hub or mirror)"
        )
    if error.status in (401, 403):
        return HubError(f"[{repo_id}] access refused ({error.status}): {login}")
    return _no_answer(repo_id, str(error), doing)


def _no_answer(repo_id: str, reason: str, doing: str) -> HubError:
    if doing:
        return HubError(
            f"{doing} ({reason}): pull again, it continues there; HF_ENDPOINT names another mirror"
        )
    return HubUnreachableError(
        f"[{repo_id}] no such folder here, and the hub cannot be reached ({reason}); HF_ENDPOINT names a mirror, as"
        " HF_ENDPOINT=https://hf-mirror.com"
    )


def _escaped(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode("ascii")
    return character
