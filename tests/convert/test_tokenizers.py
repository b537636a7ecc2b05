"""Tokenizer tables: tokens, types, special ids, padding, settings, chat templates."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import pytest

from belle_edge.convert import convert
from belle_edge.errors import ConversionError
from belle_edge.text.prompts import FAMILIES

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def fields(path: Path) -> dict[str, Any]:
    reader = gguf.GGUFReader(path)
    return {key.removeprefix("tokenizer.ggml."): found.contents() for key, found in reader.fields.items()}


def test_bloom_tables(make_bloom: Any, tmp_path: Path) -> None:
    folder = make_bloom()
    convert(folder, tmp_path / "out.gguf")
    found = fields(tmp_path / "out.gguf")
    source = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert (found["model"], found["pre"]) == ("gpt2", "bloom")
    assert {token: i for i, token in enumerate(found["tokens"])} == source["model"]["vocab"]
    assert found["merges"] == [" ".join(merge) for merge in source["model"]["merges"]]
    assert found["token_type"] == [CONTROL] * 4 + [NORMAL] * 316
    ids = [found[f"{kind}_token_id"] for kind in ("unknown", "bos", "eos", "padding")]
    assert ids == [0, 1, 2, 3]
    assert found["add_bos_token"] is False
    assert found["tokenizer.huggingface.json"] == (folder / "tokenizer.json").read_text(encoding="utf-8")


def test_llama_tables(make_llama: Any, tmp_path: Path) -> None:
    import sentencepiece

    folder = make_llama()
    convert(folder, tmp_path / "out.gguf")
    found = fields(tmp_path / "out.gguf")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    assert (found["model"], found["pre"]) == ("llama", "default")
    assert found["tokens"] == [processor.id_to_piece(i) for i in range(400)]
    assert found["scores"] == [processor.get_score(i) for i in range(400)]
    assert found["token_type"] == [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * 141
    assert [found[f"{kind}_token_id"] for kind in ("unknown", "bos", "eos")] == [0, 1, 2]
    assert (found["add_bos_token"], found["add_eos_token"], found["add_space_prefix"]) == (True, False, True)
    assert "tokenizer.huggingface.json" not in found


def test_surplus_rows_get_unused_tokens(make_bloom: Any, make_llama: Any, tmp_path: Path) -> None:
    for make, n_tokens in ((make_bloom, 320), (make_llama, 400)):
        report = convert(make(vocab_size=n_tokens + 7), tmp_path / "out.gguf", force=True)
        found = fields(tmp_path / "out.gguf")
        assert found["tokens"][n_tokens:] == [f"[PAD{i}]" for i in range(n_tokens, n_tokens + 7)]
        assert found["token_type"][n_tokens:] == [UNUSED] * 7
        assert len(found.get("scores", found["tokens"])) == n_tokens + 7
        assert (report.n_tokens, report.n_padding_tokens) == (n_tokens + 7, 7)


def test_missing_rows_are_refused_with_both_numbers(make_bloom: Any, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"320 tokens.* 300 rows"):
        convert(make_bloom(vocab_size=300), tmp_path / "out.gguf")


def test_added_tokens(make_llama: Any, tmp_path: Path, edit_json: Any) -> None:
    folder = make_llama(vocab_size=403)
    edit_json(folder / "added_tokens.json", **{"<extra>": 400, "[PAD]": 401})
    edit_json(folder / "tokenizer_config.json", pad_token="[PAD]")
    convert(folder, tmp_path / "out.gguf")
    found = fields(tmp_path / "out.gguf")
    assert found["tokens"][400:] == ["<extra>", "[PAD]", "[PAD402]"]
    assert found["token_type"][400:] == [USER_DEFINED, CONTROL, UNUSED]
    assert found["padding_token_id"] == 401


def test_added_tokens_beyond_the_rows_are_left_out(make_llama: Any, tmp_path: Path, edit_json: Any) -> None:
    folder = make_llama()
    edit_json(folder / "added_tokens.json", **{"[PAD]": 400})
    report = convert(folder, tmp_path / "out.gguf")
    assert len(fields(tmp_path / "out.gguf")["tokens"]) == 400
    assert any("[PAD]" in warning for warning in report.warnings)


@pytest.mark.parametrize("special_map", ["{}", ""], ids=["empty-map", "no-bytes"])
@pytest.mark.parametrize(
    "config",
    [{}, {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": -1}],
    ids=["plain", "wrong-config-ids"],
)
def test_empty_special_tokens_fall_back_to_the_model(
    make_llama: Any, tmp_path: Path, edit_json: Any, config: dict[str, int], special_map: str
) -> None:
    folder = make_llama()
    empty = {"bos_token": "", "eos_token": "", "unk_token": {"content": ""}}
    (folder / "tokenizer_config.json").write_text(json.dumps(empty))
    (folder / "special_tokens_map.json").write_text(special_map)
    edit_json(folder / "config.json", **config)
    convert(folder, tmp_path / "out.gguf")
    found = fields(tmp_path / "out.gguf")
    assert [found[f"{kind}_token_id"] for kind in ("unknown", "bos", "eos")] == [0, 1, 2]
    assert "padding_token_id" not in found
    assert found["add_bos_token"] is True


def test_settings_of_the_source(make_llama: Any, tmp_path: Path, edit_json: Any) -> None:
    folder = make_llama()
    changes: dict[str, Any] = {"add_bos_token": False, "add_eos_token": True, "add_prefix_space": False}
    changes["tokenizer_class"] = "LlamaTokenizer"  # transformers' general class knows no add_prefix_space
    edit_json(folder / "tokenizer_config.json", **changes)
    convert(folder, tmp_path / "out.gguf")
    found = fields(tmp_path / "out.gguf")
    assert (found["add_bos_token"], found["add_eos_token"], found["add_space_prefix"]) == (False, True, False)


def test_llama_tokenizer_json_alone_gives_sentencepiece_order(test_data: Path) -> None:
    """LLaMA's real vocabulary: the derived scores order the pieces as the real ones do."""
    from belle_edge.convert.sentencepiece_tables import read_sentencepiece_json, read_tokenizer_model

    folder = test_data / "tokenizers" / "llama"
    original = read_tokenizer_model("tokenizer.model", (folder / "tokenizer.model").read_bytes())
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    derived = read_sentencepiece_json(content, n_rows=32_000)
    assert derived.tokens == original.tokens
    assert original.scores is not None
    assert derived.scores is not None
    multi = [i for i, token in enumerate(original.tokens) if len(token) > 1 and original.types[i] == NORMAL]
    by_original, by_derived = (
        sorted(multi, key=lambda i: -scores[i]) for scores in (original.scores, derived.scores)
    )
    assert by_original == by_derived
    assert derived.types[3:259] == [BYTE] * 256
    assert (derived.unk_id, derived.bos_id, derived.eos_id, derived.add_space_prefix) == (0, 1, 2, True)


