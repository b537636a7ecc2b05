"""`belle-edge info`: this machine as the engine sees it, or what a GGUF file holds and needs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .describe import describe_file, describe_machine, open_file, provenance
from .measured import measured_lines
from .model_source import ModelSource, add_model_argument
from .shared_options import add_context_argument, add_json_argument, add_kv_argument
from .terminal import print_lines, text_writer

_LONGEST = 100  # characters of a metadata value that --verbose shows


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "info",
        help="describe this machine, or a GGUF file",
        description="Without MODEL: version, processor, instruction sets, memory. With MODEL: what the file "
        "holds, and the memory it needs. --verbose adds its provenance, what is measured when it is loaded, and "
        "every tensor.",
    )
    add_model_argument(parser, required=False)
    add_context_argument(parser, help="state the memory for N tokens")
    add_kv_argument(parser, help="and with this type of cache")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--template", action="store_true", help="print the chat template and nothing else")
    add_json_argument(output, help="print one JSON line")
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
    yield f"processor     {cpu['brand']} ({cpu['architecture']}), {cpu['usable_threads']} usable threads"
    yield f"features      {' '.join(cpu['features'])}"
    if memory is not None:
        yield f"memory        {size_text(memory['bytes'])} available ({memory['limit']})"
    yield "tiers"
    for tier in report["tiers"]:
        if tier["name"] == report["isa"]:
            state = "active"
        elif tier["supported"]:
            state = "supported"
        elif not tier["compiled"]:
            state = "not compiled"
        else:
            state = f"lacks {' '.join(tier['missing_features'])}"
        yield f"  {tier['name']:<11} {state}"


def _file_lines(report: dict[str, Any]) -> Iterator[str]:
    from ..memory import size_text

    shape, tokenizer = report["shape"], report["tokenizer"]
    preset = ", ".join(f"{key} {value:g}" for key, value in report["preset"].items())
    template = (report["family"] or "own") if report["has_chat_template"] else "no"
    stops = json.dumps(["EOS", *report["stop_strings"]], ensure_ascii=False)
    yield f"{report['file']}  {size_text(report['size_bytes'])}, GGUF v{report['gguf_version']}"
    if len(report["parts"]) > 1:
        yield f"split         in {len(report['parts'])} parts, all there"
    yield f"model         {report['name'] or '(no name)'}"
    yield f"architecture  {report['architecture']}"
    yield "shape         " + _pairs(shape)
    kind = [report["mix"] or report["file_type"], "mixed" if report["mixed"] else None]
    sizes = f"{report['weights']:,} at {report['bits_per_weight']:.2f} bits"
    yield "weights       " + ", ".join([sizes, *filter(None, kind)])
    for name, entry in sorted(report["types"].items(), key=lambda item: -item[1]["bytes"]):
        yield f"  {name:<10}{entry['tensors']:>5} tensors {size_text(entry['bytes']):>12}"
    yield "tokenizer     " + _pairs(tokenizer)
    yield f"prompts       {template} template, stops {stops}"
    yield f"sampling      {preset or 'no preset'}"
    yield f"licence       {report['license']}"
    yield f"checksums     {_checksum_text(report['checksums'], report['rewritten'])}"
    yield f"engine        {_engine_text(report['native'])}"
    yield from _memory_lines(report["memory"])


def _engine_text(native: dict[str, Any]) -> str:
    if native["runs"]:
        return "native"
    reason = native["reason"]
    other = "" if "llama.cpp backend" in reason else "; the llama.cpp backend may run it: --backend llama.cpp"
    return f"not the native one: {reason}{other}"


def _checksum_text(checksums: dict[str, Any] | None, rewritten: str | None) -> str:
    if rewritten is not None:
        weights = "none for its weights" if checksums is None else "`belle-edge verify` checks the weights"
        return f"{weights}; another program changed the file since belle-edge wrote it: {rewritten}"
    if checksums is None:
        return "none: not written by belle-edge"
    return f"{checksums['algorithm']}; the header matches, `belle-edge verify` checks the weights"


def _memory_lines(memory: dict[str, Any]) -> Iterator[str]:
    """What the model needs when it runs, against what there is."""
    from ..memory import size_text

    yield f"memory        {size_text(memory['total'])} with a context of {memory['context']} tokens"
    yield f"  weights   {size_text(memory['weights']):>11}"
    yield (
        f"  cache     {size_text(memory['kv']):>11}  {memory['kv_type']}, "
        f"{size_text(memory['kv_bytes_per_token'])} per token"
    )
    yield f"  buffers   {size_text(memory['activations']):>11}"
    yield f"  tokenizer {size_text(memory['tokenizer']):>11}"
    if (available := memory["available"]) is not None:
        fits = "fits" if memory["total"] <= available["bytes"] else "does not fit"
        yield f"  available {size_text(available['bytes']):>11}  {available['limit']}: {fits}"


def _detail_lines(path: Path) -> Iterator[str]:
    """Provenance, activation forms, tensors."""
    from ..memory import size_text

    file = open_file(path)
    yield "metadata"
    for key, value in provenance(file).items():
        yield f"  {key:<44}{value if len(value) <= _LONGEST else value[: _LONGEST - 1] + '…'}"
    yield from measured_lines(path)
    yield "tensors"
    for tensor in file.tensors():
        shape = " x ".join(map(str, tensor.shape))
        yield f"  {tensor.name:<36}{tensor.type:<8}{shape:>16}{size_text(tensor.n_bytes):>12}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)
