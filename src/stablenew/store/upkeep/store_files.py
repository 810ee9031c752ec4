"""The store's own files, `.stablenew`: checked by their meaning, and written again where they are lost or damaged.

The marker says which format the store has. README and schemas only describe it, so a store of another program, or of an
older or newer minor version, may have others or none.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from stablenew.disk.atomic_file import replace_file
from stablenew.disk.regular_file import is_regular, read_regular
from stablenew.errors import FormatError, NewerFormat
from stablenew.formats.documents.run_metadata import RunMetadata, StoreMarker
from stablenew.formats.model_base import SCHEMA_VERSION
from stablenew.formats.strict_json import parse_json
from stablenew.store.run_folder import (
    DOCUMENTS,
    MARKER_FILE,
    MARKER_FOLDER,
    MAX_MARKER_BYTES,
    MAX_METADATA_BYTES,
    METADATA,
    is_run_entry,
)
from stablenew.store.run_store import iter_marker_files
from stablenew.store.upkeep.verifying.verify_report import Finding, VerifyReport

STORE: Final = "."
"""The subject of what is found beside the runs of a store."""


def verify_store_files(root: Path) -> VerifyReport:
    """Check the store's own files. A newer minor version, or another layout of the same JSON, is not a fault."""
    findings: list[Finding] = []
    try:
        version = _read_version(root)
    except NewerFormat as error:
        return VerifyReport(MARKER_FOLDER, (Finding("newer-format", MARKER_FILE, str(error)),))
    except FileNotFoundError:
        findings.append(Finding("store-incomplete", MARKER_FILE, "is not there"))
        version = SCHEMA_VERSION
    except (OSError, FormatError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        findings.append(Finding("store-changed", MARKER_FILE, f"cannot be read: {reason}"))
        version = SCHEMA_VERSION
    files = list(iter_marker_files()) if version == SCHEMA_VERSION else []
    for name, expected in files:
        if name != MARKER_FILE and (finding := _check(root, name, expected)) is not None:
            findings.append(finding)
    return VerifyReport(MARKER_FOLDER, tuple(findings), len(files) or 1, sum(len(data) for _, data in files))


def verify_store_entries(root: Path) -> VerifyReport:
    """Name the folders of the store that hold a run and are not read as one: copies, and links to other places.

    Raises:
        OSError: the store cannot be listed.
    """
    with os.scandir(root) as entries:
        odd = [entry for entry in entries if not entry.name.startswith(".") and not is_run_entry(entry)]
    holding = [entry for entry in odd if any(is_regular(f"{entry.path}{os.sep}{name}") for name in DOCUMENTS)]
    findings = [_describe_entry(root, entry) for entry in sorted(holding, key=lambda entry: entry.name)]
    return VerifyReport(STORE, tuple(findings))


def _describe_entry(root: Path, entry: "os.DirEntry[str]") -> Finding:
    if entry.is_symlink():
        return Finding("run-link", entry.name, "a link to a folder with a run; move the folder itself here to see it")
    try:
        run_id = RunMetadata.from_json(read_regular(Path(entry.path) / METADATA, MAX_METADATA_BYTES)).run_id
    except (OSError, FormatError):
        return Finding("run-copy", entry.name, "holds a run, but has no name of one; it is ignored")
    if not (root / run_id).is_dir():
        return Finding("run-copy", entry.name, f"holds run {run_id}; it is ignored until it has that name")
    return Finding("run-copy", entry.name, f"a copy of run {run_id}, which is here too; it is ignored")


def _read_version(root: Path) -> str:
    data = read_regular(root / MARKER_FOLDER / MARKER_FILE, MAX_MARKER_BYTES)
    return StoreMarker.from_json(data).schema_version


def _check(root: Path, name: str, expected: bytes) -> Finding | None:
    try:
        found = read_regular(root / MARKER_FOLDER / name, MAX_MARKER_BYTES)
    except FileNotFoundError:
        return Finding("store-incomplete", name, "is not there")
    except OSError as error:
        return Finding("store-changed", name, f"cannot be read: {error.strerror or error}")
    if not name.endswith(".json") or _means_the_same(found, expected):
        return None
    if _is_edition(found, expected):
        return Finding("store-differs", name, "is the schema as another program or an earlier one writes it")
    return Finding("store-changed", name, f"is not the schema of version {SCHEMA_VERSION}")


def _is_edition(found: bytes, expected: bytes) -> bool:
    """Whether `found` is a schema of the same name: it describes what others wrote, and nobody checks by it here."""
    with contextlib.suppress(FormatError):
        schema, ours = parse_json(found), parse_json(expected)
        return isinstance(schema, dict) and isinstance(ours, dict) and schema.get("$id") == ours["$id"]
    return False


def _means_the_same(found: bytes, expected: bytes) -> bool:
    if found == expected:
        return True
    with contextlib.suppress(FormatError):
        return bool(parse_json(found) == parse_json(expected))
    return False


def iter_mended(root: Path, *, dry_run: bool = False) -> Iterator[tuple[str, str]]:
    """Write again what `verify_store_files` found missing or changed. Gives each file's name, and what was wrong.

    Files of another version are left alone, and so are files that cannot be read now: they may be sound.

    Raises:
        WriteFailed: the disk refused it.
    """
    expected = dict(iter_marker_files())
    for finding in verify_store_files(root).findings:
        path = root / MARKER_FOLDER / finding.path
        if finding.code == "newer-format" or not _can_be_replaced(path):
            continue
        if not dry_run:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, expected[finding.path])
        yield finding.path, finding.message


def _can_be_replaced(path: Path) -> bool:
    try:
        read_regular(path, MAX_MARKER_BYTES)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