def test_merges_that_are_apart_are_refused() -> None:
    from belle_edge.convert.sentencepiece_tables import read_sentencepiece_json

    vocabulary = {token: i for i, token in enumerate(["<unk>", "a", "b", "ab", "ba", "aba"])}
    merges = ["a b", "ab a", "b a", "a ba"]
    tokenizer = {"model": {"vocab": vocabulary, "merges": merges, "byte_fallback": True}}
    with pytest.raises(ConversionError, match=r"tokenizer\.model is needed"):
        read_sentencepiece_json(tokenizer, n_rows=len(vocabulary))


@pytest.mark.parametrize(
    ("pre_tokenizer", "expected"),
    [
        ({"type": "ByteLevel", "add_prefix_space": False}, "gpt-2"),
        ({"type": "ByteLevel", "add_prefix_space": True}, None),
        (
            {
                "type": "Sequence",
                "pretokenizers": [
                    {
                        "type": "Split",
                        "pattern": {"Regex": r"\d{1,3}"},
                        "behavior": "Isolated",
                        "invert": False,
                    },
                    {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
                ],
            },
            None,
        ),
    ],
    ids=["gpt-2", "prefix-space", "other-pattern"],
)
def test_pre_tokenizers(
    make_bloom: Any, tmp_path: Path, edit_json: Any, pre_tokenizer: Any, expected: str | None
) -> None:
    folder = make_bloom()
    edit_json(folder / "tokenizer.json", pre_tokenizer=pre_tokenizer)
    if expected:
        convert(folder, tmp_path / "out.gguf")
        assert fields(tmp_path / "out.gguf")["pre"] == expected
    else:
        with pytest.raises(ConversionError, match="unknown pre-tokenizer"):
            convert(folder, tmp_path / "out.gguf")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"model": {"type": "Unigram", "vocab": []}}', "Unigram"),
        ('{"model": {"type": "BPE", "vocab": {"a": 0}}}', "neither over bytes"),
        ('{"model": {"vocab": {"a": 99999999999}, "byte_fallback": true}}', "expected token ids"),
        ('{"model": {"vocab": {"a": 0}, "merges": ["aa"], "byte_fallback": true}}', "merge of two pieces"),
        ("{", "damaged JSON"),
        ("", "empty"),
        ("[]", "expected a JSON object"),
        (None, "no tokenizer"),
    ],
)
def test_tokenizers_that_are_refused(
    make_bloom: Any, tmp_path: Path, content: str | None, message: str
) -> None:
    folder = make_bloom()
    (folder / "tokenizer.json").unlink()
    if content is not None:
        (folder / "tokenizer.json").write_text(content)
    with pytest.raises(ConversionError, match=message):
        convert(folder, tmp_path / "out.gguf")


