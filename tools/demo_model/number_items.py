"""Enumerates the items about numbers: sums, comparisons, sequences, units, weekdays and months."""

from collections.abc import Iterator

from .facts import MONTH_DAYS, SEASONS, UNITS, WEEKDAYS
from .phrasing import Row, phrase


def number_items() -> Iterator[Row]:
    """Yield every item of the number tasks once, in a fixed order."""
    for source in (_arithmetic, _numbers, _sequences, _units, _calendar):
        yield from source()


def _arithmetic() -> Iterator[Row]:
    forms = (
        "{a}{o}{b}等于多少？",
        "{a}{o}{b}等于几？",
        "计算{a}{o}{b}。",
        "{a}{o}{b}=?",
        "{a}{o}{b}的结果是多少？",
        "{a}{s}{b}=",
    )
    for a in range(101):
        for b in range(101):
            if a + b <= 100:
                for word, form in _signs(forms, "加", "+"):
                    yield from phrase("add", (form,), f"{a}+{b}={a + b}", f"{a}+{b}", a=a, b=b, o=word, s="+")
            if b <= a:
                for word, form in _signs(forms, "减", "-"):
                    yield from phrase(
                        "subtract", (form,), f"{a}-{b}={a - b}", f"{a}-{b}", a=a, b=b, o=word, s="-"
                    )
            if 1 <= a <= 10 and 1 <= b <= 10:
                for word, form in _signs(forms, "乘", "×"):
                    yield from phrase("multiply", (form,), f"{a}×{b}={a * b}", a=a, b=b, o=word, s="×")


def _signs(forms: tuple[str, ...], word: str, sign: str) -> Iterator[tuple[str, str]]:
    """Pair each form with the operator as a word and as a sign, except where the pair reads oddly."""
    for form in forms:
        if "=" not in form:
            yield word, form
        if "等于几" not in form:
            yield sign, form


def _numbers() -> Iterator[Row]:
    larger = ("{a}和{b}哪个大？", "{a}和{b}比，哪个更大？", "{a}与{b}相比，较大的是哪个？")
    smaller = ("{a}和{b}哪个小？", "{a}和{b}比，哪个更小？", "{a}与{b}相比，较小的是哪个？")
    for a in range(100):
        for b in range(100):
            if a != b:
                key = f"{min(a, b)},{max(a, b)}"
                yield from phrase("compare", larger, f"{max(a, b)}更大。", key, a=a, b=b)
                yield from phrase("compare", smaller, f"{min(a, b)}更小。", key, a=a, b=b)
    parity = (
        "{n}是奇数还是偶数？",
        "{n}是偶数还是奇数？",
        "判断{n}是奇数还是偶数。",
        "{n}是单数还是双数，奇数还是偶数？",
    )
    for n in range(200):
        yield from phrase("parity", parity, f"{n}是{'奇' if n % 2 else '偶'}数。", str(n), n=n)
    to_chinese = ("把{n}写成中文数字。", "{n}用汉字怎么写？", "{n}用中文怎么读？", "将{n}写成汉字。")
    to_digits = ("把{c}写成阿拉伯数字。", "{c}用数字怎么写？", "{c}是多少？用数字回答。", "将{c}写成数字。")
    for n in range(100):
        yield from phrase("numerals", to_chinese, chinese_number(n), n=n)
        yield from phrase("numerals", to_digits, str(n), c=chinese_number(n))


def chinese_number(n: int) -> str:
    """Write 0 ≤ n < 100 in Chinese numerals, as spoken (十五, not 一十五)."""
    digits = "零一二三四五六七八九"
    tens, ones = divmod(n, 10)
    if tens == 0:
        return digits[ones]
    return ("" if tens == 1 else digits[tens]) + "十" + (digits[ones] if ones else "")


