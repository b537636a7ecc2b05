"""tokenizer.json rewritten for a part of its vocabulary: the same tokens, merges and settings under new ids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from belle_edge.convert.trim.selection import Selection
from belle_edge.strict_json import parse


def trimmed_json(content: str, selection: Selection) -> str:
    """The text of a tokenizer.json with the tokens and merges of `selection` only."""
    new_ids = {old: new for new, old in enumerate(selection.ids)}
    tokenizer = parse(content)
    model = tokenizer["model"]
    kept = [(token, new_ids[old]) for token, old in model["vocab"].items() if old in new_ids]
    model["vocab"] = dict(sorted(kept, key=lambda entry: entry[1]))
    if model.get("merges"):
        model["merges"] = [model["merges"][place] for place in selection.merges]
    tokenizer["added_tokens"] = [
        {**entry, "id": new_ids[entry["id"]]}
        for entry in tokenizer.get("added_tokens") or []
        if entry["id"] in new_ids
    ]
    if isinstance(tokenizer.get("padding"), dict) and "pad_id" in tokenizer["padding"]:
        old = tokenizer["padding"]["pad_id"]
        tokenizer["padding"]["pad_id"] = new_ids.get(old, old)
    tokenizer["post_processor"] = _post_processor(tokenizer.get("post_processor"), new_ids)
    return json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))


def _post_processor(step: Any, new_ids: Mapping[int, int]) -> Any:
    """A post-processor with the ids of its special tokens mapped, in each of the forms that name ids."""
    if not isinstance(step, dict):
        return step
    step = dict(step)
    if isinstance(step.get("processors"), list):
        step["processors"] = [_post_processor(part, new_ids) for part in step["processors"]]
    if isinstance(step.get("special_tokens"), dict):
        step["special_tokens"] = {
            name: {**entry, "ids": [new_ids[old] for old in entry["ids"]]}
            for name, entry in step["special_tokens"].items()
        }
    for name in ("sep", "cls"):
        if isinstance(step.get(name), list):
            token, old = step[name]
            step[name] = [token, new_ids[old]]
    return step