@pytest.mark.parametrize(
    ("damage", "message"), [(b"", "empty"), (b"\x0a\xff\xff", "damaged"), ("unigram", "UNIGRAM")]
)
def test_sentencepiece_models_that_are_refused(
    make_llama: Any, tmp_path: Path, damage: bytes | str, message: str
) -> None:
    from sentencepiece import sentencepiece_model_pb2 as protocol

    folder = make_llama()
    path = folder / "tokenizer.model"
    if isinstance(damage, str):
        model = protocol.ModelProto()
        model.ParseFromString(path.read_bytes())
        model.trainer_spec.model_type = protocol.TrainerSpec.ModelType.UNIGRAM
        damage = model.SerializeToString()
    path.write_bytes(damage)
    with pytest.raises(ConversionError, match=message):
        convert(folder, tmp_path / "out.gguf")


@pytest.mark.parametrize("family", list(FAMILIES))
def test_families_bring_template_stops_and_preset(make_llama: Any, tmp_path: Path, family: str) -> None:
    convert(make_llama(), tmp_path / "out.gguf", family=family)
    found = fields(tmp_path / "out.gguf")
    data = FAMILIES[family]
    assert found["belle.family"] == family
    assert found["tokenizer.chat_template"] == data.chat_template
    assert tuple(found.get("belle.stop_strings", ())) == data.stop_strings
    for key, value in data.preset.items():
        assert found[f"belle.sampling.{key}"] == pytest.approx(value), key
    assert found["add_bos_token"] is (True if data.add_bos is None else data.add_bos)


@pytest.mark.parametrize(
    "template", ["plain", [{"name": "tool", "template": "no"}, {"name": "default", "template": "plain"}]]
)
def test_own_template_of_other_models(make_llama: Any, tmp_path: Path, edit_json: Any, template: Any) -> None:
    folder = make_llama()
    edit_json(folder / "tokenizer_config.json", chat_template=template)
    report = convert(folder, tmp_path / "out.gguf")
    found = fields(tmp_path / "out.gguf")
    assert found["tokenizer.chat_template"] == "plain"
    assert "belle.family" not in found
    assert report.warnings == []
    (folder / "chat_template.jinja").write_text("newer")
    convert(folder, tmp_path / "out.gguf", force=True)
    assert fields(tmp_path / "out.gguf")["tokenizer.chat_template"] == "newer"


def test_no_template_is_a_warning(make_llama: Any, tmp_path: Path) -> None:
    report = convert(make_llama(), tmp_path / "out.gguf")
    assert "tokenizer.chat_template" not in fields(tmp_path / "out.gguf")
    assert any("no chat template" in warning for warning in report.warnings)


def test_extended_chinese_vocabulary(make_llama: Any, test_data: Path, tmp_path: Path) -> None:
    folder = make_llama("belle-llama-ext-7b", vocab_size=49_954, hidden_size=32, num_hidden_layers=1)
    shutil.copyfile(
        test_data / "tokenizers" / "chinese" / "merged_49953_tokenizer.model", folder / "tokenizer.model"
    )
    report = convert(folder, tmp_path / "out.gguf")
    assert report.family == "belle-ext"
    assert (report.n_tokens, report.n_padding_tokens) == (49_954, 1)
