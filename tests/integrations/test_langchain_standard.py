"""LangChain's own tests of chat models, as its partner packages run them.

`langchain-tests` brings eight plugins of pytest for all tests, so no extra installs it. By hand:
pip install langchain-tests, then pytest -n 0 -o asyncio_mode=auto tests/integrations/test_langchain_standard.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_tests", reason="LangChain's own tests: pip install langchain-tests")
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from belle_edge import Belle
from belle_edge.integrations.langchain import ChatBelle
from belle_edge.integrations.shared_models import shared_model


class _Demo:
    """What both suites ask of a model: the demonstration's, without chance."""

    @pytest.fixture(autouse=True)
    def _loaded(self, converted: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> Belle:
        """Held, so that it is loaded once."""
        monkeypatch.chdir(converted("bloom", "q4_0").parent)
        return shared_model("bloom-q4_0.gguf", {})

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatBelle

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "bloom-q4_0.gguf"}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        """timeout, max_retries and an API key are settings of services: ours refuses them by name."""
        return {"temperature": 0, "max_tokens": 100, "stop": []}

    @property
    def has_tool_calling(self) -> bool:
        return False


class TestUnit(_Demo, ChatModelUnitTests):
    @property
    def has_structured_output(self) -> bool:
        return True


class TestIntegration(_Demo, ChatModelIntegrationTests):
    @property
    def has_structured_output(self) -> bool:
        """Not of its schemas: the demonstration model ends no text by itself. test_langchain.py has bounded ones."""
        return False
