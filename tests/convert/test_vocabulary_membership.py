"""Which bytes can occur in text of given characters: against all substrings, and tokens made by hand."""

from __future__ import annotations

import itertools

import pytest

from belle_edge.convert.trim.languages import characters_of
from belle_edge.convert.trim.membership import AllowedText


def test_it_is_exactly_the_substrings_of_allowed_text() -> None:
    """Characters of one to four bytes, some with common starts or ends; every string of up to four of their bytes."""
    alphabet = "aé中丮😀"
    allowed = AllowedText(map(ord, alphabet))
    texts = ["".join(chars).encode() for chars in itertools.product(alphabet, repeat=4)]
    parts = {
        text[start:stop]
        for text in texts
        for start in range(len(text))
        for stop in range(start + 1, start + 5)
    }
    values = sorted({value for char in alphabet for value in char.encode()})
    for length in range(1, 5):
        for candidate in map(bytes, itertools.product(values, repeat=length)):
            assert allowed.can_contain(candidate) == (candidate in parts), candidate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "languages", "expected"),
    [
        (b" the", ("en",), True),
        ("中".encode(), ("zh",), True),
        ("中".encode(), ("en",), False),
        ("中".encode(), ("ja",), True),
        ("中".encode(), ("ko",), False),
        ("한".encode(), ("ko",), True),
        ("한".encode(), ("zh", "en"), False),
        ("é".encode(), ("fr",), True),
        ("É".encode(), ("fr",), True),
        ("é".encode(), ("zh", "en"), False),
        ("привет".encode(), ("ru",), True),
        ("привет".encode(), ("zh", "en"), False),
        ("ế".encode(), ("vi",), True),
        ("हिन्दी।".encode(), ("hi",), True),
        ("，。！".encode(), ("zh",), True),
        ("，。！".encode(), ("en",), False),
        ("😀👍🏽".encode(), ("en",), True),
        ("𠀀".encode(), ("zh",), True),  # extension B
        ("α≤β…—€".encode(), ("en",), True),
        (b" \xe4\xbd", ("zh",), True),  # the start of 你
        (b"\xa0\xe5\xa5", ("zh",), True),  # an end, a start
        (b"\xbd\xa0\xe5\xa5\xbd", ("zh",), True),
        (b"\xbd", ("zh",), True),  # within a character
        (b"\xf0\x9f\x98", ("en",), True),  # the start of an emoji
        (b"\x9f\x98", ("en",), True),  # the middle of one
        (b"\xe4\xbd", ("en",), False),
        (b"a\xd0", ("en",), False),  # the start of a Cyrillic letter
        (b"a\xd0", ("ru",), True),
        (b"\xe4a", ("zh",), False),  # no UTF-8 at all
        (b"\xc0\x80", ("zh", "en"), False),  # an overlong zero
        (b"\xed\xa0\x80", ("zh", "ko"), False),  # a surrogate
        (b"\x80\x80\x80\x80", ("zh", "en"), False),
    ],
)
def test_tokens_made_by_hand(token: bytes, languages: tuple[str, ...], expected: bool) -> None:
    assert AllowedText(characters_of(languages)).can_contain(token) is expected


def test_whatever_is_allowed_has_allowed_parts() -> None:
    allowed = AllowedText(characters_of(("zh", "vi")))
    data = "你好ế, 𠀀😀!".encode()
    for start, stop in itertools.combinations(range(len(data) + 1), 2):
        assert allowed.can_contain(data[start:stop])
