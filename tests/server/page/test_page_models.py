"""Models of the page: facts, loading and unloading, folders, conversions."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from belle_edge.demo import checkpoint_path

from .conftest import StartPage
from .page_client import ENDLESS, Events, PageClient


def test_facts_and_memory(page: PageClient) -> None:
    (model,) = page.get("/models")
    assert model["state"] == "loaded"
    assert model["has_template"]
    assert model["fits"]
    assert model["needs_bytes"] > model["memory_bytes"] > 0
    assert (model["architecture"], model["family"], model["context"]) == ("bloom", "belle", 256)
    assert model["licence"]
    assert model["limits_text"]
    assert model["preset"]["top_k"] == 30


def test_unload_and_load(page: PageClient) -> None:
    events = Events(page)
    assert page.post("/models/demo/unload")["state"] == "idle"
    events.wait(lambda event: event["type"] == "model" and event["model"]["state"] == "idle")
    assert page.post("/chats/new/measure", {"text": "你好"})["tokens"] > 2  # from the header
    page.post("/models/demo/load")
    events.wait(lambda event: event["type"] == "model" and event["model"]["state"] == "loaded")
    page.post("/models/demo/unload")
    chat = page.chat()
    answer = page.ask(chat, "12加30等于多少？")  # loads it by itself
    assert answer["text"] == "12+30=42"
    assert answer["timings"]["load_s"] > 0
    assert "loading" in [event["phase"] for event in events.of("progress", answer["id"])]
    busy = page.chat(**ENDLESS)
    id = page.post(f"/chats/{busy}/answers", {"text": "你好", "parent": None})["assistant"]["id"]
    assert page.refused("POST", "/models/demo/unload")[1]["code"] == "model_in_use"
    page.post(f"/messages/{id}/stop")
    page.ended(id, busy)
    assert page.refused("POST", "/models/none/load")[1]["code"] == "model_not_found"
    events.close()


def test_folders_and_files(start_page: StartPage, demo_file: Path, tmp_path: Path) -> None:
    """What is added is there after a restart; a file that is no model is refused."""
    folder, data = tmp_path / "models", tmp_path / "data"
    (folder / "inner").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    shutil.copytree(checkpoint_path(), folder / "checkpoint")
    shutil.copy(demo_file, folder / "second.gguf")
    (folder / "bad.gguf").write_bytes(b"GGUF, but not really")
    server, page = start_page(data=data)
    shown = page.get("/folders", path=str(folder))
    assert shown["folders"] == ["checkpoint", "inner"]
    assert [model["name"] for model in shown["models"]] == ["bad.gguf", "second.gguf"]
    assert shown["checkpoints"] == [{"name": "checkpoint", "form": "hugging face"}]
    assert shown["parent"] == str(tmp_path)
    assert page.refused("GET", "/folders", params={"path": str(tmp_path / "none")})[0] == 404
    added = page.post("/models", {"path": str(folder / "second.gguf")})
    assert [model["name"] for model in added] == ["second"]
    assert page.refused("POST", "/models", {"path": str(folder / "bad.gguf")})[0] == 503
    assert page.refused("POST", "/models", {"path": str(folder / "none.gguf")})[0] == 404
    chat = page.post("/chats", {"model": "second", "settings": {"temperature": 0}})["id"]
    assert page.ask(chat, "12加30等于多少？")["model"] == "second"
    server.stop()
    _, page = start_page(data=data)
    assert [model["name"] for model in page.get("/models")] == ["demo", "second"]
    other = page.patch(f"/chats/{chat}", {"model": "demo"})
    assert other["model"] == "demo"
    assert page.ask(chat, "你好")["timings"]["cached_tokens"] >= 0  # the same vocabulary: its ids are known


def test_a_conversion(start_page: StartPage, tmp_path: Path) -> None:
    """From a folder to a model in the list; a second one is cancelled; what cannot be converted says why."""
    models = tmp_path / "models"
    _, page = start_page("--models-folder", str(models))
    events = Events(page)
    source = shutil.copytree(checkpoint_path(), tmp_path / "belle-small")
    job = page.post("/jobs", {"kind": "convert", "source": str(source), "type": "q8_0"})
    later = page.post("/jobs", {"kind": "convert", "source": str(source), "type": "q4_0"})
    page.delete(f"/jobs/{later['id']}")
    done = ended(events, job["id"])
    assert (done["state"], done["result"]) == ("finished", "belle-small-q8_0")
    assert (models / "belle-small-q8_0.gguf").is_file()
    assert "belle-small-q8_0" in [model["name"] for model in page.get("/models")]
    assert ended(events, later["id"])["state"] == "cancelled"
    bad = tmp_path / "bad"
    bad.mkdir()
    failed = ended(events, page.post("/jobs", {"kind": "convert", "source": str(bad)})["id"])
    assert failed["state"] == "failed"
    assert failed["error"]["message"]
    assert page.refused("POST", "/jobs", {"kind": "convert", "source": str(tmp_path / "none")})[0] == 404
    assert page.refused("POST", "/jobs", {"kind": "pull", "source": "../etc"})[0] == 400
    assert page.refused("POST", "/jobs", {"kind": "convert", "source": str(bad), "type": "q9"})[0] == 400
    events.close()


def ended(events: Events, id: str) -> dict[str, object]:
    event = events.wait(
        lambda event: (
            event["type"] == "job"
            and event["job"]["id"] == id
            and event["job"]["state"] in ("finished", "failed", "cancelled")
        )
    )
    return dict(event["job"])


def test_without_any_model(start: Callable[..., object], tmp_path: Path) -> None:
    server = start(BELLE_DATA=str(tmp_path))
    page = PageClient(server.address)  # type: ignore[attr-defined]
    assert page.get("/state")["models"] == []
    chat = page.chat()
    status, error = page.refused("POST", f"/chats/{chat}/answers", {"text": "你好"})
    assert (status, error["code"]) == (503, "no_model")
    assert time.time() - page.get(f"/chats/{chat}")["created"] < 60
