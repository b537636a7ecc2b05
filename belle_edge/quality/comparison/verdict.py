"""The verdict about a candidate: one of four words, by a rule of a few numbers.

| level | mean KL, nats | first words that change | besides |
|---|---|---|---|
| identical | up to 0.0001 | none | largest KL up to 0.01 |
| close | up to 0.02 | up to 1 in 20 | |
| changed | up to 0.5 | up to 1 in 2 | perplexity up to 1.5 times the reference's |
| damaged | more | more | or a position without numbers |

The first row that a candidate fits is its level. Rounding of half floats and other orders of sums stay below the first
bounds. 8 bits are close; 4 bits are close on large models and change small ones.
"""

from __future__ import annotations

from .result import Level, Measures, Share, Verdict

_IDENTICAL_MEAN, _IDENTICAL_MAX = 1e-4, 1e-2
_CLOSE_MEAN, _CLOSE_SHARE = 0.02, 1 / 20
_CHANGED_MEAN, _CHANGED_SHARE, _CHANGED_RATIO = 0.5, 1 / 2, 1.5


def verdict(measures: Measures, first_words: Share) -> Verdict:
    """By the measures of all texts, and the first words of all prompts."""
    return Verdict(_level(measures, first_words), first_words.changed, first_words.of)


def _level(measures: Measures, first_words: Share) -> Level:
    mean, changed = measures.kl_mean, first_words.changed
    if measures.n_broken:
        return "damaged"
    if mean <= _IDENTICAL_MEAN and measures.kl_max <= _IDENTICAL_MAX and not changed:
        return "identical"
    if mean <= _CLOSE_MEAN and changed <= _CLOSE_SHARE * first_words.of:
        return "close"
    is_changed = mean <= _CHANGED_MEAN and changed <= _CHANGED_SHARE * first_words.of
    return "changed" if is_changed and measures.ratio <= _CHANGED_RATIO else "damaged"