def _sequences() -> Iterator[Row]:
    forms = (
        "{s}，下一个数是多少？",
        "找规律：{s}，接下来是几？",
        "数列{s}的下一个数是什么？",
        "{s}，后面的数是多少？",
    )
    for step in (*range(1, 11), *range(-10, 0)):
        for start in range(101):
            numbers = [start + step * i for i in range(5)]
            if 0 <= numbers[-1] <= 100:
                shown = "，".join(map(str, numbers[:4]))
                yield from phrase("next_number", forms, f"下一个数是{numbers[4]}。", shown, s=shown)
    up = ("从{a}数到{b}。", "请从{a}数到{b}。", "从{a}开始数，数到{b}。")
    down = ("从{b}倒数到{a}。", "请从{b}倒数到{a}。", "从{b}开始倒数，数到{a}。")
    for a in range(31):
        for length in range(3, 11):
            b = a + length - 1
            numbers = list(range(a, b + 1))
            yield from phrase("counting", up, "，".join(map(str, numbers)), f"{a}..{b}", a=a, b=b)
            yield from phrase("counting", down, "，".join(map(str, numbers[::-1])), f"{b}..{a}", a=a, b=b)


def _units() -> Iterator[Row]:
    forms = (
        "{n}{l}等于多少{s}？",
        "{n}{l}是多少{s}？",
        "{n}{l}有多少{s}？",
        "把{n}{l}换算成{s}。",
        "{n}{l}=?{s}",
    )
    for large, small, factor in UNITS:
        for n in range(1, 13):
            asked = forms if small != "个月" else forms[:3]  # "换算成个月" is not Chinese
            yield from phrase("units", asked, f"{n}{large}等于{n * factor}{small}。", n=n, l=large, s=small)


def _calendar() -> Iterator[Row]:
    after = (
        "今天是星期{w}，{n}天后是星期几？",
        "如果今天星期{w}，那么{n}天后星期几？",
        "星期{w}过{n}天是星期几？",
    )
    before = ("今天是星期{w}，{n}天前是星期几？", "如果今天星期{w}，那么{n}天前星期几？")
    for day, name in enumerate(WEEKDAYS):
        for n in range(1, 11):
            yield from phrase(
                "weekday", after, f"星期{name}的{n}天后是星期{WEEKDAYS[(day + n) % 7]}。", w=name, n=n
            )
            yield from phrase(
                "weekday", before, f"星期{name}的{n}天前是星期{WEEKDAYS[(day - n) % 7]}。", w=name, n=n
            )
        for word, turn, n in (
            ("明天", "后一天", 1),
            ("后天", "后2天", 2),
            ("昨天", "前一天", -1),
            ("前天", "前2天", -2),
        ):
            forms = (
                "今天是星期{w}，{t}是星期几？",
                "如果今天星期{w}，那么{t}星期几？",
                "今天星期{w}，{t}呢？",
            )
            yield from phrase(
                "weekday", forms, f"星期{name}的{turn}是星期{WEEKDAYS[(day + n) % 7]}。", w=name, t=word
            )
    for m, days in enumerate(MONTH_DAYS, start=1):
        length = ("{m}月有多少天？", "{m}月有几天？", "{m}月一共有多少天？", "平年的{m}月有多少天？")
        answer = f"{m}月有{days}天。" if m != 2 else "2月平年有28天，闰年有29天。"
        yield from phrase("month", length[:3] if m == 2 else length, answer, m=m)
        following = (
            "{m}月的下一个月是几月？",
            "{m}月后面是几月？",
            "这个月是{m}月，下个月是几月？",
            "{m}月过后是几月？",
        )
        yield from phrase("month", following, f"下一个月是{m % 12 + 1}月。", m=m)
        previous = ("{m}月的上一个月是几月？", "{m}月前面是几月？", "这个月是{m}月，上个月是几月？")
        yield from phrase("month", previous, f"上一个月是{(m - 2) % 12 + 1}月。", m=m)
        season = (
            "{m}月是什么季节？",
            "北京的{m}月是什么季节？",
            "{m}月属于哪个季节？",
            "在中国，{m}月是哪个季节？",
        )
        yield from phrase("month", season, f"{m}月是{SEASONS[m - 1]}天。", m=m)
