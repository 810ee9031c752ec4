"""From a file that was read to the record of a run that might have made it. Pure."""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from stablenew.errors import InvalidDocument
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.json_safe import json_safe
from stablenew.formats.model_base import SCHEMA_VERSION
from stablenew.formats.settings import BY_NAME
from stablenew.formats.strict_json import JsonValue
from stablenew.image_metadata.metadata import Generation, ImageMetadata
from stablenew.importing.file_reading import ReadFile
from stablenew.store.sources.moved_files import origin_fields

LONGEST_RAW: Final = 4096
"""Bytes of raw metadata that stand in the record; longer ones are a file of the run."""
UNKNOWN: Final = "unknown"
_EARLIEST: Final = 1970
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "integer": (int,),
    "seed": (int,),
    "number": (int, float),
    "text": (str,),
}


_FROM_THE_FILE: Final = ("prompt", "actual", "odd", "outputs", "reconstructed")
"""The fields that hold what the file says, and so anything. The others are ours, and are JSON already."""


def made_at(read: ReadFile) -> str:
    """When the image was made: as its metadata says, else when the file was last changed."""
    said = read.metadata.generation.made_at if read.metadata else None
    if said:
        try:
            moment = datetime.fromisoformat(said).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            moment = None
        if moment is not None and _EARLIEST < moment.year < 3000:
            return _timestamp(moment)
    return timestamp_of(read.file.modified_ns)


def timestamp_of(nanoseconds: int) -> str:
    """A time of the file system as documents write it."""
    try:
        moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return _timestamp(moment if 1000 <= moment.year < 3000 else datetime.fromtimestamp(0, UTC))


def _timestamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def raw_text(metadata: ImageMetadata) -> dict[str, str]:
    """Every text of the image by its place and key, whole."""
    texts: dict[str, str] = {}
    for text in metadata.raw:
        name = f"{text.place}:{text.key}"
        while name in texts:
            name += "+"
        texts[name] = text.text
    return texts


def build_record(
    read: ReadFile,
    *,
    run_id: str,
    index: int,
    total: int,
    root_id: str,
    source: Mapping[str, JsonValue],
    raw_path: str | None,
    held_path: str | None = None,
) -> LearningRecord:
    """The record of one image as variant `index` of an imported run.

    `raw_path` is the run's file with metadata too long for the record, `held_path` that of the image, where the run
    holds it. What a field cannot hold stands in `odd` as text.
    """
    metadata = read.metadata
    assert metadata is not None  # noqa: S101  # only files that could be read are recorded
    generation = metadata.generation
    actual, odd = _split_settings(generation)
    moment = made_at(read)
    stage = _stage_of(metadata)
    fields: dict[str, Any] = {
        "kind": LearningRecord.KIND,
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "source": dict(source),
        "variant": {"index": index, "total": total},
        "started_at": moment,
        "finished_at": moment,
        "status": "completed",
        "prompt": _prompt_of(generation),
        "requested": {},
        # The format wants times of a stage; nobody knows how long it took.
        "stages": [
            {"name": stage, "status": "completed", "started_at": moment, "duration_seconds": 0.0, "output_count": 1}
        ],
        "outputs": [_output_of(read, metadata, stage, root_id, held_path)],
        "reconstructed": _reconstruction(metadata, raw_path),
    }
    if actual:
        fields["actual"] = actual
    if odd:
        fields["odd"] = odd
    return _validated(fields)


def _validated(fields: dict[str, Any]) -> LearningRecord:
    """A value that no check here foresaw must not cost the image: then settings go aside as text, all of them."""
    safe = fields | {name: json_safe(fields[name]) for name in _FROM_THE_FILE if name in fields}
    try:
        return LearningRecord.from_dict(safe)
    except InvalidDocument:
        odd = {f"actual.{name}": str(value) for name, value in (safe.pop("actual", None) or {}).items()}
        positive = str(safe["prompt"].get("positive", ""))
        safe |= {"prompt": {"positive": positive}, "odd": {**safe.get("odd", {}), **odd}}
        return LearningRecord.from_dict(safe)


def _split_settings(generation: Generation) -> tuple[dict[str, Any], dict[str, str]]:
    actual: dict[str, Any] = {}
    odd: dict[str, str] = {}
    for name, value in generation.settings.items():
        setting = BY_NAME.get(name)
        is_fitting = setting is None or (isinstance(value, _TYPES[setting.type]) and not isinstance(value, bool))
        if is_fitting:
            actual[name] = value
        else:
            odd[f"actual.{name}"] = str(value)
    return actual, odd


def _prompt_of(generation: Generation) -> dict[str, Any]:
    prompt: dict[str, Any] = {"positive": generation.prompt or ""}
    if generation.negative_prompt:
        prompt["negative"] = generation.negative_prompt
    loras = [
        {"name": lora.name[:256], **({"weight": float(lora.weight)} if lora.weight is not None else {})}
        for lora in generation.loras
        if lora.name
    ]
    embeddings = [name[:256] for name in generation.embeddings if name]
    return prompt | ({"loras": loras} if loras else {}) | ({"embeddings": embeddings} if embeddings else {})


def _stage_of(metadata: ImageMetadata) -> str:
    if not metadata.has_generation_data:
        return "imported"
    is_painted_on = any(image.role == "init" for image in metadata.generation.input_images)
    return "img2img" if is_painted_on else "txt2img"


def _output_of(
    read: ReadFile, metadata: ImageMetadata, stage: str, root_id: str, held_path: str | None
) -> dict[str, Any]:
    place: dict[str, Any] = {"path": held_path}
    if held_path is None:
        modified_at = timestamp_of(read.file.modified_ns)
        place = {"origin": {"root": root_id, **origin_fields(os.fsencode(read.file.path)), "modified_at": modified_at}}
    output: dict[str, Any] = {
        **place,
        "digest": read.digest,
        "sha256": read.sha256,
        "size_bytes": read.file.size_bytes,
        "media_type": metadata.media_type,
        "stage": stage,
        "role": "final",
    }
    if metadata.width and metadata.height:
        output |= {"width": metadata.width, "height": metadata.height}
    seed = metadata.generation.settings.get("seed")
    return output | ({"seed": seed} if isinstance(seed, int) and not isinstance(seed, bool) else {})


def _reconstruction(metadata: ImageMetadata, raw_path: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tool": str(metadata.tool or UNKNOWN)[:256],
        "reader": metadata.reader or "none",
        "reader_version": str(metadata.reader_version),
    }
    if raw_path is not None:
        return found | {"raw_path": raw_path}
    raw = raw_text(metadata)
    return found | ({"raw": raw} if raw else {})


_SLUG: Final = re.compile(r"[^a-z0-9]+")


def engine_name(tool: str) -> str:
    """A tool as `source.engine` and the query word `source:` name it: `sd-next` for `SD.Next`."""
    return _SLUG.sub("-", tool.casefold()).strip("-") or UNKNOWN
