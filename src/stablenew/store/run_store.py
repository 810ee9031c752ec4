"""RunStore: a folder of runs."""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from stablenew.disk.atomic_file import replace_file, sync_folder
from stablenew.disk.regular_file import is_plain_folder, is_regular, read_regular
from stablenew.errors import (
    AmbiguousRun,
    FormatError,
    NewerFormat,
    NotAStore,
    OutputNotFound,
    RunNotFound,
    WriteFailed,
)
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.run_metadata import RunMetadata, StoreMarker
from stablenew.formats.model_base import SCHEMA_VERSION
from stablenew.formats.run_id import is_run_id, stamp_of
from stablenew.formats.strict_json import encode_pretty_json
from stablenew.store.run import Run
from stablenew.store.run_folder import (
    MARKER_FILE,
    MARKER_FOLDER,
    MARKER_README,
    MARKER_SCHEMAS,
    MAX_MARKER_BYTES,
    METADATA,
    check_place,
    is_run_entry,
)
from stablenew.store.run_writer import RunWriter

LATEST: Final = "latest"

_MARKER_TIME: Final = 1_767_225_600 + 86_400 * int(SCHEMA_VERSION.partition(".")[2])
"""When the files that mark a store were last changed, in seconds since 1970: on every machine alike, because they are
alike, and some sync tools take another time for another file. A later version's are newer."""

_README = """\
This folder is a StableNew run store. Every folder beside `.stablenew` is one run.

  run_metadata.json   what was asked, and what came of it
  records.jsonl       one executed variant a line
  outputs/            the images, named <variant>-<stage>-<n>.<digest>.<extension>
  feedback*.json*     what people think of them; the only files that change
  SHA256SUMS          the seal, written last

To check a run, go into its folder and type:   sha256sum -c SHA256SUMS
The digest `xxh128:…` of an output is what `xxh128sum` prints for it.
The JSON Schemas of all files are in `schemas/`; any validator for JSON Schema 2020-12 reads them.
"""


