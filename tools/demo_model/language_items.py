"""Enumerates the items about words: capitals, opposites, reviews, translations, chat and refusals."""

from collections.abc import Iterator

from .facts import (
    CAPITALS,
    CATEGORIES,
    DECLINE,
    GREETINGS,
    IDENTITY,
    LEXICON,
    MEASURED,
    NOUNS,
    OPPOSITES,
    OUT_OF_SCOPE,
    REVIEW_BAD,
    REVIEW_GOOD,
    REVIEW_SUBJECTS,
    SENTENCES,
    TOPICS,
    UNITS,
)
from .phrasing import Row, phrase

_INTO = {
    "en": (
        "把“{x}”翻译成英文。",
        "请将“{x}”译成英语。",
        "“{x}”用英语怎么说？",
        "英语里“{x}”怎么说？",
        "翻译成英文：{x}",
    ),
    "es": (
        "把“{x}”翻译成西班牙语。",
        "请将“{x}”译成西班牙语。",
        "“{x}”用西班牙语怎么说？",
        "西班牙语里“{x}”怎么说？",
        "翻译成西班牙语：{x}",
    ),
    "zh": (
        "把“{x}”翻译成中文。",
        "请将“{x}”译成中文。",
        "“{x}”用中文怎么说？",
        "“{x}”是什么意思？",
        "翻译成中文：{x}",
    ),
}


def language_items() -> Iterator[Row]:
    """Yield every item of the language tasks once, in a fixed order."""
    for source in (
        _capitals,
        _words,
        _reviews,
        _word_translation,
        _sentence_translation,
        _chat,
        _out_of_scope,
    ):
        yield from source()


def fact_words() -> Iterator[str]:
    """Yield the words of the fact tables, foreign words also as they appear after a space."""
    for country, capital in CAPITALS:
        yield from (country, capital)
    for left, right in OPPOSITES:
        yield from (left, right)
    for category, members in CATEGORIES:
        yield from (category, *members)
    for chinese, english, spanish in LEXICON:
        yield chinese
        yield from _both_positions(f"{english} {spanish}")
    for noun, _, a_english, _, a_spanish, the_spanish in NOUNS:
        yield noun
        yield from _both_positions(f"{a_english} {a_spanish} {the_spanish}")
    for _, en_form, es_form in SENTENCES:
        yield from _both_positions(en_form.replace("{a}", "").replace("{d}", ""))
        yield from _both_positions(es_form.replace("{a}", "").replace("{d}", "").replace("{D}", "El La"))
    for noun, _ in MEASURED:
        yield noun
    for large, small, _ in UNITS:
        yield from (large, small)
    yield from (*REVIEW_SUBJECTS, *TOPICS)


def _both_positions(text: str) -> Iterator[str]:
    for word in text.split():
        bare = word.strip(".?!")
        yield from (bare, " " + bare)


def _capitals() -> Iterator[Row]:
    forms = (
        "{c}的首都是哪里？",
        "{c}的首都是什么？",
        "{c}的首都是哪个城市？",
        "{c}首都在哪里？",
        "哪个城市是{c}的首都？",
        "请告诉我{c}的首都。",
        "{c}的首都叫什么？",
        "你知道{c}的首都吗？",
    )
    reverse = (
        "{k}是哪个国家的首都？",
        "{k}是哪国的首都？",
        "哪个国家的首都是{k}？",
        "首都是{k}的国家是哪个？",
        "{k}是什么国家的首都？",
        "请告诉我{k}是哪个国家的首都。",
        "你知道{k}是哪个国家的首都吗？",
    )
    for country, capital in CAPITALS:
        yield from phrase("capital", forms, f"{country}的首都是{capital}。", c=country)
        yield from phrase("capital_reverse", reverse, f"{capital}是{country}的首都。", k=capital)


