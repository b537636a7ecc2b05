"""Damaged tokenizer tables: small sound ones, a list of edits, texts to encode; all of it JSON.

`random_case` makes one, `tables_of` applies its edits, `check_case` builds the tokenizer and uses it. Only the
documented errors may come out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from belle_edge.errors import ModelFormatError, UnsupportedModelError
from belle_edge.text.tokenizer import StreamDecoder, Tokenizer

PREFIX = "tokenizer.ggml."
Case = dict[str, Any]  # {"model": "gpt2" or "llama", "edits": [[operation, key, ...], ...], "texts": [...]}
Choose = Callable[[int], int]  # choose(n) → 0 … n - 1

TEXTS = [
    "",
    " ",
    "the dog  sleeps",
    "你好，世界。",
    "a\x00b",
    "<s>x</s>",
    "<|im_end|>",
    "<0x0A>\n\r\t",
    "🙂👨‍👩‍👧",
    "\ufffd\u2581\u2581a",
    "x" * 300,
    "\ud800",
    "e\u0301\u200d\u202e",
]
WORDS = ["", "a", "b", "the", "\u2581", "\u2581the", "<s>", "<0x41>", "<0xZZ>", "Ġ", "Ġt", "h e", " ", "  "]
WORDS += [
    "t h",
    "你",
    "ä½ł",
    "\udcff\udce4",
    "\ud800",
    "\ufffd3",
    "\x00",
    "a" * 5000,
    "<|im_end|>",
    "\\",
    "(",
]
WORDS += ["\ufffdunknown"]
NUMBERS: list[Any] = [0, 1, 2, 3, 4, 5, 6, 7, -1, 255, 2**31, 0xFFFFFFFF, 2**63, 2**64 - 1, 0.5, -1e30, 1e39]
NUMBERS += [float("nan"), float("inf"), True, False]
DTYPES = ["u1", "i1", "<u2", "<i4", "<f4", "?", "<u8", "<f8"]
ARRAYS = ("tokens", "token_type", "scores", "merges")
SCALARS = (
    "model",
    "pre",
    "bos_token_id",
    "eos_token_id",
    "unknown_token_id",
    "padding_token_id",
    "eot_token_id",
)
SCALARS += ("add_bos_token", "add_eos_token", "add_space_prefix")
MODELS = ("gpt2", "llama", "bert", "", "rwkv")
PRE_TOKENIZERS = ("bloom", "gpt-2", "llama-bpe", "", "unheard-of")


def sound_tables(model: str) -> dict[str, Any]:
    """Tables that build: every byte, a few merges or pieces, the usual special tokens."""
    if model == "llama":
        words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
        words += ["\u2581", "t", "h", "e", "th", "the", "\u2581the", "\u2581t", "你", "好", "你好"]
        kinds = [2, 3, 3, *[6] * 256, *[1] * 11]
        tables: dict[str, Any] = {"scores": [-float(index) for index in range(len(words))]}
    else:
        words = ["<unk>", "<s>", "</s>", "<pad>", *byte_alphabet(), "th", "the", "Ġt", "Ġthe", "ä½", "ä½ł"]
        kinds = [3, 3, 3, 3, *[1] * 262]
        tables = {"merges": ["t h", "th e", "Ġ t", "Ġt he", "ä ½", "ä½ ł"], "pre": "bloom"}
        words.append("he")
        kinds.append(1)
    tables |= {"model": model, "tokens": words, "token_type": kinds, "bos_token_id": 1, "eos_token_id": 2}
    return {f"{PREFIX}{key}": value for key, value in tables.items()}


def byte_alphabet() -> list[str]:
    """GPT-2's 256 characters that stand for bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    n_others = 256 - len(printable)
    return [chr(byte) for byte in printable] + [chr(0x100 + index) for index in range(n_others)]


def random_case(choose: Choose) -> Case:
    """One to three edits of sound tables, and two texts."""
    edits = [_random_edit(choose) for _ in range(1 + choose(3))]
    texts = [TEXTS[choose(len(TEXTS))] for _ in range(2)]
    return {"model": ("gpt2", "llama")[choose(2)], "edits": edits, "texts": texts}


