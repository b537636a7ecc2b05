"""Writes a GGUF in several parts, as llama.cpp's gguf-split does."""

from __future__ import annotations

from pathlib import Path

import gguf

_TYPES = gguf.GGUFValueType


def part_name(stem: str, number: int, count: int) -> str:
    """number from 0."""
    return f"{stem}-{number + 1:05d}-of-{count:05d}.gguf"


def split(source: Path, folder: Path, *, n_parts: int = 3, stem: str = "model") -> list[Path]:
    """The parts of `source`, tensors in order, all metadata in the first."""
    reader = gguf.GGUFReader(source)
    n, paths = len(reader.tensors), []
    for number in range(n_parts):
        path = folder / part_name(stem, number, n_parts)
        writer = gguf.GGUFWriter(path, str(reader.fields["general.architecture"].contents()))
        for key in reader.fields if number == 0 else ():
            if not key.startswith("GGUF.") and key != "general.architecture":
                copy_field(writer, reader.fields[key])
        writer.add_key_value("split.no", number, _TYPES.UINT16)
        writer.add_key_value("split.count", n_parts, _TYPES.UINT16)
        writer.add_key_value("split.tensors.count", n, _TYPES.INT32)
        for tensor in reader.tensors[number * n // n_parts : (number + 1) * n // n_parts]:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        finish(writer)
        paths.append(path)
    return paths


def copy_field(writer: gguf.GGUFWriter, field: gguf.ReaderField) -> None:
    item = field.types[-1] if len(field.types) > 1 else None
    writer.add_key_value(field.name, field.contents(), field.types[0], item)


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
