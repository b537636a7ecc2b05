"""The list of chats: renamed, pinned, deleted and brought back, found again, taken out and in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .imported_chats import Turn, bring_in, chat_file

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from .watched_page import Watched

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright brings it")
pytestmark = pytest.mark.slow  # a browser and a server
expect = api.expect


def row_of(window: Watched, title: str) -> Locator:
    return window.page.locator(".chat-row", has_text=title)


def choose(window: Watched, title: str, choice: str) -> None:
    """From the menu of a chat."""
    row = row_of(window, title)
    row.hover()
    row.get_by_role("button").click()
    window.page.get_by_role("menuitem", name=choice, exact=True).click()


def test_rename_pin_delete_and_undo(shown: Watched) -> None:
    page = shown.page
    bring_in(shown, "旧的名字", [Turn("user", "一"), Turn("assistant", "二")])
    choose(shown, "旧的名字", "Rename")
    page.keyboard.insert_text("新的名字")
    page.keyboard.press("Enter")
    expect(row_of(shown, "新的名字")).to_have_count(1)
    expect(page.locator("#chat-title")).to_have_text("新的名字")
    expect(row_of(shown, "新的名字").locator("a")).to_be_focused()

    choose(shown, "新的名字", "Pin")
    pinned = page.locator("#chats ul[aria-label=Pinned]")
    expect(pinned.locator(".chat-row", has_text="新的名字")).to_have_count(1)
    choose(shown, "新的名字", "Unpin")
    expect(page.locator("#chats ul[aria-label=Pinned] .chat-row", has_text="新的名字")).to_have_count(0)

    choose(shown, "新的名字", "Delete")
    expect(row_of(shown, "新的名字")).to_have_count(0)
    expect(page.locator("#undo")).to_contain_text("新的名字")
    assert page.url.endswith("/#") or page.url.endswith("/")
    page.get_by_role("button", name="Undo").click()
    expect(row_of(shown, "新的名字")).to_have_count(1)
    row_of(shown, "新的名字").locator("a").click()
    expect(page.locator(".message")).to_have_count(2)


def test_escape_leaves_the_old_name(shown: Watched) -> None:
    bring_in(shown, "stays as it is", [Turn("user", "x"), Turn("assistant", "y")])
    choose(shown, "stays as it is", "Rename")
    shown.page.keyboard.insert_text("gone")
    shown.page.keyboard.press("Escape")
    expect(row_of(shown, "stays as it is")).to_have_count(1)


def test_search_in_chinese_opens_the_message_and_marks_it(shown: Watched) -> None:
    page = shown.page
    filler = [Turn("user" if n % 2 == 0 else "assistant", f"第{n}条\n\n" + "内容 " * 40) for n in range(120)]
    bring_in(shown, "很长的对话", [*filler[:6], Turn("user", "昨天我们在紫竹院散步"), *filler[7:]])
    page.locator("#new-chat").click()
    page.keyboard.press("Control+k")
    expect(page.locator("#search")).to_be_focused()
    page.locator("#search").fill("紫竹院")
    hit = page.locator("#hits a").first
    expect(hit).to_contain_text("很长的对话")
    expect(hit.locator("mark")).to_have_text("紫竹院")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    message = page.locator(".message", has_text="紫竹院")
    expect(message).to_be_in_viewport()
    expect(message).to_be_focused()
    marked = "[...CSS.highlights.get('search-hit')].map((range) => range.toString())"
    assert page.evaluate(marked) == ["紫竹院"]
    page.locator("#search").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#hits")).to_be_hidden()
    expect(page.locator("#chats")).to_be_visible()


def test_a_search_without_hits_says_so(shown: Watched) -> None:
    shown.page.locator("#search").fill("qqqqzzzz")
    expect(shown.page.locator("#hits")).to_contain_text("Nothing found for “qqqqzzzz”.")


def test_export_of_one_chat(shown: Watched) -> None:
    bring_in(shown, "to export", [Turn("user", "问题？"), Turn("assistant", "**回答**")])
    with shown.page.expect_download() as saved:
        choose(shown, "to export", "Export as Markdown")
    assert saved.value.suggested_filename == "to export.md"
    text = Path(saved.value.path()).read_text(encoding="utf-8")
    assert "问题？" in text
    assert "**回答**" in text
    with shown.page.expect_download() as saved:
        choose(shown, "to export", "Export as JSON")
    content = json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))
    assert [message["text"] for message in content["chats"][0]["messages"]] == ["问题？", "**回答**"]


def test_import_of_our_file_and_of_chatgpts(shown: Watched, tmp_path: Path) -> None:
    page = shown.page
    ours = tmp_path / "ours.json"
    ours.write_bytes(chat_file("从文件来", [Turn("user", "你好"), Turn("assistant", "您好")]))
    theirs = tmp_path / "conversations.json"
    theirs.write_text(json.dumps(chatgpt_export("From elsewhere", "Hello?", "Hi!")), encoding="utf-8")
    page.get_by_role("button", name="Settings", exact=True).click()
    for file, title in ((ours, "从文件来"), (theirs, "From elsewhere")):
        page.locator("#import-picker").set_input_files(file)
        expect(page.locator(".outcome")).to_have_text("1 chat imported.")
        expect(row_of(shown, title)).to_have_count(1)
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    page.locator("#import-picker").set_input_files(broken)
    expect(page.locator(".outcome.problem")).not_to_be_empty()
    with page.expect_download() as saved:
        page.locator("#export-all").click()
    titles = [chat["title"] for chat in json.loads(Path(saved.value.path()).read_text())["chats"]]
    assert {"从文件来", "From elsewhere"} <= set(titles)
    page.keyboard.press("Escape")
    row_of(shown, "From elsewhere").locator("a").click()
    expect(page.locator(".message.assistant .prose")).to_have_text("Hi!")


def chatgpt_export(title: str, question: str, answer: str) -> list[dict[str, object]]:
    """As small as ChatGPT's conversations.json can be."""

    def node(id: str, parent: str | None, child: str | None, message: object) -> dict[str, object]:
        return {"id": id, "parent": parent, "children": [child] if child else [], "message": message}

    def said(id: str, role: str, text: str) -> dict[str, object]:
        content = {"content_type": "text", "parts": [text]}
        return {"id": id, "author": {"role": role}, "content": content, "create_time": 1.7e9}

    mapping = {
        "root": node("root", None, "a", None),
        "a": node("a", "root", "b", said("a", "user", question)),
        "b": node("b", "a", None, said("b", "assistant", answer)),
    }
    return [
        {"title": title, "create_time": 1.7e9, "update_time": 1.7e9, "mapping": mapping, "current_node": "b"}
    ]
