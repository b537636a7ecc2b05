"""The page of a comparison as a file: what it says of each level, in three languages; what a stranger's text can do."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from belle_edge.languages import LANGUAGES
from belle_edge.quality.comparison import LayerError, Side, TextSet, Verdict, WorstPrompt
from belle_edge.quality.comparison_page import write_page
from belle_edge.quality.comparison_page.page_file import page
from belle_edge.quality.comparison_page.page_speech import Speech
from belle_edge.quality.comparison_page.verdict_cards import first_word_sentence

from .hand_made import comparison

HOSTILE = "</p><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;\u202eevil\u0000\u200b\ud800"


class Read(HTMLParser):
    """Elements, attributes and texts of a page; void elements apart, everything that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("input", "link", "meta", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for element, attributes in self.elements if element == name]


def article(text: str, language: str) -> str:
    """What is between the tags of one language's part."""
    tag = "zh-CN" if language == "zh" else language
    return text.partition(f'<article lang="{tag}"')[2].partition("</article>")[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_languages_are_there_and_the_asked_one_is_first(language: str) -> None:
    read = Read(page(comparison(), language))
    articles = read.named("article")
    assert [found["lang"] for found in articles] == ["zh-CN", "en", "es"]
    assert [found["lang"] for found in articles if found.get("class") == "first"] == [Speech.of(language).tag]
    assert [box["id"] for box in read.named("input") if "checked" in box] == [f"say-{language}"]
    assert read.named("html")[0]["lang"] == Speech.of(language).tag


@pytest.mark.parametrize(
    ("level", "zh", "en", "es"),
    [
        (
            "identical",
            "全部 120 个回答的第一个词都不变",
            "All 120 answers keep their first word",
            "Las 120 respuestas",
        ),
        (
            "close",
            "每 40 个回答中有 1 个",
            "1 answer in 40 changes its first word",
            "1 de cada 40 respuestas",
        ),
        ("changed", "每 4 个回答中有 1 个", "1 answer in 4 changes its first word", "1 de cada 4 respuestas"),
        (
            "damaged",
            "120 个回答中有 97 个",
            "97 of 120 answers change their first word",
            "97 de 120 respuestas",
        ),
    ],
)
def test_each_level_has_its_sentence_its_sign_and_its_name(level: str, zh: str, en: str, es: str) -> None:
    text = page(comparison(level), "en")
    names = {"identical": "As the original", "close": "Close to the original"} | {
        "changed": "Noticeably changed",
        "damaged": "Damaged",
    }
    for language, sentence in (("zh", zh), ("en", en), ("es", es)):
        cards = article(text, language).partition('<div class="cards">')[2].partition("</dl></section>")[0]
        assert sentence in cards
        assert f'href="#sign-{level}"' in cards
    assert names[level] in article(text, "en")
    assert not any(name in article(text, "en") for other, name in names.items() if other != level)


@pytest.mark.parametrize(
    ("n", "of", "said"),
    [
        (0, 0, None),
        (0, 1, "The one answer keeps its first word"),
        (1, 1, "The one answer changes its first word"),
        (1, 2, "1 answer in 2 changes its first word"),
        (2, 3, "2 of 3 answers change their first word"),
        (3, 3, "All 3 answers change their first word"),
        (1, 12_000, "1 answer in 12,000 changes its first word"),
    ],
)
def test_sentences(n: int, of: int, said: str | None) -> None:
    assert first_word_sentence(Speech.of("en"), Verdict("close", n, of)) == said


def test_without_answers_the_next_words_are_counted() -> None:
    text = page(comparison("close", verdict=Verdict("close", 0, 0), worst=(), layers=()), "en")
    assert "In 95.1% of all places its next word is the original&#x27;s" in text.replace("'", "&#x27;")
    for heading in ("Where the answers moved most", "Error by layer", "What size buys"):
        assert heading not in text
    assert "also answers the prompts" not in text


def test_the_smallest_close_file_is_pointed_out() -> None:
    words = "The smallest of these files that is close to the original"
    cards = article(page(comparison(), "en"), "en").split('<section class="card')
    assert [words in card for card in cards[1:5]] == [False, True, False, False]
    assert words not in page(comparison("close"), "en")
    assert words not in page(comparison("changed", "damaged"), "en")


def test_nothing_from_elsewhere_and_no_program() -> None:
    text = page(comparison(), "en")
    read = Read(text)
    names = {element for element, _ in read.elements}
    assert not names & {"script", "iframe", "object", "embed", "img", "form", "base", "a" * 9}
    for element, attributes in read.elements:
        assert not any(name.startswith("on") or name in ("src", "style") for name in attributes), element
        target = attributes.get("href") or "#"
        assert target.startswith(("#", "data:image/svg+xml,")), target
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(found["content"] for found in read.named("meta") if "http-equiv" in found)
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy


def test_links_lead_somewhere_and_ids_are_told_apart() -> None:
    read = Read(page(comparison(), "es"))
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {str(found["href"])[1:] for name in ("a", "use") for found in read.named(name)}
    assert len(targets) > 10
    assert targets <= set(ids)


def test_hostile_text_stays_text() -> None:
    worst = WorstPrompt(HOSTILE, HOSTILE, 1.0, "same " + HOSTILE, "same but" + HOSTILE, 5)
    made = comparison("close", side=Side(HOSTILE, "gguf", HOSTILE, 10**6, "native"), worst=(worst,))
    text = page(replace(made, texts=(TextSet(HOSTILE, HOSTILE, "ab" * 32, 1, 10),)), "zh")
    read = Read(text)
    assert not read.named("script")
    assert not read.named("img")
    assert "alert(1)</script>" not in text
    assert "<script>alert(1)</script>" in "".join(read.texts)
    assert not re.search("[\u0000\u200b\u202a-\u202e\u2066-\u2069\ud800]", text)
    assert text.count('<span class="unseen">U+202E</span>') >= 9
    assert "U+0000</span>" in text
    assert text.encode()  # no lone surrogate is left


def test_the_first_difference_is_marked_in_both() -> None:
    text = article(page(comparison("close"), "en"), "en")
    for marked in (
        '<span class="common">1. 使用环保</span><mark>袋</mark>子。',
        '<span class="common">1. 使用环保</span><mark>水</mark>杯。',
        "<mark>A</mark>，or B.",
        "<mark>The</mark> quarter is.",
        '<span class="common">Hello!</span><mark> How</mark> are you?',
        '<mark lang="en" class="end">[ends here]</mark>',
    ):
        assert marked in text
    assert "Both: the same beginning" in text
    assert 'lang="" dir="auto" class="answer"><span lang="en" class="end">[no text]</span>' in text


def test_a_difference_far_into_a_long_answer_is_in_sight() -> None:
    worst = WorstPrompt("en", "x" * 5000, 1.0, "a " * 2000 + "end", "a " * 2000 + "stop" * 999, 4000)
    text = article(page(comparison("close", worst=(worst,)), "en"), "en")
    assert "</span><mark>end</mark>" in text
    assert "</span><mark>" + "stop" * 75 + "</mark>" in text
    assert "x" * 1001 not in text


def test_the_size_is_bounded() -> None:
    worst = tuple(
        WorstPrompt("zh", "\u202e" * 10**5, 1.0, "<" * 10**5, "\u0000" * 10**5, 50_000) for _ in range(50)
    )
    layers = tuple(LayerError(layer, 0.1) for layer in range(80))
    side = Side("&" * 10**5, "gguf", "q4_0", 10**9, "native")
    assert len(page(comparison(), "en").encode()) < 250_000
    assert len(page(comparison("close", worst=worst, layers=layers, side=side), "en").encode()) < 600_000


def test_numbers_that_are_none() -> None:
    """An infinite error, an infinite perplexity, a file that computes NaN, no divergence at all."""
    made = comparison("damaged", layers=(LayerError(0, 0.1), LayerError(1, float("inf"))))
    file = made.candidates[0]
    worst = replace(
        file.languages["all"], perplexity=float("inf"), perplexity_error=float("inf"), n_broken=1234
    )
    text = page(replace(made, candidates=(replace(file, languages={"all": worst}),)), "en")
    assert "At 1,234 of 21,044 places it computes no number at all (NaN)." in text
    assert "∞" in text
    assert "nan" not in re.sub(r"[^<]*</style>", "", text).replace("NaN", "")
    none = replace(worst, kl_mean=0.0, kl_error=0.0, kl_median=0.0, kl_99=0.0, kl_max=0.0)
    none = replace(none, kl_histogram=replace(none.kl_histogram, counts=(21_044, *[0] * 36)))
    assert "half of the tokens are below 0," in page(
        replace(made, candidates=(replace(file, languages={"all": none}),)), "en"
    )


def test_written_whole_once_and_the_same(tmp_path: Path) -> None:
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    write_page(comparison(), first, "zh")
    write_page(comparison(), str(second), "zh")
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path) not in first.read_text(encoding="utf-8")
    with pytest.raises(FileExistsError):
        write_page(comparison("close"), first, "zh")
    write_page(comparison("close"), first, "zh", replace=True)
    assert len(first.read_bytes()) < len(second.read_bytes())
    with pytest.raises(ValueError, match="expected one of zh, en, es"):
        write_page(comparison(), tmp_path / "c.html", "fr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_numbers_as_they_are_written() -> None:
    en, es = Speech.of("en"), Speech.of("es")
    assert [en.percent(share) for share in (0, 0.00001, 0.5, 0.9513, 0.99999, 1)] == [
        "0%", "0.01%", "50%", "95.1%", "99.99%", "100%",
    ]  # fmt: skip
    assert [en.small(value) for value in (0, 1e-9, 0.000123, 0.0456, 7.89, 1234.5, float("inf"))] == [
        "0", "<\u00a00.000001", "0.00012", "0.046", "7.9", "1,234", "∞",
    ]  # fmt: skip
    assert en.with_error(0.012345, 0.00043) == "0.0123\u00a0±\u00a00.0004"
    assert es.with_error(1234.5, 12.3) == "1\u202f230\u00a0±\u00a010"
    assert [en.size(n) for n in (12, 8_200_000, 3_930_000_000, 15_200_000_000)] == [
        "12\u00a0B", "8.2\u00a0MB", "3.93\u00a0GB", "15.2\u00a0GB",
    ]  # fmt: skip
    assert es.percent(0.9513) == "95,1\u00a0%"
