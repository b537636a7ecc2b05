"""An answer's numbers: a line for people, JSON for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..languages import t

if TYPE_CHECKING:
    from ..generation.streams import Generation
    from ..model import Belle


def report(result: Generation, model: Belle) -> dict[str, Any]:
    """One answer for scripts: what --json prints."""
    details = model.details
    values: dict[str, Any] = {
        "text": result.text,
        "token_ids": list(result.token_ids),
        "finish_reason": result.finish_reason,
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.completion_tokens,
        "prefill_s": round(result.timings.prefill_s, 6),
        "decode_s": round(result.timings.decode_s, 6),
        "tokens_per_s": round(result.tokens_per_second, 3),
        "isa": details.get("isa"),
        "threads": details.get("threads"),
    }
    if result.logprobs is not None:
        values["logprobs"] = [
            {
                "token_id": token.token_id,
                "text": token.text,
                "logprob": round(token.logprob, 6),
                "top": [
                    {"token_id": token_id, "text": text, "logprob": round(logprob, 6)}
                    for token_id, text, logprob in token.top
                ],
            }
            for token in result.logprobs
        ]
    return values


def speed_line(result: Generation, model: Belle) -> str:
    """Token counts and speeds of one answer, for people."""
    details = model.details
    kept = result.prompt_tokens - result.prefilled_tokens
    return t(
        "{prompt} prompt tokens{cached} in {ms:.0f} ms, {n} tokens at {speed:.1f} tokens/s "
        "({isa}, {threads} threads)",
        prompt=result.prefilled_tokens,
        cached=t(" (and {n} from the cache)", n=kept) if kept else "",
        ms=result.timings.prefill_s * 1e3,
        n=result.completion_tokens,
        speed=result.tokens_per_second,
        isa=details.get("isa", "llama.cpp"),
        threads=details.get("threads"),
    )
