"""Tokenizers made at random: every field of tokenizer.json, tokenizer.model and their settings varies."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

_CHARACTERS = "▁abcdefghilnorstuABCEHT0123456789.,:!?'<>|/_-()你好北京上海。，éﬁ"
_WORDS = [
    "▁a",
    "ab",
    "▁ab",
    "▁▁",
    "▁▁▁▁",
    "你好",
    "the",
    "▁the",
    "▁th",
    "he",
    "in",
    "ing",
    "er",
    "北京",
    "▁北京",
    "12",
]
_ADDED = ["<|im_start|>", "<|im_end|>", "<tool>", "[SEP]", "<x>", "▁mark", "<a b>", "user"]


class RandomTokenizer:
    """Writes one tokenizer, decided by its seed, into a folder. `n_rows`: of an embedding that fits it."""

    n_rows = 700

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.has_bytes = self._odds(0.95)

    def write(self, folder: Path) -> dict[str, Any]:
        """The files; config.json is also returned."""
        form = self.random.choice(["model", "json", "json", "both", "stale", "byte-level", "byte-level"])
        if form in ("model", "both", "stale"):
            self._write_model(folder / "tokenizer.model")
        n_tokens = 3 + 256 * self.has_bytes + 80
        added: list[dict[str, Any]] = []
        if form != "model":
            tokenizer = (
                self._byte_level() if form == "byte-level" else self._byte_fallback(extended=form == "stale")
            )
            n_tokens = len(tokenizer["model"]["vocab"])
            added = self._added(n_tokens)
            tokenizer["added_tokens"] = [
                self._entry(i, t, True) for i, t in enumerate(("<unk>", "<s>", "</s>"))
            ] + added
            tokenizer["post_processor"] = self._post_processor()
            (folder / "tokenizer.json").write_text(
                json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8"
            )
        self._write_settings(folder, added, byte_level=form == "byte-level")
        config = {"model_type": "bloom" if form == "byte-level" else "llama", "eos_token_id": 2}
        if self._odds(0.3):
            config["eos_token_id"] = [2, 5]  # type: ignore[assignment]
        (folder / "config.json").write_text(json.dumps(config))
        return config

    def _odds(self, probability: float) -> bool:
        return self.random.random() < probability

    def _pieces(self, *, extended: bool = False) -> list[tuple[str, float, int]]:
        pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
        if self.has_bytes:
            pieces += [(f"<0x{value:02X}>", 0.0, 6) for value in range(256)]
        words = list(_WORDS) + (["上海", "▁上海", "or"] if extended else [])
        pieces += [(word, -float(index), 1) for index, word in enumerate(words)]
        pieces += [(char, -1000.0 - index, 1) for index, char in enumerate(_CHARACTERS)]
        return pieces

    def _write_model(self, path: Path) -> None:
        from sentencepiece import sentencepiece_model_pb2 as protocol

        model = protocol.ModelProto()
        pieces = self._pieces()
        if self._odds(0.25):
            pieces += [("<ud>", 0.0, 4), ("▁▁▁", 0.0, 4)]
        if self._odds(0.15):  # scores and ids in different orders
            pieces[-len(_CHARACTERS) - 3] = ("ber", 5.0, 1)
            pieces += [("be", 4.0, 1)]
        for piece, score, kind in pieces:
            model.pieces.add(piece=piece, score=score, type=kind)
        model.trainer_spec.model_type = 1 if self._odds(0.05) else 2
        model.trainer_spec.byte_fallback = self.has_bytes
        model.trainer_spec.treat_whitespace_as_suffix = self._odds(0.1)
        model.normalizer_spec.name = "identity"
        model.normalizer_spec.add_dummy_prefix = self._odds(0.8)
        model.normalizer_spec.remove_extra_whitespaces = self._odds(0.2)
        model.normalizer_spec.escape_whitespaces = self._odds(0.95)
        path.write_bytes(model.SerializeToString())

    def _byte_fallback(self, *, extended: bool) -> dict[str, Any]:
        vocabulary = {piece: index for index, (piece, _, _) in enumerate(self._pieces(extended=extended))}
        merges = [
            [piece[:at], piece[at:]]
            for piece in vocabulary
            for at in range(1, len(piece))
            if piece[:at] in vocabulary and piece[at:] in vocabulary and not piece.startswith("<")
        ]
        if self._odds(0.1):
            self.random.shuffle(merges)
        model = {
            "type": "BPE",
            "dropout": 0.1 if self._odds(0.03) else None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": self._odds(0.8),
            "byte_fallback": self.has_bytes,
            "ignore_merges": self._odds(0.1),
            "vocab": vocabulary,
            "merges": merges,
        }
        normalizer, pre_tokenizer = self._spaces()
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer,
            "decoder": None,
            "model": model,
        }

    def _spaces(self) -> tuple[Any, Any]:
        """A normalizer and a pre-tokenizer: most write spaces as ▁, some do more."""
        steps: list[Any] = []
        for step in (
            {"type": "NFKC"},
            {"type": "Lowercase"},
            {"type": "Strip", "strip_left": True, "strip_right": True},
        ):
            if self._odds(0.07):
                steps.append(step)
        metaspace: Any = None
        if self._odds(0.5):
            if self._odds(0.7):
                steps.append({"type": "Prepend", "prepend": "▁"})
            if self._odds(0.95):
                steps.append({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})
        else:
            metaspace = {
                "type": "Metaspace",
                "replacement": "▁",
                "prepend_scheme": self.random.choice(["always", "first", "never"]),
                "split": self._odds(0.3),
            }
            if self._odds(0.1):
                digits = {"type": "Digits", "individual_digits": True}
                metaspace = {"type": "Sequence", "pretokenizers": [metaspace, digits]}
        normalizer = {"type": "Sequence", "normalizers": steps} if steps else None
        return normalizer, metaspace

    def _byte_level(self) -> dict[str, Any]:
        from tokenizers import pre_tokenizers

        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokens = [
            "<unk>",
            "<s>",
            "</s>",
            "<pad>",
            *alphabet,
            "ab",
            "Ġa",
            "th",
            "Ġth",
            "he",
            "Ġthe",
            "12",
            "ĠĠ",
        ]
        merges = [
            ["a", "b"],
            ["Ġ", "a"],
            ["t", "h"],
            ["Ġ", "th"],
            ["h", "e"],
            ["Ġth", "e"],
            ["1", "2"],
            ["Ġ", "Ġ"],
        ]
        byte_level = {"type": "ByteLevel", "add_prefix_space": self._odds(0.1), "trim_offsets": True}
        split = {
            "type": "Split",
            "pattern": {"Regex": " ?[^(\\s|[.,!?…。，、।۔،])]+"},
            "behavior": "Isolated",
            "invert": False,
        }
        steps = [split, {**byte_level, "use_regex": False}]
        bloom = {"type": "Sequence", "pretokenizers": steps}
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "normalizer": {"type": "NFC"} if self._odds(0.15) else None,
            "pre_tokenizer": bloom if self._odds(0.6) else {**byte_level, "use_regex": True},
            "decoder": {
                "type": "ByteLevel",
                "add_prefix_space": True,
                "trim_offsets": True,
                "use_regex": True,
            },
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": self._odds(0.1),
                "vocab": {token: index for index, token in enumerate(tokens)},
                "merges": merges,
            },
        }

    def _added(self, n_tokens: int) -> list[dict[str, Any]]:
        texts = self.random.sample(_ADDED, self.random.randrange(4))
        return [
            self._entry(n_tokens + index, text, self._odds(0.5), vary=True)
            for index, text in enumerate(texts)
        ]

    def _entry(self, token_id: int, text: str, special: bool, *, vary: bool = False) -> dict[str, Any]:
        flags = {name: vary and self._odds(0.2) for name in ("single_word", "lstrip", "rstrip", "normalized")}
        return {"id": token_id, "content": text, "special": special, **flags}

    def _post_processor(self) -> Any:
        before = self.random.choice([[], [], ["<s>"], ["<s>"], ["<s>", "<s>"], ["<unk>"]])
        behind = self.random.choice([[], [], [], ["</s>"]])
        if self._odds(0.3):
            return None

        def part(name: str) -> list[Any]:
            special = [{"SpecialToken": {"id": text, "type_id": 0}} for text in before]
            end = [{"SpecialToken": {"id": text, "type_id": 0}} for text in behind]
            return [*special, {"Sequence": {"id": name, "type_id": 0}}, *end]

        ids = {"<unk>": 0, "<s>": 1, "</s>": 2}
        return {
            "type": "TemplateProcessing",
            "single": part("A"),
            "pair": [*part("A"), *part("B")],
            "special_tokens": {
                text: {"id": text, "ids": [ids[text]], "tokens": [text]} for text in {*before, *behind}
            },
        }

    def _write_settings(self, folder: Path, added: list[dict[str, Any]], *, byte_level: bool) -> None:
        classes = ["LlamaTokenizer", "LlamaTokenizerFast", "PreTrainedTokenizerFast", "LLaMATokenizer", None]
        stated = self.random.choice(["BloomTokenizerFast", None] if byte_level else classes)
        settings: dict[str, Any] = {} if stated is None else {"tokenizer_class": stated}
        for name, text in (("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")):
            if self._odds(0.8):
                settings[name] = text
        for name in ("add_bos_token", "add_eos_token", "legacy", "add_prefix_space"):
            if self._odds(0.35):
                settings[name] = self._odds(0.5)
        if added and self._odds(0.5):
            settings["added_tokens_decoder"] = {
                str(entry["id"]): {key: value for key, value in entry.items() if key != "id"}
                for entry in added
            }
        if added and self._odds(0.3):
            settings["additional_special_tokens"] = [added[0]["content"]]
        if added and self._odds(0.2):
            (folder / "added_tokens.json").write_text(json.dumps({added[0]["content"]: added[0]["id"]}))
        if self._odds(0.9):
            (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        if self._odds(0.2):
            (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": "</s>"}))
