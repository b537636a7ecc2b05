"""Metric values of our tasks: those of CMRC 2018's script, of sacreBLEU and of rouge-score."""

from __future__ import annotations

import pytest

pytest.importorskip("lm_eval")  # with it come the packages that metrics are computed by

from belle_edge.quality.evaluation.bootstrap import interval
from belle_edge.quality.tasks import eval_set
from belle_edge.quality.tasks.aggregation import percent
from belle_edge.quality.tasks.bleu import corpus_bleu, counts
from belle_edge.quality.tasks.cmrc import exact_match, f1, segments
from belle_edge.quality.tasks.documents import document
from belle_edge.quality.tasks.rouge_l import rouge_l, tokens

# What cmrc2018_evaluate.py, version 5, gives for them.
CMRC_EXAMPLES = [
    (["北京"], "北京。", 1.0, 1),
    (["1958年", "1958"], "建于1958年", 2 / 3, 0),
    (["光荣和ω-force"], "光荣、ω-force公司", 4 / 9, 0),
    (["Hello World"], "hello, world!", 1 / 3, 0),
    (["《战国无双3》"], "战国无双3", 1.0, 1),
    (["约3.5 km"], "3.5 km左右", 4 / 7, 0),
    (["白石山……"], "白石山…", 0.75, 0),
    (["白石山"], "青河", 0.0, 0),
    (["U.S. Army"], "the U.S. army. It is big.", 0.4, 0),
    (["是的，没错"], "是的,没错", 4 / 9, 0),
    ([" 东京 "], "TOKYO东京", 0.8, 0),
    (["don't"], "DON'T 走", 0.8, 0),
    (["A-B：C"], "ab c", 0.0, 0),
]
# The example of sacreBLEU's own documentation: two references each, BLEU 48.53.
ANSWERS = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
REFERENCES = [
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]
CHINESE = [
    ("我想喝咖啡，谢谢", ["我想喝一杯咖啡，谢谢。"]),
    ("今天 GPU 很便宜", ["今天天气非常好", "今天的GPU很便宜！"]),
    ("", ["没有答案"]),
]


@pytest.mark.parametrize(("answers", "prediction", "expected_f1", "expected_match"), CMRC_EXAMPLES)
def test_cmrc(answers: list[str], prediction: str, expected_f1: float, expected_match: int) -> None:
    assert f1(answers, prediction) == pytest.approx(expected_f1, abs=1e-12)
    assert exact_match(answers, prediction) == expected_match


def test_segments_are_characters_and_words() -> None:
    assert segments("《GPT-2》有1.5 billion个参数，对吗？") == [
        *("gpt2", "有", "1.5", "billion", "个", "参", "数", "对", "吗")
    ]


def test_an_empty_answer_of_a_model_scores_nothing() -> None:
    assert f1(["北京"], "") == 0
    assert exact_match(["北京"], "") == 0


def test_bleu_is_sacrebleu_s_example() -> None:
    found = corpus_bleu(
        [
            counts(references, answer, language="en")
            for answer, references in zip(ANSWERS, REFERENCES, strict=True)
        ]
    )
    assert round(found, 2) == 48.53


def test_bleu_of_chinese_is_sacrebleu_s_with_its_tokenizer_zh() -> None:
    from sacrebleu.metrics.bleu import BLEU

    streams = [
        [references[0] for _, references in CHINESE],
        [references[1] if len(references) > 1 else None for _, references in CHINESE],
    ]
    expected = BLEU(tokenize="zh").corpus_score([answer for answer, _ in CHINESE], streams)
    found = corpus_bleu([counts(references, answer, language="zh") for answer, references in CHINESE])
    assert found == pytest.approx(expected.score, abs=1e-9)
    assert found > 20


def test_rouge_l_of_english_is_rouge_score_s() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    target, prediction = (
        "The quick brown fox jumps over the lazy dog",
        "The quick brown dog jumps on the log.",
    )
    expected = RougeScorer(["rougeL"]).score(target, prediction)["rougeL"].fmeasure
    assert rouge_l([target], prediction) == pytest.approx(expected)
    assert expected == pytest.approx(10 / 17)


def test_rouge_l_of_chinese_counts_characters() -> None:
    assert tokens("中国将于2022年发射，OK！") == [*"中国将于", "2022", *"年发射", "ok"]
    # 7 of 9 characters follow each other in a reference of 12: "中国发射核心舱"
    assert rouge_l(["中国将于明年发射核心舱段"], "中国发射了新核心舱") == pytest.approx(2 * 7 / (9 + 12))
    assert rouge_l(["全不同", "中国"], "中国") == 1


def test_classes_are_scored_by_what_they_have() -> None:
    math = document("3乘12？", ["3×12=36元"], kind="math")
    assert eval_set.scores(math, ["答案是36.0元。"])["result"] == 1
    assert eval_set.scores(math, ["12元3本"])["result"] == 0
    assert "result" not in eval_set.scores(document("?", ["没有数字"], kind="math"), ["36"])
    open_question = {**document("写一首诗。", [], kind="generation"), "reference": "秋天来了"}
    assert eval_set.scores(open_question, ["秋天来了"]) == {"agreement": 1, "same": 1}  # type: ignore[arg-type]
    assert eval_set.scores(open_question, ["秋天走了"]) == {"agreement": 0.75, "same": 0}  # type: ignore[arg-type]


def test_intervals() -> None:
    values = [0.0, 1.0] * 50
    low_high = interval(values, percent, is_mean=True)
    assert low_high is not None
    assert low_high == interval(values, percent, is_mean=True)  # the same each time
    assert low_high == pytest.approx((40.2, 59.8), abs=1.5)  # ± 1.96 × 5
    assert interval([1.0], percent, is_mean=True) is None
    slow = interval(values, lambda drawn: percent(drawn), is_mean=False)
    assert slow == pytest.approx(low_high, abs=2)
