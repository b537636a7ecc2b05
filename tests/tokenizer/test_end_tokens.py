"""What ends a generation in files of others, held against llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import pytest

from belle_edge.text.end_tokens import _SHORT_TEXTS, _TEXTS
from belle_edge.text.vocabulary import TokenType, Vocabulary

from .hard_texts import telling_vocabulary

NORMAL, CONTROL, USER_DEFINED = TokenType.NORMAL, TokenType.CONTROL, TokenType.USER_DEFINED
N_TOKENS = 400


def with_tokens(texts: list[str], kind: int, **keys: int) -> dict[str, Any]:
    """A vocabulary with these tokens at its end. keys: name -> which of them."""
    tables = dict(telling_vocabulary(N_TOKENS))
    first = len(tables["tokenizer.ggml.tokens"])
    tables["tokenizer.ggml.tokens"] = [*tables["tokenizer.ggml.tokens"], *texts]
    tables["tokenizer.ggml.token_type"] = [*tables["tokenizer.ggml.token_type"], *[int(kind)] * len(texts)]
    named = {f"tokenizer.ggml.{key}_token_id": first + index for key, index in keys.items()}
    return {**tables, **named, "tokenizer.ggml.pre": "gpt-2"}


def end_texts(tables: dict[str, Any]) -> set[str]:
    """Without EOS."""
    vocabulary = Vocabulary.from_metadata(tables)
    assert all(vocabulary.types[token_id] == CONTROL for token_id in vocabulary.end_ids)
    return {vocabulary.tokens[token_id] for token_id in vocabulary.end_ids} - {"</s>"}


CASES: list[tuple[list[str], int, dict[str, int]]] = [
    (sorted(_TEXTS - {"<|return|>", "<|flush|>", "<|tool_response>"}), CONTROL, {}),
    (sorted(_TEXTS - {"<|return|>", "<|flush|>", "<|tool_response>"}), USER_DEFINED, {}),
    (sorted(_TEXTS - {"<|return|>", "<|flush|>", "<|tool_response>"}), NORMAL, {}),
    (["<|end|>", "<|return|>"], CONTROL, {}),
    (["<|end|>", "<|return|>", "<|call|>"], CONTROL, {}),
    (["<|end|>", "<|flush|>", "<|calls|>"], CONTROL, {}),
    (sorted(_SHORT_TEXTS - {"</s>"}), CONTROL, {}),
    (["<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"], CONTROL, {}),
    (["<reponame>", "[PAD]"], USER_DEFINED, {}),
    (
        ["<a>", "<b>", "<c>", "<d>", "<e>"],
        CONTROL,
        {"eot": 0, "eom": 1, "fim_pad": 2, "fim_rep": 3, "fim_sep": 4},
    ),
    (["<|fim_pad|>", "<b>"], CONTROL, {"fim_pad": 1}),
    (["<|im_start|>", "<|user|>", "<unused1>"], CONTROL, {}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("texts", "kind", "keys"), CASES)
def test_as_llama_cpp(texts: list[str], kind: int, keys: dict[str, int], tmp_path: Path) -> None:
    pytest.importorskip(
        "llama_cpp", reason="llama-cpp-python is not installed: pip install 'belle-edge[llama]'"
    )
    from belle_edge.backends.llama_library import import_library
    from belle_edge.backends.llama_tokenizer import LlamaTokenizer

    tables = with_tokens(texts, kind, **keys)
    writer = gguf.GGUFWriter(tmp_path / "vocabulary.gguf", "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tables["tokenizer.ggml.tokens"])
    writer.add_token_types(tables["tokenizer.ggml.token_type"])
    writer.add_token_merges(tables["tokenizer.ggml.merges"])
    for key, value in tables.items():
        if key.endswith("_token_id"):
            writer.add_uint32(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    theirs = LlamaTokenizer(import_library(), tmp_path / "vocabulary.gguf", tables).vocabulary
    ours = Vocabulary.from_metadata(tables)
    assert ours.end_ids == theirs.end_ids
    assert (ours.bos_id, ours.eos_id, ours.add_bos, ours.add_eos) == (
        theirs.bos_id, theirs.eos_id, theirs.add_bos, theirs.add_eos,
    )  # fmt: skip


def test_an_ordinary_word_ends_nothing() -> None:
    assert end_texts(with_tokens(["[EOS]", "<EOT>", "<PAD>", "[PAD]"], NORMAL)) == set()
    assert end_texts(with_tokens(["[EOS]", "<EOT>", "<PAD>", "[PAD]"], CONTROL)) == {
        "[EOS]",
        "<EOT>",
        "<PAD>",
    }
    assert end_texts(with_tokens(["<|im_end|>", "[EOS]"], NORMAL)) == {"<|im_end|>"}


def test_our_own_files_say_what_their_tokens_are() -> None:
    tables = with_tokens(["<|im_end|>"], USER_DEFINED)
    own = Vocabulary.from_metadata({**tables, "belle.tokenizer.compared_texts": 100})
    token_id = len(own) - 1
    assert token_id in own.end_ids
    assert own.types[token_id] == USER_DEFINED
    assert Vocabulary.from_metadata(tables).types[token_id] == CONTROL


@pytest.mark.slow
def test_the_published_smollm2(test_data: Path) -> None:
    """Its ids, its template, and what ends its answers."""
    pytest.importorskip(
        "llama_cpp", reason="llama-cpp-python is not installed: pip install 'belle-edge[llama]'"
    )
    from belle_edge._core import GgufFile
    from belle_edge.backends.llama_library import import_library
    from belle_edge.backends.llama_tokenizer import LlamaTokenizer
    from belle_edge.text.chat_format import ChatFormat
    from belle_edge.text.tokenizer import Tokenizer

    from .hard_texts import hard_texts

    (path,) = (test_data / "models/smollm2-135m-instruct").glob("*.gguf")
    file = GgufFile(str(path))
    ours, theirs = Tokenizer.from_metadata(file), LlamaTokenizer(import_library(), path, file)
    for text in hard_texts():
        assert ours.encode(text) == theirs.encode(text), repr(text)
    assert ours.vocabulary.end_ids == theirs.vocabulary.end_ids
    ids = ChatFormat.from_metadata(file).encode(ours, [{"role": "user", "content": "2 + 2 = <|im_end|>?"}])
    text = (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\n2 + 2 = <|im_end|>?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert ours.decode(ids, skip_special=False) == text
    assert ids.count(ours.vocabulary.eos_id) == 2, "not the one that the user wrote"
