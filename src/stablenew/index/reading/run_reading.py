"""Reading a run folder for the index."""

import functools
import os
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from stablenew.disk.folder_signature import YOUNG_NS, folder_signature
from stablenew.disk.line_log import split_lines
from stablenew.disk.regular_file import read_regular
from stablenew.errors import FormatError
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.run_id import is_generated_run_id
from stablenew.formats.strict_json import parse_json
from stablenew.index.reading.fast_document_reader import (
    FastMetadata,
    FastRecord,
    read_metadata_fast,
    read_record_fast,
)
from stablenew.index.reading.folder_snapshot import UNREADABLE, FolderSnapshot, mark_unread, take_snapshot
from stablenew.index.reading.opinion_entry import build_opinion_entry
from stablenew.index.reading.run_entry import (
    MetadataEntry,
    OpinionEntry,
    RunEntry,
    RunReading,
    ScoreEntry,
    VariantEntry,
    build_metadata_entry,
    build_scores,
    milliseconds_of_id,
)
from stablenew.index.reading.variant_entry import build_variant_entry
from stablenew.store.feedback.fast_feedback_reader import read_events
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.feedback.removals import are_removed
from stablenew.store.local_state import journal_path, known_replica_id
from stablenew.store.metric_files import read_scores
from stablenew.store.run import Run
from stablenew.store.run_folder import (
    DOCUMENTS,
    INCOMPLETE,
    MAX_BYTES,
    MAX_FEEDBACK_BYTES,
    METADATA,
    OUTPUTS,
    RECORDS,
    SEAL,
    SEALED,
    is_feedback,
    is_metrics,
)
from stablenew.store.seal import parse_seal

"""Size limits of the documents of a run; every other file that is read is feedback."""
_REMEMBERED_BYTES: Final = 4 << 20
"""Longer records are parsed each time, instead of being kept in memory."""