class RunStore:
    """The runs in one folder. Nothing is written until a run is created."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        """Absolute, so that the store stays where it is when the program changes its working folder."""

    def __repr__(self) -> str:
        return f"RunStore({str(self.root)!r})"

    def create(self, metadata: RunMetadata) -> RunWriter:
        """Start a new run.

        Raises:
            RunExists: a run with this id is there.
            NotAStore: something that is not a folder is in the store's place.
            WriteFailed: the disk would not take it.
        """
        self.prepare()
        return RunWriter.create(self.root, metadata)

    def prepare(self) -> None:
        """Make the folder a store, unless it is one.

        Raises:
            NotAStore: something that is not a folder is in its place.
            WriteFailed: the disk would not take it.
        """
        version = read_marker_version(self.root)
        if version is not None and not _is_older(version):
            return
        check_place(self.root)
        try:
            (self.root / MARKER_FOLDER / MARKER_SCHEMAS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteFailed(error.errno, f"could not make a run store: {error.strerror}", str(self.root)) from error
        for name, data in iter_marker_files():
            path = self.root / MARKER_FOLDER / name
            replace_file(path, data)
            with contextlib.suppress(OSError):  # a few file systems let nobody set it; then it costs a conflict copy
                os.utime(path, (_MARKER_TIME, _MARKER_TIME))
        for folder in (self.root / MARKER_FOLDER, self.root, self.root.parent):
            sync_folder(folder)

    def check_exists(self) -> None:
        """See that this is a store: a folder with a marker, or with runs.

        Raises:
            NotAStore: it is neither; it may be mistyped.
        """
        check_place(self.root)
        if not self.root.is_dir():
            raise NotAStore(f"expected a folder of runs, found none: {self.root}")
        if not (self.root / MARKER_FOLDER).is_dir() and not self._run_ids():
            inside = " (it is a run; give the folder it is in)" if is_regular(self.root / METADATA) else ""
            raise NotAStore(f"expected a folder of runs, found no run in it: {self.root}{inside}")

    def open(self, run_id: str) -> Run:
        """The run with exactly this id.

        Raises:
            RunNotFound: there is none.
            OSError: whether there is one cannot be examined now.
        """
        if is_run_id(run_id) and is_plain_folder(self.root / run_id):
            return Run(self.root / run_id)
        raise RunNotFound(f"no run {run_id!r} in {self.root}")

    def resolve(self, name: str) -> Run:
        """The run that `name` means: an id, a unique prefix of one, or `latest`.

        Raises:
            RunNotFound: there is none.
            AmbiguousRun: the prefix fits several.
        """
        if name == LATEST:
            return self._latest()
        if is_run_id(name) and is_plain_folder(self.root / name):
            return Run(self.root / name)
        matches = [run_id for run_id in self._run_ids() if run_id.startswith(name)] if name else []
        if len(matches) == 1:
            return Run(self.root / matches[0])
        if matches:
            raise AmbiguousRun(f"{name!r} fits {len(matches)} runs, {matches[0]} and {matches[-1]} among them")
        raise RunNotFound(f"no run {name!r} in {self.root}; `stablenew runs` lists those there are")

    def _latest(self) -> Run:
        """The newest by start time; ids that people chose do not sort by time, so their metadata is asked."""
        runs = list(self.iter_runs())
        if not runs:
            raise RunNotFound(f"no runs in {self.root} yet; `stablenew demo` makes one")
        return max(runs, key=_started)

    def iter_runs(self, *, newest_first: bool = False) -> Iterator[Run]:
        """Every run folder, by id. A store that does not exist yet has none."""
        return (Run(self.root / run_id) for run_id in sorted(self._run_ids(), reverse=newest_first))

    def iter_runs_by_time(self) -> Iterator[Run]:
        """Every run folder, the oldest first; ids that people chose do not sort by time, so their metadata is asked."""
        return (Run(self.root / run_id) for _, run_id in sorted(map(_started, self.iter_runs())))

    def _run_ids(self) -> list[str]:
        check_place(self.root)
        try:
            with os.scandir(self.root) as entries:
                return [entry.name for entry in entries if is_run_entry(entry)]
        except FileNotFoundError:
            return []

    def find_output(self, digest: str) -> tuple[Run, OutputReference]:
        """The newest run that has an output with this digest, and the output.

        Reads the records of runs until one fits.

        Raises:
            OutputNotFound: none has.
        """
        for run in self.iter_runs(newest_first=True):
            for _, output in run.iter_outputs():
                if output.digest == digest:
                    return run, output
        raise OutputNotFound(f"no run in {self.root} has an output {digest}")


def read_marker_version(root: Path) -> str | None:
    """The format version of a store's own files, `0.0` when they cannot be read, None when there is no store."""
    try:
        data = read_regular(root / MARKER_FOLDER / MARKER_FILE, MAX_MARKER_BYTES)
        return SCHEMA_VERSION if data == _our_marker() else StoreMarker.from_json(data).schema_version
    except (FileNotFoundError, NotADirectoryError):
        return None
    except NewerFormat:
        return "newer"
    except (FormatError, OSError):
        return "0.0"


def _is_older(version: str) -> bool:
    """Whether files of `version` should give way to ours."""
    major, _, minor = version.partition(".")
    our_minor = int(SCHEMA_VERSION.partition(".")[2])
    return major == "0" or (major.isdigit() and int(minor) < our_minor)


def iter_marker_files() -> Iterator[tuple[str, bytes]]:
    """Name in `.stablenew` and bytes of every file that marks and describes a store; the marker itself comes last."""
    from stablenew.formats.schema_catalog import iter_published_schemas  # noqa: PLC0415

    for name, data in iter_published_schemas():
        yield f"{MARKER_SCHEMAS}/{name}", data
    yield MARKER_README, _README.encode()
    yield MARKER_FILE, _our_marker()


@functools.cache
def _our_marker() -> bytes:
    return encode_pretty_json(StoreMarker().to_dict())


def _started(run: Run) -> tuple[str, str]:
    stamp = stamp_of(run.run_id)
    if stamp is not None:
        return stamp, run.run_id
    try:
        return run.metadata.created_at, run.run_id
    except (OSError, ValueError):
        return "", run.run_id
