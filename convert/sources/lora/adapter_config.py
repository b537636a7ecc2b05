"""adapter_config.json of a PEFT adapter: what scales its matrices, and which kinds of adapters cannot be merged."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from belle_edge.errors import ConversionError, excerpt
from belle_edge.hub.repository import is_repo_id

# Settings under which the weights are not simply W + scale · B·A, with the names of these methods.
_OTHER_METHODS = {
    "use_dora": "DoRA",
    "use_qalora": "QA-LoRA",
    "use_bdlora": "BD-LoRA",
    "alora_invocation_tokens": "activated LoRA",
    "arrow_config": "Arrow routing",
    "kasa_config": "KaSA",
    "layer_replication": "layer replication",
    "lora_bias": "biases inside the adapter",
    "monteclora_config": "MonteCLoRA",
    "target_parameters": "LoRA of bare parameters",
    "trainable_token_indices": "trainable tokens",
}
# Ways to start training that take a part out of the base's weights: PEFT does so again at each load.
_STARTS_FROM_A_CHANGED_BASE = ("pissa", "corda", "olora", "loftq", "lora_ga")
# Patterns come with the adapter, and a regular expression can take time exponential in the length of a name.
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_REPEAT = re.compile(r"[*+{]")
_MAX_REPEATS = 4
_BY_PEFT = "merge it with PEFT (merge_and_unload) and convert the result"


@dataclass(frozen=True)
class LoraConfig:
    """The settings that decide how an adapter is merged; defaults are PEFT's."""

    file: str  # for messages
    rank: int = 8
    alpha: float = 8.0
    rank_pattern: Mapping[str, int] | None = None
    alpha_pattern: Mapping[str, float] | None = None
    uses_rslora: bool = False
    fan_in_fan_out: bool = False
    enable_lora: tuple[bool, ...] | None = None  # of MergedLinear, in PEFT up to 0.2
    bias: str = "none"
    modules_to_save: tuple[str, ...] = ()
    base_model: str | None = None  # org/name

    def rank_of(self, module: str) -> int:
        """r of a module by its path in the base model."""
        return int(_by_pattern(self.file, self.rank_pattern or {}, module, self.rank))

    def scale_of(self, module: str) -> float:
        """alpha / r, with rsLoRA alpha / sqrt(r) (https://arxiv.org/abs/2312.03732, theorem 3.2)."""
        rank = self.rank_of(module)
        alpha = _by_pattern(self.file, self.alpha_pattern or {}, module, self.alpha)
        return alpha / (math.sqrt(rank) if self.uses_rslora else rank)

    def saves(self, name: str) -> bool:
        """Whether the adapter is meant to bring the whole tensor `name` ("….lm_head.weight")."""
        module, _, part = name.rpartition(".")
        if part == "bias" and self.bias in ("all", "lora_only"):
            return True
        return any(module == saved or module.endswith(f".{saved}") for saved in self.modules_to_save)


def read_lora_config(file: str, values: Mapping[str, Any]) -> LoraConfig:
    """Checked settings. ConversionError, by name, for what is no LoRA or cannot be merged."""
    _check_method(file, values)
    base = values.get("base_model_name_or_path")
    return LoraConfig(
        file=file,
        rank=int(_positive(file, "r", values.get("r", 8), whole=True)),
        alpha=_positive(file, "lora_alpha", values.get("lora_alpha", 8)),
        rank_pattern={
            key: int(_positive(file, f"rank_pattern {key}", value, whole=True))
            for key, value in _mapping(file, values, "rank_pattern").items()
        },
        alpha_pattern={
            key: _positive(file, f"alpha_pattern {key}", value)
            for key, value in _mapping(file, values, "alpha_pattern").items()
        },
        uses_rslora=bool(values.get("use_rslora")),
        fan_in_fan_out=bool(values.get("fan_in_fan_out")),
        enable_lora=_enabled(file, values.get("enable_lora")),
        bias=str(values.get("bias") or "none"),
        modules_to_save=_names(file, values.get("modules_to_save")),
        base_model=base if isinstance(base, str) and is_repo_id(base) else None,
    )


def _check_method(file: str, values: Mapping[str, Any]) -> None:
    method = values.get("peft_type", "LORA")
    if method != "LORA":
        raise ConversionError(
            f"[{file}] peft_type: expected LORA, got {excerpt(method)}; {_BY_PEFT} if PEFT can"
        )
    for key, name in _OTHER_METHODS.items():
        if values.get(key):
            raise ConversionError(f"[{file}] {key}: {name} is not read here; {_BY_PEFT} if PEFT can")
    start = values.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_STARTS_FROM_A_CHANGED_BASE):
        raise ConversionError(
            f"[{file}] init_lora_weights: {excerpt(start)} changes the base model before training, so the adapter does"
            f" not fit the published one; {_BY_PEFT}"
        )


def _by_pattern(file: str, patterns: Mapping[str, float], module: str, default: float) -> float:
    """The value of the first pattern that the end of a module's path matches, as PEFT looks it up."""
    for pattern, value in patterns.items():
        if _REPEATED_GROUP.search(pattern) or len(_REPEAT.findall(pattern)) > _MAX_REPEATS:
            raise ConversionError(
                f"[{file}] {excerpt(pattern)}: repeats within repeats, which may take forever to match; write the names"
                " out"
            )
        try:
            if re.match(rf"(.*\.)?({pattern})$", module):
                return value
        except re.error as error:
            raise ConversionError(
                f"[{file}] {excerpt(pattern)}: not a regular expression ({error})"
            ) from None
    return default


def _positive(file: str, key: str, value: Any, *, whole: bool = False) -> float:
    is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < 1e9:
        kind = "integer" if whole else "number"
        raise ConversionError(f"[{file}] {key}: expected a positive {kind}, got {excerpt(value)}")
    return float(value)


def _mapping(file: str, values: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = values.get(key) or {}
    if not isinstance(value, dict):
        raise ConversionError(f"[{file}] {key}: expected an object, got {excerpt(value)}")
    return value


def _names(file: str, value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConversionError(f"[{file}] modules_to_save: expected a list of names, got {excerpt(value)}")
    return tuple(names)


def _enabled(file: str, value: Any) -> tuple[bool, ...] | None:
    """enable_lora, which PEFT computed consistently with exactly two parts only."""
    if not value:
        return None
    is_list = isinstance(value, list) and all(isinstance(part, bool) for part in value)
    if not is_list or sum(value) != 2:
        raise ConversionError(
            f"[{file}] enable_lora: expected a list with two parts true, as [true, false, true], got {excerpt(value)}"
        )
    return tuple(value)