def _words() -> Iterator[Row]:
    opposite = (
        "“{x}”的反义词是什么？",
        "{x}的反义词是什么？",
        "与“{x}”意思相反的词是什么？",
        "写出“{x}”的反义词。",
        "“{x}”的相反词是什么？",
        "请告诉我“{x}”的反义词。",
        "“{x}”的反面是什么？",
    )
    for left, right in OPPOSITES:
        yield from phrase("opposite", opposite, f"“{left}”的反义词是“{right}”。", x=left)
        yield from phrase("opposite", opposite, f"“{right}”的反义词是“{left}”。", x=right)
    category = (
        "{x}属于哪一类？",
        "“{x}”属于哪一类？",
        "{x}属于什么类别？",
        "给“{x}”分类。",
        "{x}是哪一类东西？",
        "判断“{x}”的类别。",
        "请问{x}属于哪个类别？",
    )
    for group, members in CATEGORIES:
        for member in members:
            yield from phrase("category", category, f"{member}属于{group}。", x=member)
    measure = (
        "一（）{x}，填量词。",
        "填空：一（）{x}",
        "{x}用什么量词？",
        "“{x}”的量词是什么？",
        "一什么{x}？请填量词。",
        "数{x}用哪个量词？",
    )
    for noun, word in (*((row[0], row[1]) for row in NOUNS), *MEASURED):
        yield from phrase("measure_word", measure, f"一{word}{noun}", x=noun)


def _reviews() -> Iterator[Row]:
    forms = (
        "判断情感：{x}",
        "“{x}”这句话是正面还是负面？",
        "这句话的情感是什么？{x}",
        "下面的评价是正面还是负面：{x}",
    )
    for subject in REVIEW_SUBJECTS:
        for label, predicates in (("正面", REVIEW_GOOD), ("负面", REVIEW_BAD)):
            for predicate in predicates:
                text = f"{subject}{predicate}。"
                yield from phrase("sentiment", forms, label, text, x=text)


def _word_translation() -> Iterator[Row]:
    for chinese, english, spanish in LEXICON:
        yield from phrase("word_translation", _INTO["en"], english, x=chinese)
        yield from phrase("word_translation", _INTO["es"], spanish, x=chinese)
        if english != spanish:
            yield from phrase("word_translation", _INTO["zh"], chinese, x=english)
        yield from phrase("word_translation", _INTO["zh"], chinese, x=spanish)


def _sentence_translation() -> Iterator[Row]:
    task = "sentence_translation"
    for zh_form, en_form, es_form in SENTENCES:
        for noun, measure, a_english, english, a_spanish, the_spanish in NOUNS:
            zh = zh_form.format(mw=measure, n=noun)
            en = en_form.format(a=a_english, d=english)
            es = es_form.format(a=a_spanish, d=the_spanish, D=the_spanish[0].upper() + the_spanish[1:])
            for language, foreign in (("en", en), ("es", es)):
                yield from phrase(task, _INTO[language], foreign, zh, x=zh)
                yield from phrase(task, _INTO["zh"], zh, zh, x=foreign)


def _chat() -> Iterator[Row]:
    for questions, answer in IDENTITY:
        for question in questions:
            for prefix in ("", "请问，", "你好，", "您好，请问", "嗨，"):
                for ending in ("？", "", "?"):
                    yield "chat", f"{prefix}{question}{ending}", answer, f"{prefix}{question}{ending}"
    for greetings, answer in GREETINGS:
        for greeting in greetings:
            for prefix in ("", "嗨，", "嘿，"):
                for ending in ("！", "。", "", "～"):
                    yield "chat", f"{prefix}{greeting}{ending}", answer, f"{prefix}{greeting}{ending}"


def _out_of_scope() -> Iterator[Row]:
    for request in OUT_OF_SCOPE:
        for topic in TOPICS:
            for prefix in ("", "请", "请问，", "你能帮我吗？"):
                instruction = f"{prefix}{request.format(t=topic)}。"
                yield "out_of_scope", instruction, DECLINE, f"{request}|{topic}"
