"""`belle-edge identify`: which BELLE is this, and how sure is that?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..languages import said, t
from ..languages.columns import labelled
from .shared_options import add_family_argument, add_json_argument, add_revision_argument
from .terminal import print_lines

if TYPE_CHECKING:
    from ..convert.description import SourceDescription

_ARCHITECTURES = {"bloom": "BLOOM", "llama": "LLaMA"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "identify",
        help=t("say which BELLE a checkpoint is"),
        description=t(
            "Say which BELLE a checkpoint is, with the evidence: prompt template, stop strings, special ids, "
            "sampling preset, licence. Of a hub id only metadata is downloaded."
        ),
    )
    parser.add_argument(
        "src", metavar="SRC", help=t("folder, with or without weights, a file in it, or a hub id (org/name)")
    )
    add_family_argument(parser, help=t("show what `convert` would write with this override"), none=True)
    add_revision_argument(parser)
    add_json_argument(parser, help=t("print one JSON line"))
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
    yield labelled(t("model"), identity.name or _unnamed(description))
    if family is None:
        yield labelled(t("family"), t("none: not a known BELLE"))
    else:
        confidence, what = said(identity.confidence), said(family.description)
        yield labelled(t("family"), f"{family.name} ({confidence}): {what}")
        yield labelled(t("prompt"), json.dumps(description.prompt, ensure_ascii=False))
        yield labelled(t("stops"), json.dumps(["EOS", *family.stop_strings], ensure_ascii=False))
        preset = ", ".join(f"{key} {value:g}" for key, value in family.preset.items())
        yield labelled(t("sampling"), preset)
    known = {kind: token_id for kind, token_id in description.special_ids.items() if token_id is not None}
    ids = ", ".join(f"{kind} {token_id}" for kind, token_id in known.items())
    source = f" ({said(description.special_ids_from or '')})" if ids else ""
    yield labelled(t("special ids"), (ids or t("unknown")) + source)
    if identity.license:
        yield labelled(t("licence"), str(identity.license.name or identity.license.id))
    if identity.base_model:
        yield labelled(t("base model"), f"{identity.base_model.organization}/{identity.base_model.name}")
    yield from _evidence_lines(description)
    yield from (t("conflict: {text}", text=said(conflict)) for conflict in identity.conflicts)
    yield from (t("warning: {text}", text=said(warning)) for warning in identity.warnings)
    yield t(
        "`belle-edge convert --family NAME` overrides template, stops and sampling preset: {names}",
        names=", ".join(description.to_dict()["families"]),
    )


def _unnamed(description: SourceDescription) -> str:
    architecture = description.structure.architecture
    if not architecture:
        return t("of unknown architecture")
    return t("{architecture} without a known name", architecture=_ARCHITECTURES[architecture])


def _evidence_lines(description: SourceDescription) -> Iterator[str]:
    """The evidence with its weight and the families it speaks for."""
    evidence = description.identity.evidence
    yield t("evidence") if evidence else labelled(t("evidence"), t("none"))
    for piece in evidence:
        unnamed = t("a BELLE, not which one") if piece.names_belle else t("none")
        families = ", ".join(piece.weights) or unnamed
        yield f"  {piece.weight}  {said(piece.source)}: {said(piece.found)} → {families}"
