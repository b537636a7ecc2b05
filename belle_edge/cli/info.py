"""`belle-edge info`: this machine as the engine sees it, or what a GGUF file holds and needs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..languages import said, t, tn
from ..languages.columns import labelled, padded
from .describe import describe_file, describe_machine, open_file, provenance
from .measured import measured_lines
from .model_source import ModelSource, add_model_argument
from .shared_options import add_context_argument, add_json_argument, add_kv_argument
from .terminal import print_lines, text_writer

_PART_CELLS = 12  # of a label below "memory"
_LONGEST = 100  # characters of a metadata value that --verbose shows


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "info",
        help=t("describe this machine, or a GGUF file"),
        description=t(
            "Without MODEL: version, processor, instruction sets, memory. With MODEL: what the file "
            "holds, and the memory it needs. --verbose adds its provenance, what is measured when it is loaded, and "
            "every tensor."
        ),
    )
    add_model_argument(parser, required=False)
    add_context_argument(parser, help=t("state the memory for N tokens"))
    add_kv_argument(parser, help=t("and with this type of cache"))
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--template", action="store_true", help=t("print the chat template and nothing else"))
    add_json_argument(output, help=t("print one JSON line"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.context is not None and args.context < 1:
        raise ValueError(f"--context: expected at least 1, got {args.context}")
    if args.model is None:
        if args.template:
            raise ValueError("--template needs a GGUF file")
        report = describe_machine()
    else:
        path = ModelSource(args).path()
        report = describe_file(path, context=args.context, kv=args.kv)
    if args.template:
        if not report["has_chat_template"]:
            raise ValueError(f"{report['file']} has no chat template")
        text_writer(sys.stdout)(report["chat_template"] + "\n")
    elif args.json:
        print(json.dumps(report, ensure_ascii=False))
    elif args.model is None:
        print_lines(_machine_lines(report))
    else:
        print_lines(_file_lines(report))
        if args.verbose:
            print_lines(_detail_lines(path))
    return 0


def _machine_lines(report: dict[str, Any]) -> Iterator[str]:
    from ..memory import size_text

    cpu, memory = report["cpu"], report["available_memory"]
    yield f"belle-edge {report['version']}"
    brand, n = f"{cpu['brand']} ({cpu['architecture']})", cpu["usable_threads"]
    yield labelled(
        t("processor"), tn("{name}, {n} usable thread", "{name}, {n} usable threads", n=n, name=brand)
    )
    yield labelled(t("features"), " ".join(cpu["features"]))
    if memory is not None:
        size, limit = size_text(memory["bytes"]), said(memory["limit"])
        yield labelled(t("memory"), t("{size} available ({limit})", size=size, limit=limit))
    yield t("tiers")
    for tier in report["tiers"]:
        if tier["name"] == report["isa"]:
            state = t("active")
        elif tier["supported"]:
            state = t("supported")
        elif not tier["compiled"]:
            state = t("not compiled")
        else:
            state = t("lacks {features}", features=" ".join(tier["missing_features"]))
        yield f"  {tier['name']:<11} {state}"


def _file_lines(report: dict[str, Any]) -> Iterator[str]:
    from ..memory import size_text

    shape, tokenizer = report["shape"], report["tokenizer"]
    preset = ", ".join(f"{key} {value:g}" for key, value in report["preset"].items())
    stops = json.dumps(["EOS", *report["stop_strings"]], ensure_ascii=False)
    yield f"{report['file']}  {size_text(report['size_bytes'])}, GGUF v{report['gguf_version']}"
    if len(report["parts"]) > 1:
        yield labelled(t("split"), t("in {n} parts, all there", n=len(report["parts"])))
    yield labelled(t("model"), report["name"] or t("(no name)"))
    yield labelled(t("architecture"), report["architecture"])
    yield labelled(t("shape"), _pairs(shape))
    kind = [report["mix"] or report["file_type"], t("mixed") if report["mixed"] else None]
    sizes = t("{n:,} at {bits:.2f} bits", n=report["weights"], bits=report["bits_per_weight"])
    yield labelled(t("weights"), ", ".join([sizes, *filter(None, kind)]))
    for name, entry in sorted(report["types"].items(), key=lambda item: -item[1]["bytes"]):
        yield f"  {name:<10}{entry['tensors']:>5} {t('tensors')} {size_text(entry['bytes']):>12}"
    if report["optimized"] is not None:
        from ..convert.optimize.receipt_text import receipt_text

        yield labelled(t("optimized"), receipt_text(report["optimized"]))
    yield labelled(t("tokenizer"), _pairs(tokenizer))
    yield labelled(t("prompts"), f"{_template_text(report)}, {t('stops {texts}', texts=stops)}")
    yield labelled(t("sampling"), preset or t("no preset"))
    yield labelled(t("licence"), said(report["license"]))
    yield labelled(t("checksums"), _checksum_text(report["checksums"], report["rewritten"]))
    yield labelled(t("engine"), _engine_text(report["native"]))
    yield from _memory_lines(report["memory"])


def _template_text(report: dict[str, Any]) -> str:
    if not report["has_chat_template"]:
        return t("no template")
    return t("{family} template", family=report["family"]) if report["family"] else t("own template")


def _engine_text(native: dict[str, Any]) -> str:
    if native["runs"]:
        return t("native")
    reason = native["reason"]
    text = t("not the native one: {reason}", reason=said(reason))
    if "llama.cpp backend" in reason:
        return text
    return f"{text}; {t('the llama.cpp backend may run it: --backend llama.cpp')}"


def _checksum_text(checksums: dict[str, Any] | None, rewritten: str | None) -> str:
    if rewritten is not None:
        weights = (
            t("none for its weights") if checksums is None else t("`belle-edge verify` checks the weights")
        )
        changes = said(rewritten)
        change = t("another program changed the file since belle-edge wrote it: {changes}", changes=changes)
        return f"{weights}; {change}"
    if checksums is None:
        return t("none: not written by belle-edge")
    algorithm = checksums["algorithm"]
    return t("{algorithm}; the header matches, `belle-edge verify` checks the weights", algorithm=algorithm)


def _memory_lines(memory: dict[str, Any]) -> Iterator[str]:
    """What the model needs when it runs, against what there is."""
    from ..memory import size_text

    total = size_text(memory["total"])
    yield labelled(t("memory"), t("{size} with a context of {n} tokens", size=total, n=memory["context"]))

    def part(label: str, n_bytes: int, note: str = "") -> str:
        return f"  {padded(label, _PART_CELLS)}{size_text(n_bytes):>9}{note}"

    per_token = t("{size} per token", size=size_text(memory["kv_bytes_per_token"]))
    yield part(t("weights"), memory["weights"])
    yield part(t("cache"), memory["kv"], f"  {memory['kv_type']}, {per_token}")
    yield part(t("buffers"), memory["activations"])
    yield part(t("tokenizer"), memory["tokenizer"])
    if (available := memory["available"]) is not None:
        fits = t("fits") if memory["total"] <= available["bytes"] else t("does not fit")
        yield part(t("available"), available["bytes"], f"  {said(available['limit'])}: {fits}")


def _detail_lines(path: Path) -> Iterator[str]:
    """Provenance, activation forms, tensors."""
    from ..memory import size_text

    file = open_file(path)
    yield t("metadata")
    for key, value in provenance(file).items():
        yield f"  {key:<44}{value if len(value) <= _LONGEST else value[: _LONGEST - 1] + '…'}"
    yield from measured_lines(path)
    yield t("tensors")
    for tensor in file.tensors():
        shape = " x ".join(map(str, tensor.shape))
        yield f"  {tensor.name:<36}{tensor.type:<8}{shape:>16}{size_text(tensor.n_bytes):>12}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)
