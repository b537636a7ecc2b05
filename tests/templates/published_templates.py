"""Chat templates in the manner of published models, written for these tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).with_name("published")

TEMPLATES = {path.stem: path.read_text("utf-8") for path in sorted(_FOLDER.glob("*.jinja"))}

USER: list[dict[str, Any]] = [{"role": "user", "content": '  Hi <there> & "you"\n你好 🙂 '}]
TURNS: list[dict[str, Any]] = [
    *USER,
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\nAn answer.\n"},
    {"role": "user", "content": "More 'quotes' \\ {{ no template }}"},
]
CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "user": USER,
    "turns": TURNS,
    "system": [{"role": "system", "content": "Be brief."}, *TURNS],
}
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a <city> & 天气",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]