class RunReader:
    """Reads runs of one store; what is the same for all of them is looked up once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        replica = known_replica_id()
        self._journals = os.fspath(journal_path(root / "run", replica).parent) if replica else None

    def read(self, run_id: str) -> RunReading:
        """The run `run_id` as it is now."""
        path = f"{self._root}{os.sep}{run_id}"
        try:
            snapshot = take_snapshot(path, _max_bytes_of)
        except (FileNotFoundError, NotADirectoryError):
            return _nothing(run_id)
        except OSError as error:
            return _unreadable(path, run_id, error)
        if snapshot.names.isdisjoint(DOCUMENTS) and not is_generated_run_id(run_id):
            return _nothing(run_id)
        entry = self._read_entry(path, run_id, snapshot)
        is_hot = entry.state != SEALED or snapshot.newest_ns > time.time_ns() - YOUNG_NS
        if snapshot.is_whole():
            return RunReading(run_id, snapshot.folder_signature, snapshot.file_signature, is_hot, entry)
        signature = mark_unread(snapshot.file_signature)
        return RunReading(run_id, snapshot.folder_signature, signature, is_hot=True, entry=entry)

    def is_readable(self, run_id: str) -> bool:
        """Whether all documents of the run can be read now."""
        try:
            return take_snapshot(f"{self._root}{os.sep}{run_id}", _max_bytes_of).is_whole()
        except OSError:
            return False

    def _read_entry(self, path: str, run_id: str, snapshot: FolderSnapshot) -> RunEntry:
        metadata, problem = _read_metadata(path, snapshot.contents.get(METADATA))
        records = _read_records(snapshot.contents[RECORDS]) if RECORDS in snapshot.names else _Records()
        state = SEALED if _is_complete(path, snapshot, metadata, records) else Run(Path(path)).state
        images = list(dict.fromkeys(output.digest for variant in records.variants for output in variant.outputs))
        opinions = self._read_opinions(path, run_id, snapshot, images[0] if len(images) == 1 else None)
        return RunEntry(
            run_id=run_id,
            state=state,
            status=metadata.status if metadata is not None and state == SEALED else state,
            created_ms=metadata.created_ms if metadata is not None else milliseconds_of_id(run_id),
            metadata=metadata,
            variants=tuple(records.variants),
            opinions=opinions,
            scores=_read_scores(run_id, snapshot.contents, images),
            problem=problem or records.problem,
        )

    def _read_opinions(self, path: str, run_id: str, snapshot: FolderSnapshot, only_image: str | None) -> OpinionEntry:
        contents = {name: data for name, data in snapshot.contents.items() if is_feedback(name)}
        if self._journals is not None:
            name = f"{run_id}.jsonl"
            try:
                contents[name] = read_regular(f"{self._journals}{os.sep}{name}", MAX_FEEDBACK_BYTES)
            except FileNotFoundError:
                pass
            except OSError as error:
                contents[name] = error
        return read_opinions(Path(path), contents, only_image) if contents else OpinionEntry()


def _max_bytes_of(name: str) -> int:
    """The size up to which a file of a run folder is read; 0 for files that are not read."""
    return MAX_BYTES.get(name) or (MAX_FEEDBACK_BYTES if is_feedback(name) or is_metrics(name) else 0)


def _nothing(run_id: str) -> RunReading:
    return RunReading(run_id, 0, 0, is_hot=False, entry=None)


def _unreadable(path: str, run_id: str, error: OSError) -> RunReading:
    """A folder without read permission: history still shows it, if its name is a run id."""
    try:
        signature = folder_signature(os.lstat(path))
    except OSError:
        return _nothing(run_id)
    if not is_generated_run_id(run_id):
        return _nothing(run_id)
    entry = RunEntry(
        run_id=run_id,
        state=INCOMPLETE,
        status=INCOMPLETE,
        created_ms=milliseconds_of_id(run_id),
        metadata=None,
        variants=(),
        opinions=OpinionEntry(),
        scores=(),
        problem=f"the folder cannot be read: {error.strerror or error}",
    )
    return RunReading(run_id, signature, UNREADABLE, is_hot=False, entry=entry)


@dataclass(slots=True)
class _Records:
    """The content of `records.jsonl`."""

    variants: list[VariantEntry] = field(default_factory=list)
    bad_lines: int = 0
    problem: str | None = None
    """Why the first bad line cannot be read."""
    is_torn: bool = False


def _read_metadata(path: str, data: bytes | OSError | None) -> tuple[MetadataEntry | None, str | None]:
    """The metadata, or the reason why it cannot be read."""
    try:
        if isinstance(data, bytes):
            return build_metadata_entry(read_metadata_fast(data)), None
    except ValueError:
        pass
    return _read_metadata_strictly(Path(path))


def _read_metadata_strictly(path: Path) -> tuple[MetadataEntry | None, str | None]:
    try:
        return build_metadata_entry(cast("FastMetadata", Run(path).metadata.to_dict())), None
    except OSError as error:
        return None, f"{METADATA}: {error.strerror or error}"
    except ValueError as error:
        return None, str(error).removeprefix(f"{path}{os.sep}")


def _read_records(data: bytes | OSError) -> _Records:
    if isinstance(data, OSError):
        return _Records(bad_lines=1, problem=f"{RECORDS}: {data.strerror or data}")
    return _parse_again(data) if len(data) <= _REMEMBERED_BYTES else _parse_records(data)


def _parse_records(data: bytes) -> _Records:
    records = _Records()
    for number, line, is_whole in split_lines(data):
        try:
            if is_whole:
                records.variants.append(_read_record(line))
            else:
                records.is_torn = True
                records.problem = records.problem or f"{RECORDS}, line {number}: the line is cut off"
        except ValueError as error:
            records.bad_lines += 1
            records.problem = records.problem or f"{RECORDS}, line {number}: {error}"
    return records


_parse_again: Final = functools.lru_cache(maxsize=2)(_parse_records)
"""Whoever rates images of one run after the other changes nothing in its records."""


def _read_record(line: bytes) -> VariantEntry:
    try:
        return build_variant_entry(read_record_fast(line))
    except ValueError:
        record = LearningRecord.from_dict(parse_json(line))
        return build_variant_entry(cast("FastRecord", record.to_dict()))


def _is_complete(path: str, snapshot: FolderSnapshot, metadata: MetadataEntry | None, records: _Records) -> bool:
    """Whether the run is sealed and each of its files is present with its size, as `Run.state` decides."""
    if SEAL not in snapshot.names or metadata is None or records.is_torn:
        return False
    if isinstance(snapshot.contents.get(RECORDS), OSError):
        return False
    if metadata.record_count is not None and metadata.record_count > len(records.variants) + records.bad_lines:
        return False
    seal = snapshot.contents[SEAL]
    if isinstance(seal, OSError) or os.path.islink(f"{path}{os.sep}{OUTPUTS}"):
        return False
    try:
        sealed = parse_seal(seal)
        sizes = {name: _size_of(f"{path}{os.sep}{name}") for name in sealed if name not in snapshot.names}
    except (OSError, FormatError):
        return False
    missing = {name for name, size in sizes.items() if size is None}
    if missing and not are_removed(Path(path), missing, sealed):
        return False
    return all(
        sizes.get(name) == size
        for variant in records.variants
        for name, size in variant.output_sizes
        if name not in missing
    )


def _size_of(path: str) -> int | None:
    """The size of a file; None where there is none."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _read_scores(run_id: str, contents: Mapping[str, bytes | OSError], images: Sequence[str]) -> tuple[ScoreEntry, ...]:
    """The scores in the `metrics.<replica>.jsonl` of a run, oldest first; what is not valid is left out."""
    files = [(name, data) for name, data in contents.items() if is_metrics(name) and isinstance(data, bytes)]
    return tuple(build_scores(read_scores(run_id, files), images)) if files else ()


def read_opinions(
    run_path: Path, contents: Mapping[str, bytes | OSError], only_image: str | None = None
) -> OpinionEntry:
    """The opinions in the feedback files of a run: those in its folder and this machine's journal.

    When one of them could not be read, the strict reader decides what counts of the others.
    """
    files = [(name, data) for name, data in contents.items() if isinstance(data, bytes)]
    if len(files) < len(contents):
        return _read_strictly(run_path, only_image)
    try:
        return build_opinion_entry(read_events(run_path.name, files), only_image)
    except ValueError:
        return _read_strictly(run_path, only_image)


def _read_strictly(run_path: Path, only_image: str | None) -> OpinionEntry:
    try:
        return build_opinion_entry(FeedbackLog(run_path).read().events, only_image)
    except OSError:
        return OpinionEntry()
