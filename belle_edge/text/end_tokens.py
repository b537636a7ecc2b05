"""Tokens that end a generation besides EOS: named by the file's keys, or known by their texts, as llama.cpp does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

KEYS = ("eot", "eom", "fim_pad", "fim_rep", "fim_sep")  # tokenizer.ggml.<key>_token_id
_TEXTS = frozenset(
    {
        *(
            "<|eot_id|>",
            "<|eom_id|>",
            "<|im_end|>",
            "<|end|>",
            "<|endoftext|>",
            "<|end_of_text|>",
            "<end_of_turn>",
        ),
        *(
            "<|return|>",
            "<|call|>",
            "<|calls|>",
            "<|flush|>",
            "<turn|>",
            "<|tool_response>",
            "<end_of_utterance>",
        ),
        *("<｜end▁of▁sentence｜>", "[e~["),
    }
)
# These may be words of a text: they count where the file does not call them ordinary tokens.
_SHORT_TEXTS = frozenset({"</s>", "<eos>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]"})
# Where a file's key names none, the first of these that there is. They stand between files and gaps of source code.
_FIRST_OF = {
    "fim_pad": ("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
    "fim_rep": ("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"),
    "fim_sep": ("<|file_sep|>",),
}
# With both of a pair, <|end|> ends a part of an answer only.
_ENDS_OF_PARTS = (({"<|return|>"}, {"<|call|>", "<|calls|>"}), ({"<|flush|>"}, {"<|call|>", "<|calls|>"}))


def end_tokens(
    named: Mapping[str, int], id_of: Mapping[str, int], is_ordinary: Callable[[int], bool]
) -> frozenset[int]:
    """Ids that end a generation.

    named: key of KEYS -> id, as far as the file has them. id_of: text -> id of the whole vocabulary. is_ordinary:
    whether the file calls a token an ordinary one.
    """
    found = {text: id_of[text] for text in _TEXTS if text in id_of}
    if any(found.keys() & one and found.keys() & other for one, other in _ENDS_OF_PARTS):
        found.pop("<|end|>", None)
    ends = {*named.values(), *found.values()}
    ends |= {id_of[text] for text in _SHORT_TEXTS if text in id_of and not is_ordinary(id_of[text])}
    for key, texts in _FIRST_OF.items():
        first = next((id_of[text] for text in texts if text in id_of), None)
        if key not in named and first is not None and not is_ordinary(first):
            ends.add(first)
    return frozenset(ends)
