"""The slow checks of `verify --deep`: every document against its published JSON Schema, every image decoded."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from stablenew.disk.line_log import iter_lines
from stablenew.disk.regular_file import is_regular, read_regular
from stablenew.errors import FormatError, ImageTooLarge, UndecodableImage
from stablenew.formats.digest import digest_json
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.formats.image_files import DECODERS, MAX_IMAGE_BYTES, DecodedImage, decode_image
from stablenew.formats.media_type import UNKNOWN, sniff_media_type
from stablenew.formats.model_base import is_newer
from stablenew.formats.schema_catalog import file_name, iter_published_schemas
from stablenew.formats.strict_json import parse_json
from stablenew.store.run import Run
from stablenew.store.run_folder import FEEDBACK, MAX_FEEDBACK_BYTES, MAX_METADATA_BYTES, METADATA, RECORDS
from stablenew.store.upkeep.verifying.verify_report import Finding

_DISAGREE: Final = "documents-disagree"


_MAX_BYTES: Final = {METADATA: MAX_METADATA_BYTES, FEEDBACK: MAX_FEEDBACK_BYTES}


def iter_schema_findings(run_path: Path) -> Iterator[Finding]:
    """Where a document of the run does not fit its schema. The plain checks report what is not valid JSON."""
    for name, schema in ((METADATA, "run_metadata"), (FEEDBACK, "feedback")):
        if is_regular(run_path / name):
            with contextlib.suppress(OSError):  # the plain checks report what cannot be read
                yield from _document_findings(read_regular(run_path / name, _MAX_BYTES[name]), name, schema, None)
    if is_regular(run_path / RECORDS):
        for number, line, is_whole in iter_lines(run_path / RECORDS):
            if is_whole:
                yield from _document_findings(line, RECORDS, "learning_record", number)


def _document_findings(data: bytes, path: str, schema: str, line: int | None) -> Iterator[Finding]:
    try:
        value = parse_json(data, max_bytes=len(data))
    except FormatError:
        return
    if isinstance(value, dict) and is_newer(value):
        return
    for error in _validator(schema).iter_errors(value):
        place = "/".join(str(part) for part in error.absolute_path) or "document"
        yield Finding("schema-violation", path, f"{place}: {error.message[:200]}", line)


@functools.cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    schemas = dict(iter_published_schemas())
    return Draft202012Validator(json.loads(schemas[file_name(schema)]))


def iter_contradictions(run: Run, *, has_all_records: bool) -> Iterator[Finding]:
    """Where the documents of a run contradict each other. What cannot be read is left to the plain checks.

    Without `has_all_records` the metadata may name outputs of records that were lost, which is reported already.
    """
    records = [(line.number, line.record) for line in run.iter_record_lines() if line.record is not None]
    with contextlib.suppress(OSError, FormatError):
        yield from _metadata_contradictions(run, run.metadata)
        if has_all_records:
            yield from _stage_contradictions(run.metadata, [record for _, record in records])
    yield from _variant_contradictions(records)


def _metadata_contradictions(run: Run, metadata: RunMetadata) -> Iterator[Finding]:
    if metadata.config_digest != digest_json(metadata.config):
        yield Finding(
            _DISAGREE, METADATA, f"config_digest is {metadata.config_digest[:19]}…, which config does not have"
        )
    if run.is_sealed and metadata.status == "running":
        yield Finding(_DISAGREE, METADATA, "the run is sealed, and its status is `running`")


def _stage_contradictions(metadata: RunMetadata, records: Sequence[LearningRecord]) -> Iterator[Finding]:
    recorded = {output.path for record in records for output in record.outputs}
    recorded |= {record.reconstructed.raw_path for record in records if record.reconstructed}
    for stage in metadata.stages or ():
        for path in sorted(set(stage.outputs) - recorded):
            yield Finding(_DISAGREE, METADATA, f"stage {stage.name} names {path}, which no record has")


def _variant_contradictions(records: Sequence[tuple[int, LearningRecord]]) -> Iterator[Finding]:
    lines: dict[int, int] = {}
    for number, record in records:
        index, total = record.variant.index, record.variant.total
        if index in lines:
            yield Finding(_DISAGREE, RECORDS, f"variant {index} is that of line {lines[index]} too", number)
        lines.setdefault(index, number)
        if index >= total:
            yield Finding(
                _DISAGREE, RECORDS, f"variant {index} is not one of {total}, which are counted from 0", number
            )
        stages = {stage.name for stage in record.stages}
        for output in record.outputs if stages else ():
            if output.stage not in stages:
                yield Finding(_DISAGREE, RECORDS, f"{output.path} comes of {output.stage}, which did not run", number)


def iter_image_findings(
    run_path: Path, outputs: Mapping[str, OutputReference], decode: Callable[[bytes], DecodedImage] = decode_image
) -> Iterator[Finding]:
    """Where an image cannot be decoded or does not have the size and pixels that its record says."""
    for path, output in sorted(outputs.items()):
        try:
            data = read_regular(run_path / path, MAX_IMAGE_BYTES)
        except OSError as error:
            yield Finding("image-unchecked", path, f"was not decoded: {error.strerror or error}")
            continue
        found = sniff_media_type(data)
        if found != output.media_type and {found, output.media_type} & DECODERS.keys() and found != UNKNOWN:
            yield Finding("media-type-mismatch", path, f"is {found}; its record says {output.media_type}")
        if output.media_type not in DECODERS:
            continue
        try:
            width, height, pixel_digests = decode(data)
        except ImageTooLarge as error:
            yield Finding("image-unchecked", path, f"was not decoded: {error}")
            continue
        except UndecodableImage as error:
            yield Finding("image-undecodable", path, f"cannot be decoded: {error}")
            continue
        if output.width is not None and (output.width, output.height) != (width, height):
            yield Finding(
                "image-mismatch", path, f"is {width}x{height}; its record says {output.width}x{output.height}"
            )
        if output.pixel_digest is not None and output.pixel_digest not in pixel_digests:
            yield Finding("image-mismatch", path, f"its pixels have {pixel_digests[0][:19]}…, not what its record says")
