"""A trimmed vocabulary: fewer rows, new ids, and for the kept texts the same tokens, logits and answers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from belle_edge import Belle, _core
from belle_edge.convert import ConversionReport, convert
from belle_edge.convert.sources.opening import open_checkpoint
from belle_edge.convert.sources.row_subset import RowSubset
from belle_edge.convert.sources.source_tensors import ArrayTensor
from belle_edge.convert.tokenizer_tables import read_tokenizer
from belle_edge.convert.trim.languages import ALWAYS, LANGUAGES, characters_of
from belle_edge.convert.trim.proof import compare
from belle_edge.convert.trim.selection import Selection, close, merge_ids
from belle_edge.convert.trim.trimming import trimmed_tables
from belle_edge.errors import ConversionError
from belle_edge.text.tokenizer import Tokenizer

pytestmark = pytest.mark.slow
PROMPT = "Human: 用一句话介绍北京。\n\nAssistant:"
Trimmed = Callable[..., tuple[Path, ConversionReport]]


@pytest.fixture(scope="module")
def trimmed(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trimmed:
    """(type, vocab, vocab_from) -> belle-tiny-zh cut down to it, and the report; each is converted once."""
    folder = tmp_path_factory.mktemp("trimmed")
    done: dict[Any, tuple[Path, ConversionReport]] = {}

    def get(type: str, *vocab: str, vocab_from: tuple[str, ...] = ()) -> tuple[Path, ConversionReport]:
        key = (type, vocab, vocab_from)
        if key not in done:
            path = folder / f"{len(done)}.gguf"
            texts = [test_data / "text" / name for name in vocab_from]
            source = test_data / "models" / "belle-tiny-zh"
            report = convert(source, path, type=type, family="belle", vocab=vocab, vocab_from=texts)
            done[key] = (path, report)
        return done[key]

    return get


def tokenizer_of(path: Path) -> Tokenizer:
    return Tokenizer.from_metadata(_core.GgufFile(str(path)))


def fields(path: Path) -> dict[str, Any]:
    return {key: field.contents() for key, field in gguf.GGUFReader(path).fields.items()}


def old_ids(before: Tokenizer, after: Tokenizer) -> list[int]:
    """The id before of each id after, by the tokens' texts."""
    ids = {text: token_id for token_id, text in enumerate(before.vocabulary.tokens)}
    return [ids[text] for text in after.vocabulary.tokens]


