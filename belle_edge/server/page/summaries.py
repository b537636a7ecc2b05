"""A full chat goes on in a new one, whose system text is a summary that the model writes."""

from __future__ import annotations

from ...generation.answer import Window
from ...generation.dialogue_prompt import DialoguePrompt
from ...generation.history import History
from ...history import Chat
from .chat_settings_check import max_tokens_of
from .desk import Desk
from .header_model import HeaderModel
from .page_errors import conflict
from .stored_path import StoredPath

_LONGEST = 400  # tokens of a summary
_SHARE = 4  # of the context for the summary, at least
_HAN = range(0x4E00, 0xA000)
_ASKED = {
    "zh": (
        "请用简短的几句话总结下面的对话，保留其中的事实、名字、数字和未解决的问题。",
        "用户",
        "助手",
        "对话总结",
    ),
    "en": (
        "Summarize the following conversation in a few sentences. Keep its facts, names, numbers and open questions.",
        "User",
        "Assistant",
        "Summary of a chat",
    ),
}


def begin_summary(desk: Desk, of: Chat) -> Chat:
    """The new chat, in which the summary is being written. PageError where there is nothing to sum up."""
    served = desk.models.find(desk.answers.model_of(of))
    model = desk.headers.get(served)
    path = desk.answers.paths.get(of.leaf, n_tokens=len(model.tokenizer))
    if not path.turns:
        raise conflict("there is nothing in this chat yet", code="nothing_to_answer")
    words = _ASKED["zh" if _is_chinese(path) else "en"]
    n_answer = max(1, min(_LONGEST, model.context // _SHARE))
    question = _question(model, path, words, most=model.context - n_answer)
    settings = {**of.settings, "max_tokens": min(n_answer, max_tokens_of({}, model.context, None))}
    title = f"{of.title} · {words[3]}" if of.title else words[3]
    chat = desk.history.new_chat(title=title, model=served.name, settings=settings)
    desk.answers.begin_summary(chat, of, question, words[0])
    kept = {name: value for name, value in of.settings.items() if value is not None}
    chat = desk.history.change_chat(chat.id, settings=kept)
    desk.answers.publish_chat(chat.id)
    return chat


def _question(model: HeaderModel, path: StoredPath, words: tuple[str, str, str, str], *, most: int) -> str:
    """The wish, then as many of the newest turns as have room."""
    asked, user, assistant, _ = words
    turns = [f"{user}：{turn.user.strip()}\n{assistant}：{turn.answer.strip()}" for turn in path.turns]
    first, last = 0, len(turns) - 1

    def text(begin: int) -> str:
        return "\n\n".join([asked, *turns[begin:]])

    while first < last:  # the smallest number of turns to leave out
        middle = (first + last) // 2
        if _tokens(model, text(middle)) <= most:
            last = middle
        else:
            first = middle + 1
    found = text(first)
    while _tokens(model, found) > most and len(found) > len(asked) + 16:
        found = found[: len(found) * 3 // 4]
    return found


def _tokens(model: HeaderModel, text: str) -> int:
    unlimited = model.without_limit()
    prompt = DialoguePrompt(unlimited.as_model(), Window(unlimited.context), 1, None)
    return len(prompt.behind(History(), text)[0].ids)


def _is_chinese(path: StoredPath) -> bool:
    sample = "".join(turn.user[:200] + turn.answer[:200] for turn in path.turns[-8:])
    return sum(ord(c) in _HAN for c in sample) * 8 > len(sample)
