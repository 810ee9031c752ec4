"""Taking an import out again: its runs go, and the files of the source stay as they are."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from stablenew.importing.imported_run import IMPORTER
from stablenew.importing.known_images import KnownImages, imported_paths
from stablenew.store.run import Run
from stablenew.store.run_store import RunStore
from stablenew.store.upkeep.run_removal import HasFeedback, remove_run


@dataclass(slots=True)
class UndoReport:
    """What became of the runs of an import."""

    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Runs that people have rated, tagged or commented on."""


def undo_import(store: RunStore, import_id: str, *, with_feedback: bool = False) -> UndoReport:
    """Remove the runs of one import, but for those that somebody rated unless `with_feedback` says so.

    Raises:
        OSError: a run could not be removed; those before it are gone.
    """
    report = UndoReport()
    with KnownImages(store) as known:
        for run in _runs_of(store, import_id):
            files = imported_paths(run)
            try:
                remove_run(run, with_feedback=with_feedback)
            except HasFeedback:
                report.kept.append(run.run_id)
                continue
            report.removed.append(run.run_id)
            for root_id in {root for root, _ in files}:
                known.forget_files(root_id, [path for root, path in files if root == root_id])
        known.refresh()
    return report


def list_imports(store: RunStore) -> dict[str, int]:
    """The imports that have runs here, the oldest first, with the number of their images."""
    imports: dict[str, int] = {}
    for run in _imported_runs(store):
        correlation = run.metadata.correlation
        if correlation and correlation.session_id:
            count = imports.get(correlation.session_id, 0)
            imports[correlation.session_id] = count + (run.metadata.record_count or 0)
    return imports


def _runs_of(store: RunStore, import_id: str) -> list[Run]:
    return [
        run
        for run in _imported_runs(store)
        if run.metadata.correlation and run.metadata.correlation.session_id == import_id
    ]


def _imported_runs(store: RunStore) -> Iterator[Run]:
    for run in store.iter_runs():
        try:
            if run.metadata.source.name == IMPORTER:
                yield run
        except (OSError, ValueError):
            continue
