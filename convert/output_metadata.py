"""General and BELLE metadata of the output: provenance, licence, prompts. Never a local path or the time."""

from __future__ import annotations

import hashlib
import math

import gguf

from belle_edge.convert.architectures.mapped_model import MappedModel, Metadata
from belle_edge.convert.identity import Identity
from belle_edge.convert.source_model import SourceModel
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.type_mixes import Mix
from belle_edge.text.prompts import PromptFamily

HASHED_FILES = ("config.json", "params.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json")


def display_name(identity: Identity, model: MappedModel) -> str:
    """The model's name, or a plain description where none is known (a folder's name may be private)."""
    return identity.name or f"{model.architecture.upper()} {size_label(model)}"


def size_label(model: MappedModel) -> str:
    """The number of parameters as model names write it: 7B, 23M."""
    n_parameters = sum(math.prod(tensor.shape) for tensor in model.tensors)
    return gguf.size_label(n_parameters, n_parameters, 0, 0)


def type_metadata(mix: Mix) -> Metadata:
    """llama.cpp's number for a file of this mix, and of the blocks' layout."""
    return {
        "general.file_type": int(gguf.LlamaFileType[mix.file_type]),
        "general.quantization_version": gguf.GGML_QUANT_VERSION,
    }


def build_metadata(source: SourceModel, mix: Mix) -> Metadata:
    """All metadata in file order, but `general.architecture`, which the GGUF writer adds itself."""
    checkpoint, identity, family = source.checkpoint, source.identity, source.prompt_family
    metadata: Metadata = {
        "general.type": "model",
        "general.name": display_name(identity, source.model),
        "general.size_label": size_label(source.model),
        **_provenance(checkpoint, identity),
        **type_metadata(mix),
        **source.model.metadata,
        **source.tables.metadata(),
    }
    if family is not None and family.add_bos is not None:
        metadata["tokenizer.ggml.add_bos_token"] = family.add_bos
    if source.chat_template:
        metadata["tokenizer.chat_template"] = source.chat_template
    return {**metadata, **_belle_keys(source), **checkpoint.provenance}


def _provenance(checkpoint: Checkpoint, identity: Identity) -> Metadata:
    metadata: Metadata = {}
    if identity.license:
        metadata["general.license"] = identity.license.id
        metadata["general.license.name"] = identity.license.name
        metadata["general.license.link"] = identity.license.link
    if identity.repo_id:
        metadata["general.source.url"] = f"https://huggingface.co/{identity.repo_id}"
        metadata["general.source.huggingface.repository"] = identity.repo_id
    if identity.base_model:
        metadata["general.base_model.count"] = 1
        metadata["general.base_model.0.name"] = identity.base_model.name
        metadata["general.base_model.0.organization"] = identity.base_model.organization
        metadata["general.base_model.0.repo_url"] = identity.base_model.repo_url
    if checkpoint.revision:
        metadata["belle.source.revision"] = checkpoint.revision
    return metadata


def family_metadata(family: PromptFamily, *, confidence: str, by: list[str]) -> Metadata:
    """Our keys of a prompt family: which one and why, stop strings, sampling preset."""
    metadata: Metadata = {"belle.family": family.name, "belle.stop_strings": list(family.stop_strings)}
    for key in ("temperature", "top_p", "repetition_penalty"):
        metadata[f"belle.sampling.{key}"] = float(family.preset[key])
    metadata["belle.sampling.top_k"] = int(family.preset["top_k"])
    metadata["belle.identified.confidence"] = confidence
    metadata["belle.identified.by"] = by
    return metadata


def _belle_keys(source: SourceModel) -> Metadata:
    """Those of the family, and hashes of the small source files."""
    metadata: Metadata = {}
    identity = source.identity
    if (family := source.prompt_family) is not None:
        metadata = family_metadata(family, confidence=identity.confidence, by=identity.supported_by)
    for name in HASHED_FILES:
        content = source.checkpoint.files.read(name)
        if content is not None:
            metadata[f"belle.source.sha256.{name}"] = hashlib.sha256(content).hexdigest()
    return metadata