def _random_edit(choose: Choose) -> list[Any]:
    key = ARRAYS[choose(len(ARRAYS))] if choose(4) else SCALARS[choose(len(SCALARS))]
    if key in SCALARS:
        return ["delete", key] if choose(8) == 0 else ["set", key, _random_scalar(key, choose)]
    operation = (
        "item",
        "item",
        "item",
        "item",
        "length",
        "append",
        "drop",
        "swap",
        "dtype",
        "delete",
        "set",
        "copy",
    )[choose(12)]
    if operation == "item":
        return ["item", key, choose(300), _random_item(key, choose)]
    if operation == "length":
        return ["length", key, choose(300)]
    if operation == "append":
        return ["append", key, _random_item(key, choose)]
    if operation == "swap" or operation == "copy":
        return [operation, key, choose(300), choose(300)]
    if operation == "drop":
        return ["drop", key, choose(300)]
    if operation == "dtype":
        return ["dtype", key, DTYPES[choose(len(DTYPES))]]
    return ["delete", key] if operation == "delete" else ["set", key, _random_scalar(key, choose)]


def _random_item(key: str, choose: Choose) -> Any:
    if choose(16) == 0:
        return [None, [], "1", 1][choose(4)]
    if key in ("tokens", "merges"):
        return WORDS[choose(len(WORDS))]
    return NUMBERS[choose(len(NUMBERS))]


def _random_scalar(key: str, choose: Choose) -> Any:
    if choose(8) == 0:
        return ["text", [1, 2], [], "", 1.5, ["a"]][choose(6)]
    if key == "model":
        return MODELS[choose(len(MODELS))]
    if key == "pre":
        return PRE_TOKENIZERS[choose(len(PRE_TOKENIZERS))]
    if key.startswith("add_"):
        return [True, False, 0, 1][choose(4)]
    return NUMBERS[choose(len(NUMBERS))] if choose(2) else choose(300)


def tables_of(case: Case) -> dict[str, Any]:
    """The metadata of a case."""
    tables = sound_tables(case["model"])
    for operation, name, *arguments in case["edits"]:
        key = PREFIX + name
        values = tables.get(key)
        if operation == "delete":
            tables.pop(key, None)
        elif operation == "set":
            tables[key] = arguments[0]
        elif isinstance(values, list) and values:
            _edit_list(tables, key, operation, arguments)
    return tables


def _edit_list(tables: dict[str, Any], key: str, operation: str, arguments: list[Any]) -> None:
    values = tables[key]
    index = arguments[0] % len(values) if isinstance(arguments[0], int) else 0
    if operation == "item":
        values[index] = arguments[1]
    elif operation == "length":
        tables[key] = (values * 2)[: arguments[0]]
    elif operation == "append":
        values.append(arguments[0])
    elif operation == "drop":
        del values[index]
    elif operation == "swap":
        other = arguments[1] % len(values)
        values[index], values[other] = values[other], values[index]
    elif operation == "copy":
        values[arguments[1] % len(values)] = values[index]
    elif operation == "dtype":
        try:
            tables[key] = np.array(values, arguments[0])
        except (ValueError, TypeError, OverflowError):
            return


def check_case(case: Case) -> str:
    """Builds and uses the tokenizer: "built", or the name of the documented error. Anything else is raised."""
    try:
        tokenizer = Tokenizer.from_metadata(tables_of(case))
    except (ModelFormatError, UnsupportedModelError) as error:
        if "[tokenizer]" not in str(error):
            raise AssertionError("an error that does not say where") from error
        return type(error).__name__
    for text in case["texts"]:
        for parse_special in (False, True):
            _use(tokenizer, text, parse_special)
    for token_id in range(len(tokenizer)):
        assert isinstance(tokenizer.token_bytes(token_id), bytes)
    return "built"


def _use(tokenizer: Tokenizer, text: str, parse_special: bool) -> None:
    try:
        ids = tokenizer.encode(text, parse_special=parse_special)
    except ValueError as error:
        if "not valid Unicode" in str(error) and "\ud800" in text:
            return
        raise
    assert all(0 <= token_id < len(tokenizer) for token_id in ids), (text, ids, len(tokenizer))
    decoder = StreamDecoder(tokenizer)
    streamed = "".join([decoder.push(token_id) for token_id in ids]) + decoder.flush()
    assert streamed == tokenizer.decode(ids)
    streamed.encode()  # no surrogate may come out
    tokenizer.shield(text, "\x01")
