"""Mutations of files: bytes, JSON values and structure, a safetensors header. A seed always gives the same."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from typing import Any

from .damage import damaged

Files = dict[str, bytes]
NESTED = "[" * 100_000 + "]" * 100_000
DEEP = '{"a":' * 300 + "1" + "}" * 300
# Texts of JSON values, well-formed and not, that no such file should have.
VALUES = [
    "null", "true", '"text"', '""', "[]", "{}", "0", "-1", "-0", "1.5", "1e999", "-1e-320", "NaN", "Infinity", "1e40",
    "640000000", "4294967296", "18446744073709551615", "18446744073709551616", "9" * 300, "9" * 5000, "1" + "0" * 400,
    '"' + "x" * 100_000 + '"', r'"\ud800"', r'"\ud83d\ude00"', r'"a\u0000b\nc"', '"你好"', '["a","b"]', '{"a":1}',
    "[[0]]", NESTED, DEEP, "[" + "0," * 50_000 + "0]", "2", "3", "16", "64", "127", "16777216", "16777217",
]  # fmt: skip
DTYPES = ["F32", "F16", "BF16", "I32", "F64", "U8", "BOOL", "F8_E4M3", "F4", "C64", "f32", "F33", "I64"]


class Raw(str):
    """JSON text put in as it is."""


def mutated(files: Files, seed: int) -> tuple[Files, str]:
    """(other files, what was done): one file, once or twice."""
    choose = random.Random(seed)
    result = dict(files)
    name = choose.choice(sorted(files))
    what = []
    for _ in range(choose.choice([1, 1, 1, 2])):
        result[name], done = _mutated_file(name, result[name], choose)
        what.append(done)
    return result, f"{name}: {', '.join(what)}"


def mutated_safetensors(data: bytes, choose: random.Random) -> tuple[bytes, str]:
    """Its header as JSON, the length of it, its data, or its bytes."""
    kind = choose.choice(
        ["offsets", "offsets", "entry", "entry", "json", "length", "data", "bytes", "bytes", "order"]
    )
    n_header = int.from_bytes(data[:8], "little")
    head, body = data[8 : 8 + n_header], data[8 + n_header :]
    if kind == "bytes" or 8 + n_header > len(data) or not n_header:
        return damaged(data, min(len(data), 8 + n_header), choose.randrange(1 << 30))
    if kind == "length":
        other = choose.choice(
            [0, 1, n_header - 1, n_header + 1, 100_000_001, (1 << 64) - 1, len(data), len(data) - 8]
        )
        return struct.pack("<Q", other) + data[8:], f"length {other}"
    if kind == "data":
        n_bytes = choose.choice([1, 4, 64])
        body = choose.choice([body[:-n_bytes], body + bytes(n_bytes), body[n_bytes:]])
        return data[: 8 + n_header] + body, f"{n_bytes} bytes of data"
    try:
        header = json.loads(head)
    except (ValueError, RecursionError):
        return damaged(data, min(len(data), 8 + n_header), choose.randrange(1 << 30))
    if kind == "order":  # no damage: blanks, and keys in any order
        names = choose.sample(sorted(header), len(header))
        head, what = (
            json.dumps({name: header[name] for name in names}, indent=1).encode() + b" " * 5,
            "of keys",
        )
    elif kind == "json":
        head, what = mutated_json(head, choose)
    else:
        what = (_other_offsets if kind == "offsets" else _other_entry)(header, choose)
        head = _text(header).encode()
    return struct.pack("<Q", len(head)) + head + body, f"{kind} {what}"


def _other_offsets(header: dict[str, Any], choose: random.Random) -> str:
    names = [name for name, entry in header.items() if _has_offsets(entry)]
    if not names:
        return "nothing"
    entry, other = header[choose.choice(names)], header[choose.choice(names)]
    step = choose.choice([-8, -4, -1, 1, 4, 8, 1 << 40])
    operation = choose.randrange(6)
    offsets = list(entry["data_offsets"])
    if operation == 0:
        entry["data_offsets"] = other["data_offsets"]
    elif operation == 1:
        entry["data_offsets"], other["data_offsets"] = other["data_offsets"], offsets
    elif operation == 2:
        entry["data_offsets"] = [offset + step for offset in offsets]
    elif operation == 3:
        entry["data_offsets"][choose.randrange(len(offsets))] += step
    elif operation == 4:
        entry["data_offsets"] = offsets[::-1]
    else:
        for name in names:
            header[name]["data_offsets"] = [offset + step for offset in header[name]["data_offsets"]]
    return f"{operation} by {step}"


def _has_offsets(entry: Any) -> bool:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    return isinstance(offsets, list) and bool(offsets) and all(type(offset) is int for offset in offsets)


def _other_entry(header: dict[str, Any], choose: random.Random) -> str:
    name = choose.choice(sorted(header))
    entry = header[name]
    operation = choose.randrange(7)
    if operation == 0 or not isinstance(entry, dict) or not isinstance(entry.get("shape"), list):
        header[name] = Raw(choose.choice(VALUES))
    elif operation == 1:
        del header[name]
    elif operation == 2:
        entry["dtype"] = choose.choice(DTYPES)
    elif operation == 3 and len(entry["shape"]) > 1:
        entry["shape"] = entry["shape"][::-1]
    elif operation == 4:
        entry["shape"] = choose.choice(
            [[*entry["shape"], 1], [*entry["shape"], 0], entry["shape"][:-1], [1] * 80]
        )
    elif operation == 5:
        entry["extra"] = Raw(choose.choice(VALUES))
    else:
        header[f"{name}.copy"] = entry
    return f"{operation} at {name[:40]}"


def mutated_json(content: bytes, choose: random.Random) -> tuple[bytes, str]:
    """A value replaced, a key left out, doubled or added, another encoding, a cut, damaged bytes."""
    try:
        value = json.loads(content)
        text = content.decode()
    except (ValueError, RecursionError):
        return (
            damaged(content, len(content), choose.randrange(1 << 30)) if content else (b"{}", "empty object")
        )
    operation = choose.choice(["value"] * 6 + ["key"] * 3 + ["encoding", "cut", "bytes"])
    if operation == "encoding":
        encoded = {
            "utf-8-sig": b"\xef\xbb\xbf" + content, "utf-16": text.encode("utf-16"), "utf-32": text.encode("utf-32"),
            "gbk": text.encode("gbk", "replace"), "latin": text.encode("latin-1", "replace") + b"\xe9",
            "nested": NESTED.encode(), "empty": b"", "list": b"[" + content + b"]",
        }  # fmt: skip
        name = choose.choice(sorted(encoded))
        return encoded[name], name
    if operation == "cut":
        return content[: choose.randrange(len(content) + 1)], "cut"
    if operation == "bytes" or not isinstance(value, dict) or not value:
        return (
            damaged(content, len(content), choose.randrange(1 << 30)) if content else (b"{}", "empty object")
        )
    inner: Any = value
    while True:
        places: list[Any] = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        place = choose.choice(places)
        if isinstance(inner[place], (dict, list)) and inner[place] and choose.random() < 0.7:
            inner = inner[place]
            continue
        break
    if operation == "value":
        inner[place] = Raw(choose.choice(VALUES)) if choose.random() < 0.7 else choose.choice(_leaves(value))
    elif isinstance(inner, dict):
        action = choose.choice(["delete", "twice", "add", "rename"])
        if action == "twice":
            inner[Key(str(place))] = Raw(choose.choice(VALUES))
        elif action == "add":
            inner[f"{place}_"] = choose.choice(_leaves(value))
        else:
            moved = inner.pop(place)
            if action == "rename":
                inner[choose.choice(["", "x", "\n", "a" * 5000, *map(str, places)])] = moved
    else:
        del inner[place]
    return _text(value).encode("utf-8", "surrogatepass"), f"{operation} at {str(place)[:40]}"


class Key(str):
    """Equal to no other key, so that an object can have one twice."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def _leaves(value: Any) -> list[Any]:
    """Values that stand elsewhere in the file."""
    if isinstance(value, Raw):
        return ["raw"]
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)][:500] or [{}]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)][:500] or [[]]
    return [value]


def _text(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(key))}:{_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value)


def _mutated_file(name: str, content: bytes, choose: random.Random) -> tuple[bytes, str]:
    if not content:
        return b"\0", "one byte"
    if name.endswith(".safetensors") and len(content) > 8:
        return mutated_safetensors(content, choose)
    mutate: Callable[[bytes, random.Random], tuple[bytes, str]] = mutated_json
    if name.endswith(".json"):
        return mutate(content, choose)
    n_start = min(len(content), 8000)  # of weights: headers, the vocabulary
    return damaged(content, n_start, choose.randrange(1 << 30))
