"""Texts of requests to ids, by the rules of lm-eval's `hf` model, so that both see the same tokens."""

from __future__ import annotations

from ...text.tokenizer import Tokenizer


class RequestEncoder:
    """Encodes contexts and continuations with a model's own tokenizer."""

    def __init__(
        self, tokenizer: Tokenizer, *, add_bos: bool | None = None, prefix_token_id: int | None = None
    ) -> None:
        """add_bos: whether texts begin with BOS; None: as the file's settings say. prefix_token_id: what stands for an
        empty context; None: BOS, or EOS where there is none.

        ValueError for an id outside the vocabulary, and where the vocabulary has neither BOS nor EOS.
        """
        vocabulary = tokenizer.vocabulary
        self._tokenizer = tokenizer
        self._add_bos = add_bos
        known = (prefix_token_id, vocabulary.bos_id, vocabulary.eos_id)
        prefix = next((token_id for token_id in known if token_id is not None), None)
        if prefix is None:
            raise ValueError("[harness] this vocabulary has neither BOS nor EOS: give prefix_token_id")
        if not 0 <= prefix < len(tokenizer):
            raise ValueError(f"[harness] prefix_token_id: expected 0 to {len(tokenizer) - 1}, got {prefix}")
        self.prefix_id = prefix
        self._prefix_text = tokenizer.decode([prefix], skip_special=False)
        self._last: tuple[str, bool | None, list[int]] = ("", False, [])

    def encode(self, text: str, *, add_special_tokens: bool | None = None) -> list[int]:
        """Ids of `text`; texts of control tokens become those tokens, as in the text of a chat template.

        add_special_tokens None: BOS and EOS as the settings say, but none where the text begins with the prefix itself.
        """
        if self._last[:2] == (
            text,
            add_special_tokens,
        ):  # the context of a question comes once for each choice
            return list(self._last[2])
        plain = add_special_tokens is False or (
            add_special_tokens is None and bool(self._prefix_text) and text.startswith(self._prefix_text)
        )
        ids = self._tokenizer.encode(
            text,
            add_bos=False if plain else self._add_bos,
            add_eos=False if plain else None,
            parse_special=True,
        )
        self._last = (text, add_special_tokens, ids)
        return list(ids)
