"""`belle-edge identify`: which BELLE is this, and how sure is that?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .shared_options import add_family_argument, add_json_argument, add_revision_argument
from .terminal import print_lines

if TYPE_CHECKING:
    from ..convert.description import SourceDescription

_ARCHITECTURES = {"bloom": "BLOOM", "llama": "LLaMA"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "identify",
        help="say which BELLE a checkpoint is",
        description="Say which BELLE a checkpoint is, with the evidence: prompt template, stop strings, special ids, "
        "sampling preset, licence. Of a hub id only metadata is downloaded.",
    )
    parser.add_argument(
        "src", metavar="SRC", help="folder, with or without weights, a file in it, or a hub id (org/name)"
    )
    add_family_argument(parser, help="show what `convert` would write with this override", none=True)
    add_revision_argument(parser)
    add_json_argument(parser, help="print one JSON line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command. An unknown model is an answer, not an error."""
    from ..convert.description import describe_source

    description = describe_source(args.src, family=args.family, revision=args.revision)
    if args.json:
        print(json.dumps(description.to_dict(), ensure_ascii=False))
    else:
        print_lines(_lines(description))
    return 0


def _lines(description: SourceDescription) -> Iterator[str]:
    identity, family = description.identity, description.prompt_family
    yield f"model         {identity.name or _unnamed(description)}"
    if family is None:
        yield "family        none: not a known BELLE"
    else:
        yield f"family        {family.name} ({identity.confidence}): {family.description}"
        yield f"prompt        {json.dumps(description.prompt, ensure_ascii=False)}"
        yield f"stops         {json.dumps(['EOS', *family.stop_strings], ensure_ascii=False)}"
        yield "sampling      " + ", ".join(f"{key} {value:g}" for key, value in family.preset.items())
    known = {kind: token_id for kind, token_id in description.special_ids.items() if token_id is not None}
    ids = ", ".join(f"{kind} {token_id}" for kind, token_id in known.items())
    yield f"special ids   {ids or 'unknown'}" + (f" ({description.special_ids_from})" if ids else "")
    if identity.license:
        yield f"licence       {identity.license.name or identity.license.id}"
    if identity.base_model:
        yield f"base model    {identity.base_model.organization}/{identity.base_model.name}"
    yield from _evidence_lines(description)
    yield from (f"conflict: {conflict}" for conflict in identity.conflicts)
    yield from (f"warning: {warning}" for warning in identity.warnings)
    names = ", ".join(description.to_dict()["families"])
    yield f"`belle-edge convert --family NAME` overrides template, stops and sampling preset: {names}"


def _unnamed(description: SourceDescription) -> str:
    architecture = description.structure.architecture
    return (
        f"{_ARCHITECTURES[architecture]} without a known name" if architecture else "of unknown architecture"
    )


def _evidence_lines(description: SourceDescription) -> Iterator[str]:
    """The evidence with its weight and the families it speaks for."""
    evidence = description.identity.evidence
    yield "evidence" if evidence else "evidence      none"
    for piece in evidence:
        families = ", ".join(piece.weights) or ("a BELLE, not which one" if piece.names_belle else "none")
        yield f"  {piece.weight}  {piece.source}: {piece.found} → {families}"
