"""ChatBelle through LangChain's own interface, on the demonstration model."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, Literal, TypedDict

import pytest

pytest.importorskip("langchain_core", reason="needs langchain-core")
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel, Field, ValidationError

from belle_edge import Belle
from belle_edge.integrations.langchain import ChatBelle
from belle_edge.integrations.langchain_batches import _BEGUN, noted, run_together

QUESTIONS = ["你好", "法国的首都是哪里？", "写一首短诗。", "“高”的反义词是什么？"]


@pytest.fixture(scope="module")
def chat(belle: Belle) -> ChatBelle:
    return ChatBelle(belle=belle, temperature=0, max_tokens=24)


def asked(belle: Belle, question: str, **settings: Any) -> str:
    return belle.chat([{"role": "user", "content": question}], max_tokens=24, **settings).text


def test_invoke_is_the_models_chat(chat: ChatBelle, belle: Belle) -> None:
    dialogue = [("system", "简短回答。"), ("human", "你好"), ("ai", "你好！"), ("human", "再见")]
    message = chat.invoke(dialogue)
    roles = ("system", "user", "assistant", "user")
    messages = [{"role": role, "content": text} for role, (_, text) in zip(roles, dialogue, strict=True)]
    generation = belle.chat(messages, temperature=0, max_tokens=24)
    assert message.content == generation.text != ""
    assert message.usage_metadata is not None
    assert message.usage_metadata["input_tokens"] == generation.prompt_tokens
    assert message.usage_metadata["output_tokens"] == generation.completion_tokens
    assert message.response_metadata["model_name"] == belle.path.stem


def test_a_stream_ends_with_its_counts(chat: ChatBelle) -> None:
    chunks = list(chat.stream("你好"))
    whole = chat.invoke("你好")
    assert len(chunks) > 2
    assert "".join(str(chunk.content) for chunk in chunks) == whole.content
    assert [chunk.usage_metadata for chunk in chunks] == [*[None] * (len(chunks) - 1), whole.usage_metadata]
    assert chunks[-1].response_metadata["finish_reason"] == whole.response_metadata["finish_reason"]


def test_stop_and_settings_of_a_call(chat: ChatBelle, belle: Belle) -> None:
    text = str(chat.invoke("你好").content)
    assert chat.invoke("你好", stop=[text[2]]).content == text.partition(text[2])[0]
    assert chat.bind(stop=[text[1]]).invoke("你好").content == text.partition(text[1])[0]
    cut = chat.bind(max_tokens=2).invoke("你好")
    assert cut.usage_metadata is not None
    assert (cut.usage_metadata["output_tokens"], cut.response_metadata["finish_reason"]) == (2, "length")
    warm = chat.bind(temperature=3, seed=4)
    assert warm.invoke("你好").content == asked(belle, "你好", temperature=3, seed=4) != text
    assert chat.bind(choice=["是", "否"]).invoke("你好吗？").content in ("是", "否")


class Meeting(BaseCallbackHandler):
    """Lets no call of a model begin to write before so many others have."""

    raise_error = True

    def __init__(self, n_calls: int, seconds: float = 60) -> None:
        self.barrier = threading.Barrier(n_calls, timeout=seconds)

    def on_chat_model_start(self, *_args: Any, **_named: Any) -> None:
        self.barrier.wait()


def test_a_batch_runs_together_and_each_answer_is_its_own(chat: ChatBelle) -> None:
    questions = QUESTIONS * 4  # 16: LangChain's own default would be fewer threads, and wait for ever
    answers = chat.batch(questions, {"callbacks": [Meeting(16)]})
    alone = {question: chat.invoke(question).content for question in QUESTIONS}
    assert [answer.content for answer in answers] == [alone[question] for question in questions]
    meeting = Meeting(3, seconds=0.2)
    with pytest.raises(threading.BrokenBarrierError):
        chat.batch(QUESTIONS[:3], {"callbacks": [meeting], "max_concurrency": 2})


def test_what_ends_a_batch_ends_its_answers(belle: Belle) -> None:
    """As Ctrl-C does, which the waiting thread gets; here one of the calls fails."""
    both_began = threading.Barrier(2, timeout=60)
    written: list[str] = []
    late: list[str] = []

    def ask(question: str, _config: object) -> str:
        stream = noted(belle.stream("你好", schema={"type": "string"}, max_tokens=200))  # which would be long
        written.append(next(stream))
        both_began.wait()
        if question == "fails":
            raise ValueError("as it says")
        batch = _BEGUN.get()
        assert batch is not None
        assert batch.ended.wait(60)
        written.extend(stream)
        late.extend(noted(belle.stream("你好")))
        return "ended"

    with pytest.raises(ValueError, match="as it says"):
        run_together(ask, ["fails", "goes on"], None)
    assert 2 <= len(written) < 40  # the first pieces, and what was chosen meanwhile
    assert late == []
    assert run_together(lambda question, _: question, ["a"], None) == ["a"]
    assert run_together(lambda question, _: question, [], None) == []


def test_a_batch_with_a_seed_and_with_an_error(chat: ChatBelle) -> None:
    warm = chat.bind(temperature=3, seed=4)
    one, other, failed = warm.batch(["你好", "你好", "问题" * 1000], return_exceptions=True)
    assert one.content == other.content == warm.invoke("你好").content
    assert isinstance(failed, ValueError)
    assert "context" in str(failed)


def test_a_chain(chat: ChatBelle, belle: Belle) -> None:
    prompt = ChatPromptTemplate.from_messages([("human", "“{word}”的反义词是什么？")])
    chain = prompt | chat | StrOutputParser()
    words = [{"word": "高"}, {"word": "大"}]
    expected = [asked(belle, f"“{word['word']}”的反义词是什么？", temperature=0) for word in words]
    assert chain.batch(words) == expected
    assert "".join(chain.stream(words[0])) == expected[0]


def test_asynchronous_ways(chat: ChatBelle) -> None:
    async def ways() -> tuple[Any, list[Any], list[BaseMessage]]:
        one = await chat.ainvoke("你好")
        pieces = [chunk async for chunk in chat.astream("你好")]
        return one, pieces, await chat.abatch(QUESTIONS)

    one, pieces, many = asyncio.run(ways())
    expected = [chat.invoke(question).content for question in QUESTIONS]
    assert one.content == "".join(chunk.content for chunk in pieces) == expected[0]
    assert pieces[-1].usage_metadata == one.usage_metadata
    assert [message.content for message in many] == expected


class Review(BaseModel):
    """What somebody thinks of a film."""

    mood: Literal["正面", "负面"]
    stars: int = Field(ge=1, le=5)


class Mood(TypedDict):
    mood: Literal["正面", "负面"]


FUNCTION = {
    "name": "mood",
    "description": "What somebody feels.",
    "parameters": {"type": "object", "properties": {"glad": {"type": "boolean"}}, "required": ["glad"]},
}


def test_structured_output(chat: ChatBelle) -> None:
    found = chat.with_structured_output(Review).invoke("这部电影太好看了！")
    assert isinstance(found, Review)
    mood = chat.with_structured_output(Mood).invoke("这部电影太好看了！")
    assert mood in ({"mood": "正面"}, {"mood": "负面"})
    closed = {**FUNCTION["parameters"], "additionalProperties": False}  # type: ignore[dict-item]
    for schema in (
        {**FUNCTION, "parameters": closed},
        {"type": "function", "function": {**FUNCTION, "parameters": closed}},
    ):
        assert chat.with_structured_output(schema).invoke("高兴吗？") in ({"glad": True}, {"glad": False})
    whole = chat.with_structured_output(closed, include_raw=True, method="function_calling").invoke(
        "高兴吗？"
    )
    assert isinstance(whole["raw"], AIMessage)
    assert whole["parsed"] in ({"glad": True}, {"glad": False})
    assert whole["parsing_error"] is None


def test_a_structure_that_was_cut_is_an_error(chat: ChatBelle) -> None:
    short = ChatBelle(belle=chat.belle, temperature=0, max_tokens=3)
    with pytest.raises(OutputParserException, match="max_tokens"):
        short.with_structured_output(Review).invoke("好看吗？")
    told = short.with_structured_output(Review, include_raw=True).invoke("好看吗？")
    assert told["parsed"] is None
    assert isinstance(told["parsing_error"], OutputParserException)
    with pytest.raises(ValueError, match="unknown settings shape"):
        short.with_structured_output(Review, shape="round")


def test_messages_of_one_kind_in_a_row_are_joined(chat: ChatBelle, belle: Belle) -> None:
    split = [SystemMessage("简短。"), SystemMessage("用中文。"), HumanMessage("你好"), HumanMessage("再见")]
    joined = [{"role": "system", "content": "简短。\n用中文。"}, {"role": "user", "content": "你好\n再见"}]
    assert chat.invoke(split).content == belle.chat(joined, temperature=0, max_tokens=24).text
    blocks = [HumanMessage([{"type": "text", "text": "你"}, "好"])]
    assert chat.invoke(blocks).content == chat.invoke("你好").content


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (ToolMessage("5", tool_call_id="1"), "not trained for tools"),
        (AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}]), "not trained for tools"),
        (HumanMessage([{"type": "image_url", "image_url": {"url": "data:,"}}]), "read text"),
    ],
)
def test_what_is_no_text_is_refused(chat: ChatBelle, message: BaseMessage, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        chat.invoke([HumanMessage("你好"), message, HumanMessage("再见")])


def test_tools_are_refused(chat: ChatBelle) -> None:
    with pytest.raises(NotImplementedError, match="not trained for tools"):
        chat.bind_tools([Review])


def test_mistyped_settings_are_errors(chat: ChatBelle, demo: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'temperature'"):
        chat.invoke("你好", temprature=1)
    with pytest.raises(ValidationError, match="temprature"):
        ChatBelle(model=str(demo), temprature=1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="top_p: expected a number"):
        ChatBelle(model=str(demo), top_p=2)
    with pytest.raises(ValidationError, match="expected a file"):
        ChatBelle()
    with pytest.raises(FileNotFoundError, match=r"nothing\.gguf"):
        ChatBelle(model="nothing.gguf")


def test_one_file_is_in_memory_once(demo: Path) -> None:
    one, other = (ChatBelle(model=str(demo), temperature=value, max_tokens=4) for value in (0, 0.5))
    small = ChatBelle(model=str(demo), loading={"context": 64})
    assert one._loaded is other._loaded is not small._loaded
    assert small._loaded.context == 64


def test_caches_and_traces_tell_models_apart(chat: ChatBelle, demo: Path) -> None:
    cache = InMemoryCache()
    kept = ChatBelle(belle=chat.belle, temperature=3, max_tokens=8, cache=cache)
    first = kept.invoke("你好").content
    assert [kept.invoke("你好").content for _ in range(3)] == [
        first
    ] * 3  # without a seed each would be another
    ChatBelle(belle=chat.belle, temperature=0, max_tokens=8, cache=cache).invoke("你好")
    kept.invoke("你好", max_tokens=3)
    assert len(cache._cache) == 3
    assert chat._identifying_params["model"] == str(demo)
    params = chat._get_ls_params(stop=["。"])
    assert (params["ls_model_name"], params["ls_temperature"], params["ls_stop"]) == (demo.stem, 0, ["。"])


def test_tokens_are_counted_by_the_model(chat: ChatBelle, belle: Belle) -> None:
    assert chat.get_num_tokens("法国的首都是哪里？") == len(belle.tokenize("法国的首都是哪里？"))
