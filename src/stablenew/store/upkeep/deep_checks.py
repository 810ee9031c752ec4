"""The slow checks of `verify --deep`: every document against its published JSON Schema, every image decoded."""

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from stablenew.disk.line_log import iter_lines
from stablenew.disk.regular_file import is_regular, read_regular
from stablenew.errors import FormatError
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.image_files import decode_image
from stablenew.formats.schema_catalog import file_name, iter_published_schemas
from stablenew.formats.strict_json import parse_json
from stablenew.store.run_folder import FEEDBACK, METADATA, RECORDS
from stablenew.store.upkeep.verify_report import Finding

MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
MAX_IMAGE_BYTES: Final = 512 * 1024 * 1024


def iter_schema_findings(run_path: Path) -> Iterator[Finding]:
    """Where a document of the run does not fit its schema. What is no JSON at all is left to the plain checks."""
    for name, schema in ((METADATA, "run_metadata"), (FEEDBACK, "feedback")):
        if is_regular(run_path / name):
            yield from _document_findings(read_regular(run_path / name, MAX_DOCUMENT_BYTES), name, schema, None)
    if is_regular(run_path / RECORDS):
        for number, line, is_whole in iter_lines(run_path / RECORDS):
            if is_whole:
                yield from _document_findings(line, RECORDS, "learning_record", number)


def _document_findings(data: bytes, path: str, schema: str, line: int | None) -> Iterator[Finding]:
    try:
        value = parse_json(data)
    except FormatError:
        return
    for error in _validator(schema).iter_errors(value):
        place = "/".join(str(part) for part in error.absolute_path) or "document"
        yield Finding("schema-violation", path, f"{place}: {error.message[:200]}", line)


@functools.cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    schemas = dict(iter_published_schemas())
    return Draft202012Validator(json.loads(schemas[file_name(schema)]))


def iter_image_findings(run_path: Path, outputs: Mapping[str, OutputReference]) -> Iterator[Finding]:
    """Where an image cannot be decoded or does not have the size and pixels that its record says."""
    for path, output in sorted(outputs.items()):
        if not output.media_type.startswith("image/") or output.media_type == "image/svg+xml":
            continue
        try:
            width, height, pixel_digest = decode_image(read_regular(run_path / path, MAX_IMAGE_BYTES))
        except (OSError, ValueError, SyntaxError, Warning) as error:
            yield Finding("image-undecodable", path, f"cannot be decoded: {error}")
            continue
        if output.width is not None and (output.width, output.height) != (width, height):
            yield Finding(
                "image-mismatch", path, f"is {width}x{height}; its record says {output.width}x{output.height}"
            )
        if output.pixel_digest is not None and output.pixel_digest != pixel_digest:
            yield Finding("image-mismatch", path, f"its pixels have {pixel_digest[:19]}…, not what its record says")
