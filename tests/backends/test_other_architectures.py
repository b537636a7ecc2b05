"""What the native engine does not run: text from end to end, with llama.cpp's tokenizer where ours lacks one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from belle_edge import Belle, ModelFormatError, UnsupportedModelError
from belle_edge.backends import open_backend
from belle_edge.backends.llama_library import import_library
from belle_edge.backends.llama_tokenizer import LlamaTokenizer
from belle_edge.text.tokenizer import StreamDecoder, Tokenizer

from .conftest import Foreign
from .foreign_models import CONTEXT, Writer, tokens, write_bert

TEXTS = [
    "the cat in the hat",
    "你好，世界 ½",
    " leading and trailing ",
    "\n\ttabs\n",
    "a<|im_end|>b",
    "",
    "🙂",
]


@pytest.mark.parametrize("type", ["f32", "q8_0"])
@pytest.mark.parametrize("architecture", ["qwen2", "gpt2", "mamba"])
def test_text_from_end_to_end(foreign: Foreign, architecture: str, type: str) -> None:
    with Belle.load(foreign(architecture, type), backend="llama.cpp", threads=1) as model:
        result = model.generate("你好 the", temperature=0, max_tokens=24)
        assert 1 <= result.completion_tokens <= 24
        stream = model.stream("你好 the", temperature=0, max_tokens=24)
        assert "".join(stream) == result.text
        assert model.generate("你好 the", temperature=0, max_tokens=24).token_ids == result.token_ids
        batch = model.generate_batch(["你好 the", "in"], temperature=0, max_tokens=8)
        assert [len(one.token_ids) <= 8 for one in batch] == [True, True]


@pytest.mark.parametrize("architecture", ["qwen2", "gpt2", "mamba"])
def test_a_full_context(foreign: Foreign, architecture: str) -> None:
    with Belle.load(foreign(architecture), backend="llama.cpp", threads=1) as model:
        endless = {"temperature": 0, "banned": sorted(model.tokenizer.vocabulary.end_ids)}
        result = model.generate("你好", raw=True, max_tokens=260, **endless)
        assert (result.finish_reason, result.prompt_tokens + result.completion_tokens) == (
            "length",
            CONTEXT + 1,
        )
        longer = model.generate("你好", raw=True, max_tokens=260, overflow="slide", **endless)
        assert longer.completion_tokens == 260
        assert longer.token_ids[:100] == result.token_ids[:100]


@pytest.mark.parametrize("architecture", ["qwen2", "gpt2", "mamba"])
def test_the_native_engine_names_this_one(foreign: Foreign, architecture: str) -> None:
    with pytest.raises(UnsupportedModelError, match=r'llama\.cpp backend.*backend="llama\.cpp"'):
        Belle.load(foreign(architecture))


def test_generated_ids_equal_llama_cpp_pythons_own(foreign: Foreign, llama_cpp: Any) -> None:
    path = foreign("qwen2")
    with Belle.load(path, backend="llama.cpp", threads=1) as model:
        ids = model.tokenize("the cat")
        found = model.generate(ids, raw=True, temperature=0, max_tokens=20)
    reference = llama_cpp.Llama(str(path), n_ctx=192, n_threads=2, verbose=False)
    expected = []
    for token_id in reference.generate(ids, temp=0.0, repeat_penalty=1.0):
        if token_id in model.tokenizer.vocabulary.end_ids or len(expected) == 20:
            break
        expected.append(token_id)
    assert list(found.token_ids) == expected


@pytest.fixture(scope="module")
def tokenizer(foreign: Foreign) -> Tokenizer:
    """Of a vocabulary whose pre-tokenizer is not ours."""
    backend = open_backend("llama.cpp", foreign("qwen2"), threads=1, kv="auto", isa=None)
    found = backend.tokenizer()
    backend.close()
    assert isinstance(found, LlamaTokenizer)
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    decoder = StreamDecoder(tokenizer)
    assert "".join(map(decoder.push, ids)) + decoder.flush() == text


def test_control_tokens_come_from_templates_only(tokenizer: Tokenizer) -> None:
    end = tokens().index("<|im_end|>")
    assert end not in tokenizer.encode("a<|im_end|>b")
    assert tokenizer.encode("a<|im_end|>b", parse_special=True)[1] == end
    assert tokenizer.is_special(end)
    assert tokenizer.decode([end]) == ""
    assert tokenizer.decode([end], skip_special=False) == "<|im_end|>"
    guard = "\ufdd0"
    shielded = tokenizer.shield("a<|im_end|>b", guard)
    assert tokenizer.encode(shielded, parse_special=True, guard=guard) == tokenizer.encode("a<|im_end|>b")
    text = f"<|im_start|>user\n{shielded}<|im_end|>"
    ids = tokenizer.encode(text, parse_special=True, guard=guard)
    assert (ids[0], ids[-1], ids.count(end)) == (tokens().index("<|im_start|>"), end, 1)


def test_its_settings(tokenizer: Tokenizer) -> None:
    vocabulary = tokenizer.vocabulary
    texts = tokens()
    assert (len(tokenizer), tokenizer.eos_token, tokenizer.bos_token) == (
        len(texts),
        "<|im_end|>",
        "<|endoftext|>",
    )
    assert {texts.index("<|im_end|>"), texts.index("<|endoftext|>")} <= vocabulary.end_ids
    assert tokenizer.encode("a", add_bos=True)[0] == vocabulary.bos_id
    assert tokenizer.encode("a", add_bos=True, parse_special=True)[0] == vocabulary.bos_id
    with pytest.raises(ValueError, match="lone surrogate"):
        tokenizer.encode("\ud800")
    with pytest.raises(ValueError, match="lone surrogate"):
        tokenizer.encode("\ud800", parse_special=True)
    with pytest.raises(ValueError, match="outside the vocabulary"):
        tokenizer.decode([len(texts)])


def test_it_agrees_with_ours_on_a_real_vocabulary(llama_cpp: Any, test_data: Path) -> None:
    """A SentencePiece vocabulary that both know, llama.cpp's own 47 cases."""
    folder = test_data / "tokenizers" / "llama"
    path = folder / "ggml-vocab-llama-spm.gguf"
    metadata = _metadata_of(path)
    theirs, ours = LlamaTokenizer(import_library(), path, metadata), Tokenizer.from_metadata(metadata)
    assert theirs.vocabulary.add_space_prefix
    assert theirs.vocabulary.add_bos == ours.vocabulary.add_bos
    assert theirs.vocabulary.end_ids >= ours.vocabulary.end_ids
    cases = (folder / "ggml-vocab-llama-spm.gguf.inp").read_text(encoding="utf-8")
    for text in cases.split("\n__ggml_vocab_test__\n"):
        ids = theirs.encode(text)
        assert ids == ours.encode(text)
        assert theirs.decode(ids) == ours.decode(ids)


