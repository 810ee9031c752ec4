"""Importer: takes in the images of a folder, the newest first, a hundred per run, and resumes where it stopped."""

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from stablenew.disk.file_clone import can_clone
from stablenew.errors import ConfigError
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.run_id import new_run_id
from stablenew.image_metadata.containers.packed_text import NEEDS_BROTLI
from stablenew.importing.file_reading import ReadFile, iter_read
from stablenew.importing.folder_walk import FolderWalk, FoundFile
from stablenew.importing.imported_run import MOST_IMAGES, ImportedRun
from stablenew.importing.known_images import KnownImages
from stablenew.importing.record_building import UNKNOWN, made_at
from stablenew.store.run_store import RunStore
from stablenew.store.source_roots import SourceRoot, SourceRoots
from stablenew.store.sources.moved_files import MovedFiles

IMPORTED: Final = "imported"
KNOWN: Final = "images that are known already"
NO_DATA: Final = "images without generation data"
PACKED: Final = "images whose metadata is compressed with Brotli (pip install brotli)"
BESIDE: Final = {"grid": "grids", "preview": "previews", "input": "input images"}
OPTIONAL: Final = frozenset({NO_DATA, *BESIDE.values()})
"""What is left out unless everything is asked for."""
UNREADABLE: Final = "files that cannot be read"
_TEMPORARY: Final = frozenset({"temp", "tmp"})
_FIRST_RUN: Final = 16
"""Images of the first run: few, so that something is to be seen at once."""