def chinese_and_english(test_data: Path) -> Iterator[str]:
    folder = test_data / "text"
    for name in ("eval_set.json", "zh_seed_tasks.json"):
        yield from (folder / name).read_text(encoding="utf-8").splitlines()
    yield from (folder / "hongloumeng_part1.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    yield from (folder / "wikitext2_test.txt").read_text(encoding="utf-8").splitlines(keepends=True)


def random_texts(codes: tuple[str, ...], count: int) -> Iterator[str]:
    """Characters of the languages in any mixture: rare ideographs, emoji, controls, runs of blanks."""
    rng = random.Random(7)
    characters = sorted(point for point in characters_of(codes) if not 0xD800 <= point <= 0xDFFF)
    common = [point for point in characters if point < 0x80 or 0x4E00 <= point < 0x6000]
    blanks = " \n\t\r\u3000\u00a0"
    for _ in range(count):
        pools = rng.choices((characters, common), k=rng.randint(1, 80))
        text = "".join(chr(rng.choice(pool)) for pool in pools)
        yield text + "".join(rng.choices(blanks, k=rng.randint(0, 6))) + text[: rng.randint(0, 5)]


def assert_same_tokens(before: Tokenizer, after: Tokenizer, texts: Iterator[str]) -> int:
    olds, n_texts = old_ids(before, after), 0
    for text in texts:
        found = after.encode(text)
        assert [olds[token_id] for token_id in found] == before.encode(text), text
        assert after.decode(found) == text
        n_texts += 1
    return n_texts


@pytest.mark.parametrize("codes", [("zh", "en"), ("en",), ("ja", "ko"), ("zh",)], ids=",".join)
def test_random_text_of_the_languages_keeps_its_tokens(
    converted: Any, trimmed: Trimmed, codes: tuple[str, ...]
) -> None:
    path, report = trimmed("q4_0", *codes)
    before = tokenizer_of(converted("belle-tiny-zh", "q4_0"))
    assert report.vocabulary is not None
    assert report.vocabulary.rows_after < report.vocabulary.rows_before == 8192
    assert_same_tokens(before, tokenizer_of(path), random_texts(codes, 1500))


def test_corpora_in_the_languages_keep_their_tokens(
    converted: Any, trimmed: Trimmed, test_data: Path
) -> None:
    allowed = characters_of(("zh", "en", "fr", "ja", "ru"))
    texts = [text for text in chinese_and_english(test_data) if allowed.issuperset(map(ord, text))]
    before = tokenizer_of(converted("belle-tiny-zh", "q4_0"))
    path, _ = trimmed("q4_0", "zh", "en", "fr", "ja", "ru")
    assert assert_same_tokens(before, tokenizer_of(path), iter(texts)) > 7000


def test_other_languages_stay_possible_in_more_tokens(converted: Any, trimmed: Trimmed) -> None:
    path, _ = trimmed("q4_0", "en")
    before, after = tokenizer_of(converted("belle-tiny-zh", "q4_0")), tokenizer_of(path)
    text = "你好，请介绍一下北京。"
    assert after.decode(after.encode(text)) == text
    assert len(after.encode(text)) > len(before.encode(text))


def test_special_tokens_bytes_and_settings(converted: Any, trimmed: Trimmed) -> None:
    path, report = trimmed("q4_0", "en")
    whole, found = fields(converted("belle-tiny-zh", "q4_0")), fields(path)
    assert found["tokenizer.ggml.tokens"][:4] == ["<unk>", "<s>", "</s>", "<pad>"]
    same = ("bos_token_id", "eos_token_id", "unknown_token_id", "padding_token_id", "pre", "add_bos_token")
    for key in same:
        assert found[f"tokenizer.ggml.{key}"] == whole[f"tokenizer.ggml.{key}"], key
    after = tokenizer_of(path)
    assert {after.token_bytes(i) for i in range(len(after))} >= {bytes([value]) for value in range(256)}
    assert found["belle.vocabulary.original_rows"] == 8192
    assert found["belle.vocabulary.kept"] == "en"
    assert report.n_tokens == len(found["tokenizer.ggml.tokens"]) == len(after)
    kept = set(found["tokenizer.ggml.merges"])
    assert [merge for merge in whole["tokenizer.ggml.merges"] if merge in kept] == found[
        "tokenizer.ggml.merges"
    ]


def test_every_kept_id_decodes_as_before(converted: Any, trimmed: Trimmed) -> None:
    path, _ = trimmed("q4_0", "zh", vocab_from=("wikitext2_test.txt",))
    before, after = tokenizer_of(converted("belle-tiny-zh", "q4_0")), tokenizer_of(path)
    olds = old_ids(before, after)
    assert olds == sorted(olds)
    for new, old in enumerate(olds):
        assert after.token_bytes(new, skip_special=False) == before.token_bytes(old, skip_special=False)


def test_the_hugging_face_tokenizer_agrees(trimmed: Trimmed, test_data: Path) -> None:
    from tokenizers import Tokenizer as HfTokenizer

    path, _ = trimmed("q4_0", "en")
    after = tokenizer_of(path)
    other = HfTokenizer.from_str(fields(path)["tokenizer.huggingface.json"])
    assert other.get_vocab() == {text: i for i, text in enumerate(after.vocabulary.tokens)}
    texts = (test_data / "text" / "wikitext2_test.txt").read_text(encoding="utf-8").splitlines()[:500]
    for text in texts:
        assert other.encode(text).ids == after.encode(text, parse_special=True)
    assert [token.content for _, token in sorted(other.get_added_tokens_decoder().items())] == [
        "<unk>",
        "<s>",
        "</s>",
        "<pad>",
    ]


@pytest.mark.parametrize(
    ("codes", "text"), [(("zh", "en"), PROMPT), (("en",), "The city of Beijing is\nlarge (21 million).")]
)
def test_logits_of_kept_rows_are_the_same(
    converted: Any, trimmed: Trimmed, codes: tuple[str, ...], text: str
) -> None:
    whole, path = converted("belle-tiny-zh", "f32"), trimmed("f32", *codes)[0]
    before, after = tokenizer_of(whole), tokenizer_of(path)
    expected, found = (
        model.forward([(model.new_sequence(), tokenizer.encode(text))], logits="all")[0]
        for model, tokenizer in ((_core.Model(str(whole)), before), (_core.Model(str(path)), after))
    )
    assert found.shape == (expected.shape[0], len(after))
    np.testing.assert_allclose(found, expected[:, old_ids(before, after)], rtol=1e-6, atol=1e-6)


def test_the_same_answer(converted: Any, trimmed: Trimmed) -> None:
    texts = [
        Belle.load(path).generate(PROMPT, max_tokens=40, temperature=0).text
        for path in (converted("belle-tiny-zh", "q4_0"), trimmed("q4_0", "zh", "en")[0])
    ]
    assert texts[0] == texts[1]
    assert len(texts[0]) > 10


def test_the_same_answer_in_llama_cpp(llama_cpp: Any, converted: Any, trimmed: Trimmed) -> None:
    texts = []
    for path in (converted("belle-tiny-zh", "f32"), trimmed("f32", "zh", "en")[0]):
        model = llama_cpp.Llama(str(path), n_ctx=256, n_threads=2, verbose=False)
        texts.append(model(PROMPT, max_tokens=40, temperature=0)["choices"][0]["text"])
        assert model.tokenize(PROMPT.encode(), add_bos=False) == tokenizer_of(path).encode(PROMPT)
    assert texts[0] == texts[1]
    assert len(texts[0]) > 10


def test_an_untied_head_is_trimmed_too(make_bloom: Any, tmp_path: Path) -> None:
    folder = make_bloom(tie_word_embeddings=False, vocab_size=333)
    report = convert(folder, tmp_path / "out.gguf", type="f32", vocab=("en",))
    convert(folder, tmp_path / "whole.gguf", type="f32")
    olds = old_ids(tokenizer_of(tmp_path / "whole.gguf"), tokenizer_of(tmp_path / "out.gguf"))
    whole, found = (
        {tensor.name: tensor.data for tensor in gguf.GGUFReader(tmp_path / name).tensors}
        for name in ("whole.gguf", "out.gguf")
    )
    assert (report.n_tokens, report.n_padding_tokens) == (len(olds), 0)
    for name in ("token_embd.weight", "output.weight"):
        np.testing.assert_array_equal(found[name], whole[name][olds])
    assert found.keys() == whole.keys()


def test_sizes_are_exact(converted: Any, trimmed: Trimmed, test_data: Path) -> None:
    whole = converted("belle-tiny-zh", "q4_0")
    path, report = trimmed("q4_0", "en")
    assert report.vocabulary is not None
    assert report.vocabulary.file_bytes_saved == whole.stat().st_size - path.stat().st_size
    dropped = 8192 - len(tokenizer_of(path))
    assert report.vocabulary.weight_bytes_saved == dropped * 512 // 256 * 210  # q6_k
    predicted = convert(
        test_data / "models" / "belle-tiny-zh", type="q4_0", family="belle", vocab=("en",), dry_run=True
    )
    assert predicted.vocabulary == report.vocabulary
    assert predicted.output_bytes == path.stat().st_size
    assert "vocabulary" in json.loads(json.dumps(predicted.to_dict()))


def test_corpora_keep_their_tokens(converted: Any, trimmed: Trimmed, test_data: Path) -> None:
    path, report = trimmed("q4_0", vocab_from=("eval_set.json", "wikitext2_test.txt"))
    assert report.vocabulary is not None
    assert report.vocabulary.rows_after < 7500
    assert report.vocabulary.kept.count("sha256:") == 2
    before, after = tokenizer_of(converted("belle-tiny-zh", "q4_0")), tokenizer_of(path)
    wikitext = (test_data / "text" / "wikitext2_test.txt").read_text(encoding="utf-8")
    records = map(json.loads, (test_data / "text" / "eval_set.json").read_text("utf-8").splitlines())
    questions = [record["question"] for record in records]
    prompts = [f"Human: {question}\n\nAssistant:" for question in questions if len(question) < 400]
    assert assert_same_tokens(before, after, iter([wikitext, *questions, *prompts])) > 1500


def test_language_and_corpus_together_keep_both(trimmed: Trimmed) -> None:
    tokens = [
        set(tokenizer_of(trimmed("q4_0", *codes, vocab_from=texts)[0]).vocabulary.tokens)
        for codes, texts in ((("en",), ()), ((), ("eval_set.json",)), (("en",), ("eval_set.json",)))
    ]
    assert tokens[2] == tokens[0] | tokens[1]


def test_order_and_place_make_no_difference(make_bloom: Any, tmp_path: Path) -> None:
    folder = make_bloom()
    for name, codes in (("one", ("zh", "en")), ("two", ("en", "zh", "zh"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "texts.txt").write_text("el perro duerme", encoding="utf-8")
        corpus = tmp_path / name / "texts.txt"
        convert(folder, tmp_path / f"{name}.gguf", vocab=codes, vocab_from=(corpus,))
    data = (tmp_path / "one.gguf").read_bytes()
    assert data == (tmp_path / "two.gguf").read_bytes()
    assert b"texts.txt" not in data


def test_resume_with_other_languages_is_refused(make_bloom: Any, tmp_path: Path) -> None:
    folder, out = make_bloom(), tmp_path / "out.gguf"

    def stop(event: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(folder, out, vocab=("zh", "en"), progress=stop)
    with pytest.raises(ConversionError, match="another source or other options"):
        convert(folder, out, vocab=("en",), resume=True)
    convert(folder, out, vocab=("en", "zh"), resume=True)
    convert(folder, tmp_path / "other.gguf", vocab=("zh", "en"))
    assert out.read_bytes() == (tmp_path / "other.gguf").read_bytes()


def test_unknown_language_lists_the_choices(make_bloom: Any) -> None:
    with pytest.raises(
        ConversionError, match=r"\[vocab\] unknown language 'klingon': expected some of ar, as"
    ):
        convert(make_bloom(), vocab=("zh", "klingon"), dry_run=True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", None, "no such file"),
        ("empty.txt", b"", "found none"),
        ("blank.txt", b" \n\n", "found none"),
        ("numbers.json", b"[1, {}, null]", "found none"),
        ("bytes.txt", b"abc \xff", "expected UTF-8, got byte 0xff"),
        ("broken.json", b'{"a": ', "expected JSON"),
        ("broken.jsonl", b'"a"\nb\n', "expected JSON"),
        ("surrogate.json", b'["\\ud800"]', "not valid Unicode"),
    ],
)
def test_unusable_corpora(
    make_bloom: Any, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConversionError, match=message) as error:
        convert(make_bloom(), vocab_from=(tmp_path / name,), dry_run=True)
    assert name in str(error.value)


def test_sentencepiece_is_refused(make_llama: Any) -> None:
    with pytest.raises(ConversionError, match=r"byte-level BPE.*SentencePiece.*without --vocab"):
        convert(make_llama(), vocab=("en",), dry_run=True)


def test_added_tokens_keep_their_text_under_new_ids(make_bloom: Any, tmp_path: Path, edit_json: Any) -> None:
    folder = make_bloom(vocab_size=330)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = [*content["added_tokens"], {**content["added_tokens"][0], "id": 325, "content": "<extra>"}]
    template = {
        "type": "TemplateProcessing",
        "single": [
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "<extra>", "type_id": 0}},
        ],
        "pair": [],
        "special_tokens": {"<extra>": {"id": "<extra>", "ids": [325], "tokens": ["<extra>"]}},
    }
    edit_json(folder / "tokenizer.json", added_tokens=added, post_processor=template)
    convert(folder, tmp_path / "out.gguf", vocab=("en",))
    found = fields(tmp_path / "out.gguf")
    new_id = found["tokenizer.ggml.tokens"].index("<extra>")
    assert new_id == len(found["tokenizer.ggml.tokens"]) - 1 < 325
    rewritten = json.loads(found["tokenizer.huggingface.json"])
    assert rewritten["added_tokens"][-1]["id"] == new_id
    assert rewritten["post_processor"]["special_tokens"]["<extra>"]["ids"] == [new_id]
    assert tokenizer_of(tmp_path / "out.gguf").encode("a<extra>", parse_special=True)[-1] == new_id


def test_command(make_bloom: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from belle_edge.cli.main import main

    (tmp_path / "texts.txt").write_text("hello", encoding="utf-8")
    folder = make_bloom()
    capsys.readouterr()
    code = main(
        ["convert", str(folder), "--dry-run", "--vocab", "en,ko", "--vocab-from", str(tmp_path / "texts.txt")]
    )
    output = capsys.readouterr().out
    assert code == 0
    assert "of the vocabulary for en,ko,sha256:2cf24dba…:" in output
    assert "the same before and after" in output
    assert main(["convert", str(folder), "--dry-run", "--vocab", ""]) == 1
    assert "unknown language ''" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["merge", "token"])
def test_the_comparison_notices_what_is_lacking(make_bloom: Any, damage: str) -> None:
    """Without a merge that 你好 needs, or without its result as well, the tokens are others."""
    checkpoint = open_checkpoint(make_bloom())
    tables = read_tokenizer(checkpoint, n_vocab_rows=320)
    before = Tokenizer.from_metadata(tables.metadata())
    whole = close(tables, range(320))
    merges = merge_ids(tables)
    results = [result for _, _, result in merges]
    used = next(token_id for token_id in before.encode("你好") if token_id in results)
    if damage == "merge":
        broken = Selection(whole.ids, [place for place in whole.merges if results[place] != used])
    else:
        broken = Selection(
            [token_id for token_id in whole.ids if token_id != used],
            [place for place in whole.merges if used not in merges[place]],
        )
    after = Tokenizer.from_metadata(trimmed_tables(tables, broken).metadata())
    assert compare(before, before, range(320), ["你好", "the dog"])[0] == 2
    with pytest.raises(ConversionError, match=r"\[vocab\] expected the same tokens.*'你好'"):
        compare(before, after, broken.ids, ["the dog", "你好"])


def test_rows_of_a_subset_are_read_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.arange(1000 * 4, dtype=np.float32).reshape(1000, 4)
    indices = np.array([0, 1, 5, 40, 41, 600, 998, 999])
    subset = RowSubset(ArrayTensor("t", "file", "f32", array.shape, array), indices)
    assert (subset.shape, subset.n_bytes) == ((8, 4), 8 * 16)
    for window_bytes in (16, 64, 1 << 20):
        monkeypatch.setattr("belle_edge.convert.sources.row_subset._WINDOW_BYTES", window_bytes)
        np.testing.assert_array_equal(subset.rows(0, 8), array[indices])
        np.testing.assert_array_equal(subset.rows(2, 6), array[indices[2:6]])
        assert subset.rows(3, 3).shape == (0, 4)


def test_the_table_of_languages_is_sound() -> None:
    for code, entries in {"always": ALWAYS, **LANGUAGES}.items():
        for entry in entries:
            if isinstance(entry, str):
                assert all(char.isalpha() for char in entry), code
            else:
                assert 0 <= entry[0] <= entry[1] <= 0x10FFFF, code
