"""A run as a Process Run Crate: RO-Crate 1.2, profile 0.5 of process runs. Pure: a run's documents in, JSON-LD out."""

import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.run_metadata import ModelFile, RunMetadata

METADATA_NAME: Final = "ro-crate-metadata.json"
_CONTEXT: Final = [
    "https://w3id.org/ro/crate/1.2/context",
    {"digitalSourceType": {"@id": "http://schema.org/digitalSourceType", "@type": "@id"}},
]
_CRATES: Final = ("https://w3id.org/ro/crate/1.2", "https://w3id.org/ro/crate/1.1")
"""A crate of the later version fits the earlier one too, on which the profile of process runs is built."""
_PROFILE: Final = "https://w3id.org/ro/wfrun/process/0.5"
_GENERATED: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_STATUS: Final = {
    "completed": "http://schema.org/CompletedActionStatus",
    "running": "http://schema.org/ActiveActionStatus",
}
_FAILED: Final = "http://schema.org/FailedActionStatus"
UNKNOWN_RIGHTS: Final = "https://rightsstatements.org/vocab/UND/1.0/"
"""The licence of a crate where none was given: that its rights have not been determined."""
_TYPES: Final = {".jsonl": "application/jsonl", "": "text/plain"}

_HOMES: Final = {
    "webui": "https://github.com/AUTOMATIC1111/stable-diffusion-webui",
    "comfyui": "https://github.com/comfyanonymous/ComfyUI",
    "diffusers": "https://github.com/huggingface/diffusers",
    "invokeai": "https://github.com/invoke-ai/InvokeAI",
}
"""Where engines are at home; the address of a server says nothing to others."""

Entity = dict[str, Any]


class CratedFile(NamedTuple):
    """A file of the crate."""

    path: str
    size_bytes: int
    sha256: str | None = None
    """None for files that go on changing."""


def build_crate(
    metadata: RunMetadata,
    records: Sequence[LearningRecord],
    files: Sequence[CratedFile],
    places: Mapping[str, str],
    license_url: str = UNKNOWN_RIGHTS,
) -> dict[str, Any]:
    """The `ro-crate-metadata.json` of a crate with `files`; `places` has the path of each output by digest."""
    actions = [_action(metadata, record, places) for record in records]
    outputs = {place: output for record in records for output in record.outputs if (place := places.get(output.digest))}
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Images of run {metadata.run_id}",
        "description": f"{len(records)} executed variants of an image generation run: what was asked, and what ran.",
        "identifier": metadata.run_id,
        "datePublished": metadata.finished_at or metadata.created_at,
        "license": {"@id": license_url},
        "conformsTo": {"@id": _PROFILE},
        "hasPart": [{"@id": file.path} for file in files],
        "mentions": [{"@id": action["@id"]} for action in actions],
        "author": {"@id": "#person"},
        "publisher": {"@id": "#person"},
    }
    graph = [
        {
            "@id": METADATA_NAME,
            "@type": "CreativeWork",
            "conformsTo": [{"@id": version} for version in _CRATES],
            "about": {"@id": "./"},
        },
        root,
        {"@id": _PROFILE, "@type": ["CreativeWork", "Profile"], "name": "Process Run Crate", "version": "0.5"},
        {"@id": license_url, "@type": "CreativeWork", "name": "Rights of this crate"},
        {"@id": "#person", "@type": "Person", "name": metadata.source.user_id or "unknown"},
        *_software(metadata),
        *(_file(file, outputs.get(file.path)) for file in files),
        *(_model(number, model) for number, model in enumerate(_models(metadata))),
        *actions,
        *(value for record in records for value in _settings(record)),
    ]
    return {"@context": _CONTEXT, "@graph": graph}


def _software(metadata: RunMetadata) -> Iterator[Entity]:
    """The engine, and the program that recorded it."""
    source = metadata.source
    engine = source.engine or source.name
    yield {
        "@id": "#engine",
        "@type": "SoftwareApplication",
        "name": engine,
        "version": source.engine_version or "unknown",
        "url": _HOMES.get(engine, f"urn:stablenew:engine:{engine}"),
    }
    if engine != source.name:
        version = source.version or "unknown"
        recorder = {"@id": "#recorder", "@type": "SoftwareApplication", "name": source.name, "version": version}
        yield recorder | {"url": f"urn:stablenew:program:{source.name}"}


def _file(file: CratedFile, output: OutputReference | None) -> Entity:
    entity: Entity = {"@id": file.path, "@type": "File", "name": file.path.rpartition("/")[2]}
    suffix = f".{file.path.rpartition('.')[2]}" if "." in file.path else ""
    known = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    entity["encodingFormat"] = output.media_type if output is not None else known
    entity["contentSize"] = str(file.size_bytes)
    if file.sha256 is not None:
        entity["sha256"] = file.sha256
    if output is not None:
        entity |= {"identifier": output.digest, "digitalSourceType": {"@id": _GENERATED}}
        if output.width is not None and output.height is not None:
            entity |= {"width": output.width, "height": output.height}
    return entity


def _models(metadata: RunMetadata) -> Sequence[ModelFile]:
    return (metadata.closure.models if metadata.closure else None) or ()


def _model(number: int, model: ModelFile) -> Entity:
    entity: Entity = {"@id": f"#model-{number}", "@type": "CreativeWork", "name": model.name}
    if model.kind is not None:
        entity["additionalType"] = model.kind
    if model.sha256 is not None and model.sha256 != "pending":
        entity["sha256"] = model.sha256
    return entity


def _action(metadata: RunMetadata, record: LearningRecord, places: Mapping[str, str]) -> Entity:
    index = record.variant.index
    parents = {digest for output in record.outputs for digest in output.parents or ()}
    own = {output.digest for output in record.outputs}
    inputs = [{"@id": places[digest]} for digest in sorted(parents - own) if digest in places]
    inputs += [{"@id": f"#model-{number}"} for number, _ in enumerate(_models(metadata))]
    inputs += [{"@id": value["@id"]} for value in _settings(record)]
    action: Entity = {
        "@id": f"#variant-{index}",
        "@type": "CreateAction",
        "name": f"Variant {index} of {record.variant.total}",
        "description": record.prompt.positive or "without a prompt",
        "instrument": {"@id": "#engine"},
        "agent": {"@id": "#person"},
        "startTime": record.started_at,
        "endTime": record.finished_at or record.started_at,
        "actionStatus": {"@id": _STATUS.get(record.status, _FAILED)},
        "object": inputs,
        "result": [{"@id": places[output.digest]} for output in record.outputs if output.digest in places],
    }
    if record.error is not None:
        action["error"] = record.error.message
    return action


def _settings(record: LearningRecord) -> Iterator[Entity]:
    """The settings as they ran, and the prompts, as values that the action took."""
    values: dict[str, Any] = {"prompt": record.prompt.positive, "negative_prompt": record.prompt.negative}
    values |= record.requested.to_dict() | (record.actual.to_dict() if record.actual else {})
    for name, value in values.items():
        if isinstance(value, (str, int, float, bool)):
            place = f"#variant-{record.variant.index}-{name}"
            yield {"@id": place, "@type": "PropertyValue", "name": name, "value": value}