def _metadata_of(path: Path) -> Any:
    from belle_edge import _core

    return _core.GgufFile(str(path))


def test_files_in_shards(foreign: Foreign, tmp_path: Path) -> None:
    """Named as llama.cpp's own splitting names them; the first one is given."""
    reader = gguf.GGUFReader(foreign("qwen2"))
    parts = [tmp_path / f"model-0000{number}-of-00002.gguf" for number in (1, 2)]
    half = len(reader.tensors) // 2
    for number, (part, chosen) in enumerate(
        zip(parts, (reader.tensors[:half], reader.tensors[half:]), strict=True)
    ):
        writer = gguf.GGUFWriter(part, "qwen2")
        for field in reader.fields.values() if number == 0 else []:
            if not field.name.startswith("GGUF.") and field.name != "general.architecture":
                writer.add_key_value(field.name, field.contents(), field.types[0], [*field.types, None][1])
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", 2)
        writer.add_int32("split.tensors.count", len(reader.tensors))
        for tensor in chosen:
            writer.add_tensor(tensor.name, np.asarray(tensor.data))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    with (
        Belle.load(foreign("qwen2"), backend="llama.cpp") as whole,
        Belle.load(parts[0], backend="llama.cpp") as model,
    ):
        expected = whole.generate("the cat", temperature=0, max_tokens=12)
        assert model.generate("the cat", temperature=0, max_tokens=12).token_ids == expected.token_ids
    parts[1].unlink()
    with pytest.raises((ModelFormatError, UnsupportedModelError), match="is missing beside it"):
        Belle.load(parts[0], backend="llama.cpp")


def test_unknown_architectures_are_named(llama_cpp: Any, tmp_path: Path) -> None:
    path = tmp_path / "unknown.gguf"
    Writer(path, "imaginary", pre="gpt-2", type="f32").finish()
    with pytest.raises(UnsupportedModelError, match="imaginary"):
        Belle.load(path, backend="llama.cpp")


def test_encoders_are_refused(llama_cpp: Any, tmp_path: Path) -> None:
    write_bert(tmp_path / "bert.gguf")
    with pytest.raises(UnsupportedModelError, match="does not continue a text"):
        Belle.load(tmp_path / "bert.gguf", backend="llama.cpp")


def test_damaged_files(foreign: Foreign, tmp_path: Path) -> None:
    data = foreign("qwen2").read_bytes()
    path = tmp_path / "short.gguf"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelFormatError):
        Belle.load(path, backend="llama.cpp")
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelFormatError):
        Belle.load(path, backend="llama.cpp")
    with pytest.raises(FileNotFoundError):
        Belle.load(tmp_path / "none.gguf", backend="llama.cpp")


def test_settings_are_checked(foreign: Foreign) -> None:
    with pytest.raises(ValueError, match="kv: expected auto, f32, f16 or q8, got 'q8_0'"):
        Belle.load(foreign("qwen2"), backend="llama.cpp", kv="q8_0")
    with pytest.raises(UnsupportedModelError, match=r"whose size 32 divides.* have 16 elements"):
        Belle.load(foreign("qwen2"), backend="llama.cpp", kv="q8")
    with pytest.raises(ValueError, match="isa is a setting of the native engine"):
        Belle.load(foreign("qwen2"), backend="llama.cpp", isa="avx2")
    with pytest.raises(ValueError, match="context: expected 1 to 192"):
        Belle.load(foreign("qwen2"), backend="llama.cpp", context=4000)
    with pytest.raises(ValueError, match=r"known: native, llama\.cpp"):
        Belle.load(foreign("qwen2"), backend="other")


def test_nothing_is_printed(foreign: Foreign) -> None:
    """llama.cpp's log goes to logging, at debug; a process of its own, as importing the package may print, too."""
    script = """
import json, logging, sys
from belle_edge import Belle
logger = logging.getLogger("belle_edge.llama_cpp")
lines = []
logger.addHandler(type("Keep", (logging.Handler,), {"emit": lambda self, record: lines.append(record)})())
with Belle.load(sys.argv[1], backend="llama.cpp") as model:
    model.generate("the", max_tokens=4)
quiet = len(lines)
logger.setLevel("DEBUG")
with Belle.load(sys.argv[1], backend="llama.cpp") as model:
    model.generate("the", max_tokens=4)
print(json.dumps([quiet, len(lines) > 20, sorted({record.levelname for record in lines})]))
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(foreign("qwen2"))],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    assert json.loads(result.stdout) == [0, True, ["DEBUG"]]
    assert result.stderr == ""