@dataclass(slots=True)
class ImportReport:
    """What an import took in, and what it left out and why."""

    import_id: str
    found: int = 0
    """Files that may be images."""
    to_read: int = 0
    """Files that are new or changed, and must be read."""
    read: int = 0
    """Files that were read so far."""
    imported: int = 0
    size_bytes: int = 0
    tools: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Path and reason of each file that could not be read."""
    run_ids: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "import_id": self.import_id,
            "found": self.found,
            "imported": self.imported,
            "size_bytes": self.size_bytes,
            "tools": dict(self.tools.most_common()),
            "left_out": dict(self.left_out.most_common()),
            "problems": [{"path": path, "reason": reason} for path, reason in self.problems],
            "runs": self.run_ids,
        }


Progress: TypeAlias = Callable[[ImportReport], object]


@dataclass(frozen=True, slots=True)
class Importer:
    """Takes folders into one store. Nothing it does changes a file of a source."""

    store: RunStore
    takes_all: bool = False
    """Whether grids, previews, inputs and images without generation data are taken in as well."""
    is_copied: bool = False
    """Whether runs hold the bytes of the images; otherwise they stay where they are."""
    is_linked: bool = False
    """With `is_copied`: whether copies must share their bytes on the disk with the images, or nothing is taken."""
    is_dry_run: bool = False
    """Whether to look only, and write nothing."""
    clock: Clock = SYSTEM_CLOCK

    def run(self, folder: Path, on_progress: Progress = lambda _: None) -> ImportReport:
        """Take in what lies in `folder` and is not known yet. Stopped in the middle, it goes on there next time.

        Raises:
            ConfigError: `folder` is not a folder that can be a source.
            WriteFailed: the store would not take a run; those before it are sealed.
        """
        self.check_folder(folder)
        root = self.find_root(folder)
        report = ImportReport(new_run_id(self.clock.now()))
        walk = FolderWalk(root.path, folder.resolve())
        with KnownImages(self.store) as known:
            known.refresh()
            files = self._new_files(root, walk, known, report)
            report.left_out += walk.left_out
            report.to_read = len(files)
            on_progress(report)
            self._check_linking(root, files)
            self._read_all(root, files, known, report, on_progress)
        return report

    def _check_linking(self, root: SourceRoot, files: Sequence[FoundFile]) -> None:
        if not (self.is_linked and files):
            return
        self.store.prepare()
        if not can_clone(root.path.joinpath(*files[0].path.split("/")), self.store.root):
            raise ConfigError(
                f"copies in {self.store.root} cannot share their bytes with {root.path}: that needs one file system of "
                "both, such as btrfs or xfs on Linux. Hard links are not made: a sealed run is read-only, and a hard "
                "link would make your own image so. Import in place (no option), or --copy"
            )

    def check_folder(self, folder: Path) -> None:
        """See that `folder` can be taken in.

        Raises:
            ConfigError: it is not a folder, or lies in the store.
        """
        if not folder.is_dir():
            raise ConfigError(f"expected a folder of images, found none at {folder}")
        wanted, store = folder.resolve(), self.store.root.resolve()
        if wanted.is_relative_to(store):
            raise ConfigError(f"{folder} lies in the store {self.store.root}; its images are recorded already")

    def open_run(self, root: SourceRoot, import_id: str) -> ImportedRun:
        """A run for images beneath `root`."""
        return ImportedRun(self.store, root, import_id, is_copied=self.is_copied, clock=self.clock)

    def find_root(self, folder: Path, *, is_added: bool = True) -> SourceRoot:
        """The source that `folder` is or lies in, added where it is new, unless not `is_added` or in a dry run.

        Raises:
            ConfigError: it cannot be one.
        """
        roots = SourceRoots(self.store.root, self.clock)
        if self.is_dry_run or not is_added:
            return roots.root_of(folder) or SourceRoot("dry-run", folder.resolve(), self.clock.timestamp())
        return roots.add(folder)

    def _new_files(
        self, root: SourceRoot, walk: FolderWalk, known: KnownImages, report: ImportReport
    ) -> list[FoundFile]:
        """The files to read, the newest first, so that what people look for first is there first."""
        files = []
        outcomes = known.outcomes(root.id)
        for file in walk.files():
            report.found += 1
            before = outcomes.get(file.path)
            outcome = before[2] if before and before[:2] == (file.size_bytes, file.modified_ns) else None
            if outcome is None or (self.takes_all and outcome not in (IMPORTED, KNOWN)):
                files.append(file)
            else:
                report.left_out[KNOWN if outcome in (IMPORTED, KNOWN) else outcome] += 1
        return sorted(files, key=lambda file: file.modified_ns, reverse=True)

    def _read_all(
        self,
        root: SourceRoot,
        files: Sequence[FoundFile],
        known: KnownImages,
        report: ImportReport,
        on_progress: Progress,
    ) -> None:
        seen: set[str] = set()
        for batch in _batches(self._choose(root, files, known, seen, report, on_progress)):
            self._write(root, batch, known, report)
            on_progress(report)

    def _choose(
        self,
        root: SourceRoot,
        files: Sequence[FoundFile],
        known: KnownImages,
        seen: set[str],
        report: ImportReport,
        on_progress: Progress,
    ) -> Iterator[ReadFile]:
        """The files that are taken in, in the order in which they were found."""
        for chunk in iter_read(root.path, files):
            outcomes: list[tuple[FoundFile, str]] = []
            met: list[tuple[str, str, str]] = []
            for read in chunk:
                reason = self.reason_against(read, known, seen)
                if reason is None:
                    seen.add(read.digest)
                    yield read
                else:
                    report.left_out[reason] += 1
                    if reason == PACKED:  # it is tried again: what is missing may be installed by then
                        continue
                    if read.problem is None:  # a file that could not be read is tried again
                        outcomes.append((read.file, reason))
                        met += [(read.digest, root.id, read.file.path)] if reason == KNOWN else []
                    else:
                        report.problems.append((read.file.path, read.problem))
            report.read += len(chunk)
            if outcomes and not self.is_dry_run:
                known.note(root.id, outcomes)
                MovedFiles(self.store.root).note(met)
            on_progress(report)

    def reason_against(self, read: ReadFile, known: KnownImages, seen: Container[str] = ()) -> str | None:
        """Why a file is not taken in; None where it is."""
        if read.metadata is None:
            return UNREADABLE
        if read.digest in seen or known.has(read.digest):
            return KNOWN
        return reason_to_leave(read, takes_all=self.takes_all)

    def _write(self, root: SourceRoot, batch: Sequence[ReadFile], known: KnownImages, report: ImportReport) -> None:
        taken = sorted(batch, key=made_at)
        if not self.is_dry_run:
            with known.exclusively():
                taken = self._write_new(root, taken, known, report)
        report.imported += len(taken)
        report.size_bytes += sum(read.file.size_bytes for read in taken)
        report.tools.update(map(tool_of, taken))

    def _write_new(
        self, root: SourceRoot, batch: Sequence[ReadFile], known: KnownImages, report: ImportReport
    ) -> list[ReadFile]:
        """Write a run of what another import has not taken in meanwhile; gives what is in it."""
        new = [read for read in batch if not known.has(read.digest)]
        report.left_out += Counter({KNOWN: len(batch) - len(new)})
        imported = self.open_run(root, report.import_id)
        run = imported.write(new) if new else None
        refused = {read.file.path for read, _ in imported.refused}
        taken = [read for read in new if read.file.path not in refused]
        report.problems += [(read.file.path, reason) for read, reason in imported.refused]
        report.left_out += Counter({UNREADABLE: len(refused)})
        if run is not None:
            known.add(run, (read.digest for read in taken))
            report.run_ids.append(run.run_id)
        known.note(root.id, ((read.file, IMPORTED) for read in batch if read.file.path not in refused))
        return taken


def reason_to_leave(read: ReadFile, *, takes_all: bool = False) -> str | None:
    """Why a file is not taken in, by what it says of itself; None where it is."""
    if read.metadata is None:
        return UNREADABLE
    if takes_all:
        return None
    if read.metadata.has_generation_data:
        return _beside(read)
    return _beside(read) or (PACKED if NEEDS_BROTLI in read.metadata.problems else NO_DATA)


def _beside(read: ReadFile) -> str | None:
    """What the file is, if not an image to keep. People keep previews too: only those in a temporary folder count."""
    kind = read.metadata.generation.kind if read.metadata else "image"
    if kind == "preview" and not _TEMPORARY & {part.casefold() for part in read.file.path.split("/")[:-1]}:
        return None
    return BESIDE.get(kind)


def tool_of(read: ReadFile) -> str:
    """The program that made the image, as far as it is known."""
    return str((read.metadata.tool if read.metadata else None) or UNKNOWN)


def _batches(files: Iterator[ReadFile]) -> Iterator[list[ReadFile]]:
    """Files by the run: of one tool, so that a run has one. The first run is small."""
    batches: dict[str, list[ReadFile]] = {}
    limit = _FIRST_RUN
    for file in files:
        batch = batches.setdefault(tool_of(file), [])
        batch.append(file)
        if len(batch) >= limit:
            yield batches.pop(tool_of(file))
            limit = MOST_IMAGES
    yield from batches.values()
