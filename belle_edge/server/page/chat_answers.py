"""Answers of all chats: begun, gone on with, stopped; each runs by itself, whoever looks at it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from ...generation.answer_options import params_of_call
from ...history import Chat, History, Message
from ...sampling import SAMPLING_NUMBERS
from ..admission import Admission
from ..early_end import Shutdown
from ..served_models import Lease, ServedModel, ServedModels
from ..server_errors import ApiError
from ..server_settings import ServerSettings
from .answer_plan import AnswerPlan
from .answer_run import AnswerRun
from .attached_files import framed
from .chat_settings_check import max_tokens_of, overflow_of
from .event_hub import EventHub
from .header_model import HeaderModels
from .live_caches import LiveCaches
from .measuring import context_full, measured
from .model_views import loading
from .page_errors import PageError, conflict
from .page_views import RenderedAnswers, chat_json, message_json, title_of
from .stored_path import SUMMARY_OF, KnownPaths, StoredPath, question_of

_LOADING_TOLD_S = 0.2
_GOES_ON = ("stopped", "length", "cut")  # states of answers that can be continued


@dataclass(frozen=True)
class Wanted:
    """A new question (text, below `parent`), an answer once more, or more of one."""

    parent: str | None = None
    text: str | None = None
    attachments: Sequence[str] = ()
    overflow: str | None = None
    again: str | None = None  # a message of either role
    more: str | None = None


class ChatAnswers:
    """`begin`, `stop` and `measure` are for any thread."""

    def __init__(
        self,
        *,
        history: History,
        hub: EventHub,
        caches: LiveCaches,
        headers: HeaderModels,
        models: ServedModels,
        admission: Admission,
        shutdown: Shutdown,
        settings: ServerSettings,
    ) -> None:
        self._history = history
        self._hub = hub
        self._caches = caches
        self._headers = headers
        self._models = models
        self._admission = admission
        self._shutdown = shutdown
        self._settings = settings
        self.paths = KnownPaths(history)
        self.rendered = RenderedAnswers()
        self._runs: dict[str, AnswerRun] = {}  # by message
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(settings.max_running, "belle-page-answer")
        self._fetching = ThreadPoolExecutor(1, "belle-page-cache")
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """In the event loop that serves."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """All answers are cut off where they are."""
        for run in list(self._runs.values()):
            run.stop("cut")
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fetching.shutdown(cancel_futures=True)
        self._threads.shutdown()

    @property
    def n_running(self) -> int:
        return len(self._runs)

    def is_writing(self, chat: str) -> bool:
        """Whether an answer of this chat is on its way."""
        return any(run.plan.chat == chat for run in list(self._runs.values()))

    # ---- begin

    def begin(self, chat_id: str, wanted: Wanted) -> tuple[Message | None, Message]:
        """The user's message, where it is a new one, and the answer's, which is on its way. Raises PageError,
        HistoryMissingError, and ValueError."""
        chat = self._history.chat(chat_id)
        if chat.deleted is not None:
            raise conflict("this chat was deleted: restore it first", code="chat_deleted")
        served = self._models.find(self.model_of(chat))
        if self._headers.chat_format(served).template is None:
            raise conflict(
                f"{served.name} has no chat template, so it cannot be asked: start with --family NAME, or take "
                "another model",
                code="no_template",
            )
        if wanted.more is not None:
            return None, self._go_on(chat, served, wanted, wanted.more)
        if wanted.again is not None:
            return None, self._again(chat, served, wanted, wanted.again)
        return self._new(chat, served, wanted)

    def _new(self, chat: Chat, served: ServedModel, wanted: Wanted) -> tuple[Message, Message]:
        text = wanted.text or ""
        if not text.strip() and not wanted.attachments:
            raise PageError(400, "text: expected a message, got an empty one", code="empty_message")
        self._check_parent(chat, wanted.parent)
        path = self._path(served, wanted.parent)
        self._check_room(chat, served, wanted, path, text)
        user = self._history.add_message(
            chat.id, wanted.parent, "user", text, attachments=list(wanted.attachments)
        )
        if not chat.title:
            names = [file.name for file in user.attachments]
            chat = self._history.change_chat(chat.id, title=title_of(text) or " ".join(names))
        self.publish_message(user)
        question = question_of(user, self._history)
        return user, self._begin(chat, served, wanted, user.id, question, path, kind="new")

    def _again(self, chat: Chat, served: ServedModel, wanted: Wanted, id: str) -> Message:
        message = self._of_chat(chat, id)
        answer = message if message.role == "assistant" else None
        user = message if answer is None else self._history.message(answer.parent or "")
        if user.role != "user":
            raise conflict("there is no question before this answer", code="nothing_to_answer")
        question = question_of(user, self._history)
        path = StoredPath() if answer is None else self._path(served, answer.id)
        if answer is not None and path.ids[-1:] == ((user.id, answer.id),) and not _is_foreign(path):
            return self._begin(chat, served, wanted, user.id, question, path, kind="again")
        path = self._path(served, user.parent)
        return self._begin(chat, served, wanted, user.id, question, path, kind="new")

    def _go_on(self, chat: Chat, served: ServedModel, wanted: Wanted, id: str) -> Message:
        """In the same message."""
        answer = self._of_chat(chat, id)
        if answer.role != "assistant" or answer.state not in _GOES_ON:
            raise conflict("this answer is complete: it cannot go on", code="not_continuable")
        user = self._history.message(answer.parent or "")
        question = question_of(user, self._history)
        path = self._path(served, answer.id)
        sound = path.ids[-1:] == ((user.id, answer.id),) and not _is_foreign(path)
        if not answer.token_ids:  # it was stopped before its first token
            path, kind = self._path(served, user.parent), "new"
        elif sound and answer.model == served.name:
            kind = "more"
        else:
            raise conflict(
                "another model wrote this answer, so it cannot go on: answer again", code="not_continuable"
            )
        settings = {**chat.settings, **_sampling_of(answer)}
        plan = self._plan(chat, served, wanted, answer.id, question, path, kind=kind, settings=settings)
        if kind == "more":
            plan = replace(plan, earlier=dict(answer.timings), earlier_text=answer.text)
        self._history.write_answer(
            answer.id, answer.text, answer.token_ids, settings=_stored_settings(plan, served, self._headers)
        )
        return self._start(plan, served)

    def _begin(
        self,
        chat: Chat,
        served: ServedModel,
        wanted: Wanted,
        user: str,
        question: str,
        path: StoredPath,
        *,
        kind: Any,
        is_summary: bool = False,
    ) -> Message:
        settings = dict(chat.settings)
        settings["seed"] = self._seed(settings, user)
        plan = self._plan(
            chat, served, wanted, "", question, path, kind=kind, settings=settings, is_summary=is_summary
        )
        answer = self._history.add_message(
            chat.id,
            user,
            "assistant",
            "",
            state="writing",
            model=served.name,
            settings=_stored_settings(plan, served, self._headers),
            dropped=list(path.unseen),
        )
        return self._start(replace(plan, message=answer.id), served)

    def begin_summary(self, chat: Chat, of: Chat, question: str, text: str) -> Message:
        """The first answer of `chat`: a summary of another one. question: what the model is asked; text: what the
        page shows of that."""
        served = self._models.find(self.model_of(chat))
        user = self._history.add_message(chat.id, None, "user", text)
        self.publish_message(user)
        return self._begin(
            chat,
            served,
            Wanted(overflow="slide"),
            user.id,
            question,
            StoredPath(),
            kind="new",
            is_summary=True,
        )

    def _plan(
        self,
        chat: Chat,
        served: ServedModel,
        wanted: Wanted,
        message: str,
        question: str,
        path: StoredPath,
        *,
        kind: Any,
        settings: Mapping[str, Any],
        is_summary: bool = False,
    ) -> AnswerPlan:
        context = self._headers.context(served)
        return AnswerPlan(
            chat=chat.id,
            message=message,
            kind=kind,
            question=question,
            path=path,
            system=chat.system or None,
            settings=settings,
            max_tokens=max_tokens_of(settings, context, self._settings.max_tokens),
            overflow=overflow_of(settings, wanted.overflow),
            earlier={},
            is_summary=is_summary,
        )

    def _seed(self, settings: Mapping[str, Any], user: str) -> int:
        """The chat's own, plus one for each answer that this question has; else a random one."""
        if "seed" in settings:
            return int(settings["seed"]) + len(self._history.children(user))
        return int.from_bytes(os.urandom(4), "little")

    def opened(self, chat: Chat) -> None:
        """Somebody looks at it: its cache is read while the person types, where its model is loaded."""
        name = self.model_of(chat)
        belle = None if name is None else self._models.find(name).belle
        if belle is not None and chat.leaf is not None:
            self._fetching.submit(self._caches.fetch, chat.id, belle)

    # ---- checks

    def model_of(self, chat: Chat) -> str | None:
        """The chat's, where it is there still; else one that is loaded; else the only one, or the first."""
        names = self._models.names
        if chat.model in names:
            return chat.model
        loaded = self._models.loaded
        if loaded:
            return loaded[0].name
        return names[0] if names else None

    def _of_chat(self, chat: Chat, id: str) -> Message:
        message = self._history.message(id)
        if message.chat != chat.id:
            raise PageError(404, "this message belongs to another chat", code="not_found")
        if message.state == "writing":
            raise conflict("this answer is still being written", code="answer_running")
        return message

    def _check_parent(self, chat: Chat, parent: str | None) -> None:
        if parent is not None:
            self._of_chat(chat, parent)

    def _check_room(
        self, chat: Chat, served: ServedModel, wanted: Wanted, path: StoredPath, text: str
    ) -> None:
        """PageError where the turn has no room and may not slide. Only where counting is quick."""
        if served.belle is None or overflow_of(chat.settings, wanted.overflow) == "slide":
            return
        measure = self.measure(chat, wanted, path=path)
        if not measure.fits:
            raise context_full(measure)

    def measure(self, chat: Chat, wanted: Wanted, *, path: StoredPath | None = None) -> Any:
        """The tokens of a message that was not sent yet. Raises ApiError where there is no model."""
        served = self._models.find(self.model_of(chat))
        model = self._headers.get(served)
        files = [self._history.attachment(id) for id in wanted.attachments]
        text = wanted.text or ""
        question = framed(text, [(file.name, content) for file, content in files])
        return measured(
            model,
            self._path(served, wanted.parent) if path is None else path,
            question,
            system=chat.system or None,
            max_tokens=max_tokens_of(chat.settings, model.context, self._settings.max_tokens),
            n_framed=len(question) - len(text),
        )

    def _path(self, served: ServedModel, leaf: str | None) -> StoredPath:
        return self.paths.get(leaf, n_tokens=served.file.array_length("tokenizer.ggml.tokens"))

    # ---- running

    def _start(self, plan: AnswerPlan, served: ServedModel) -> Message:
        run = AnswerRun(plan, self._history, self._hub, self._caches)
        run.model = served.name
        run.on_ended = self._ended
        message = self._history.message(plan.message)
        loop = self._loop
        assert loop is not None
        self.paths.forget()
        self._runs[plan.message] = run
        self.publish_message(message)
        self.publish_chat(plan.chat)
        loop.call_soon_threadsafe(self._run_in_loop, run)
        return message

    def _run_in_loop(self, run: AnswerRun) -> None:
        task = asyncio.get_running_loop().create_task(self._run(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, run: AnswerRun) -> None:
        """Wait for the model and for a place, then write."""
        try:
            self._shutdown.watch(run)
            run.cancel = _canceller(asyncio.current_task())
            if run.ending is not None:
                raise asyncio.CancelledError
            with self._admission.enter():
                lease = await self._leased(run)
                try:
                    await self._write(run, lease)
                finally:
                    self._models.release(lease)
        except asyncio.CancelledError:
            await asyncio.to_thread(run.gave_up, None)
        except Exception as error:
            if isinstance(error, ApiError) and error.code == "server_shutting_down":
                run.ending = "cut"
                await asyncio.to_thread(run.gave_up, None)
            else:
                await asyncio.to_thread(run.gave_up, error)
        finally:
            self._shutdown.forget(run)

    async def _write(self, run: AnswerRun, lease: Lease) -> None:
        async with self._admission.slot(lambda place: run.tell("waiting", place=place)):
            run.cancel = lambda: None  # from here on it looks by itself
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._threads, run.write, lease.belle, lease.load_s)

    async def _leased(self, run: AnswerRun) -> Lease:
        """The model, loaded; how far that is, is told meanwhile."""
        served = self._models.find(run.model)
        if served.belle is not None:
            return await self._models.acquire(run.model)
        telling = asyncio.create_task(self._tell_loading(run, served))
        try:
            return await self._models.acquire(run.model)
        finally:
            telling.cancel()

    async def _tell_loading(self, run: AnswerRun, served: ServedModel) -> None:
        while True:
            done, total, left = loading(served)
            run.tell("loading", done=done, total=total or served.file.size_bytes, seconds_left=left)
            await asyncio.sleep(_LOADING_TOLD_S)

    def stop(self, id: str) -> Message:
        """End an answer. Raises HistoryMissingError."""
        run = self._runs.get(id)
        if run is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(run.stop, "stopped")
        return self._history.message(id)

    def _ended(self, message: Message) -> None:
        run = self._runs.pop(message.id, None)
        self.paths.forget()
        if run is not None and run.plan.is_summary and message.state in ("finished", "length"):
            self._history.change_chat(message.chat, system=message.text.strip())
        self.publish_message(message)
        self.publish_chat(message.chat)

    # ---- told

    def publish_message(self, message: Message) -> None:
        """New, or in another state."""
        self._hub.publish({"type": "message", "message": self.shown(message)})

    def publish_chat(self, id: str) -> None:
        """New, or changed."""
        chat = self._history.chat(id)
        self._hub.publish({"type": "chat", "chat": chat_json(chat, writing=self.is_writing(id))})

    def shown(self, message: Message, siblings: Sequence[str] | None = None) -> dict[str, Any]:
        """A message as JSON; of an answer that is being written what windows see of it now."""
        if siblings is None:
            siblings = self._history.siblings(message.id)
        blocks: Sequence[str] | None = None
        if message.role == "assistant":
            running = self._hub.running.get(message.id) if message.state == "writing" else None
            blocks = self.rendered.of(message) if running is None else list(running.blocks)
        return message_json(message, siblings, blocks)


def _canceller(task: asyncio.Task[None] | None) -> Any:
    return (lambda: None) if task is None else task.cancel


def _is_foreign(path: StoredPath) -> bool:
    """Whether nothing is known of how the last answer was encoded."""
    return not path.turns or not path.turns[-1].token_ids


def _sampling_of(answer: Message) -> dict[str, Any]:
    """How an answer was begun, so that it goes on in the same way."""
    return {name: answer.settings[name] for name in (*SAMPLING_NUMBERS, "seed") if name in answer.settings}


def _stored_settings(plan: AnswerPlan, served: ServedModel, headers: HeaderModels) -> dict[str, Any]:
    """All that decides the answer: one can have it again."""
    chat_format = headers.chat_format(served)
    params = params_of_call(chat_format, raw=False, params=None, sampling=plan.sampling)
    stored: dict[str, Any] = {name: getattr(params, name) for name in (*SAMPLING_NUMBERS, "seed")}
    stored |= {"max_tokens": plan.max_tokens, "overflow": plan.overflow}
    stored["template"] = chat_format.family
    if plan.is_summary:
        stored[SUMMARY_OF] = True
    return stored
