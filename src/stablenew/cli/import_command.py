"""`stablenew import`: take in images that you already have."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stablenew.cli.console import INTERRUPTED, SHOWN_PROBLEMS, Output, format_bytes, plural
from stablenew.errors import FAILURE, ConfigError

if TYPE_CHECKING:
    from stablenew.importing.file_reading import ReadFile
    from stablenew.importing.importer import Importer, ImportReport

HELP = """Take in the images that other tools made: they stay where they are, and are never changed.

\b
stablenew import ~/ComfyUI/output --dry-run      what it would take in, and what not
stablenew import ~/ComfyUI/output ~/webui/outputs
stablenew import ~/webui/outputs --watch         goes on with what is saved there, until Ctrl-C
stablenew import ~/webui/outputs --watch --install
stablenew import --undo ID                       the ID is printed at the end of each import

Run it again at any time: what is known is skipped, moved files are found again, and what was stopped goes on.
Where images lie is listed by `stablenew sources`, and checked by `stablenew verify`.
"""
_SHOWN_PROMPT = 60


_Folders = Annotated[
    list[Path] | None, typer.Argument(metavar="DIR...", help="Output folders of any tool, with all below them.")
]
_Link = Annotated[
    bool, typer.Option("--link", help="As --copy, sharing the bytes on the disk, where the file system can.")
]
_TakesAll = Annotated[
    bool,
    typer.Option("--all", help="Also grids, previews, input images, and images that do not say how they were made."),
]
_Watch = Annotated[
    bool,
    typer.Option("--watch", help="Keep running and take in what is saved there, until Ctrl-C; one process per folder."),
]
_Undo = Annotated[
    str | None, typer.Option("--undo", metavar="ID", help="Take an import out again; rated runs are kept.")
]


def import_images(
    ctx: typer.Context,
    folders: _Folders = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the images into the store as well.")] = False,
    link: _Link = False,
    takes_all: _TakesAll = False,
    watch: _Watch = False,
    install: Annotated[
        bool, typer.Option("--install", help="With --watch: start watching now and at every login.")
    ] = False,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Undo --install: no more watching at login.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be taken in, and write nothing.")] = False,
    undo: _Undo = None,
    with_feedback: Annotated[
        bool, typer.Option("--with-feedback", help="With --undo: also runs that somebody rated.")
    ] = False,
) -> int:
    """Import images of any tool without moving them; the files are never changed."""
    out: Output = ctx.obj
    if undo is not None:
        return _undo(out, undo, with_feedback=with_feedback)
    if uninstall:
        return _uninstall(out)
    if not folders:
        raise ConfigError("expected a folder of images: stablenew import DIR...")
    from stablenew.importing.importer import Importer

    importer = Importer(
        out.controller.run_store,
        takes_all=takes_all,
        is_copied=copy or link,
        is_linked=link,
        is_dry_run=dry_run,
    )
    if watch and dry_run:
        raise ConfigError("--dry-run looks once and writes nothing: leave out --watch")
    if install:
        return _install(out, importer, folders, watch=watch, is_special=copy or link or takes_all)
    if watch:
        return _watch(out, importer, folders)
    return _import_all(out, importer, folders, dry_run=dry_run)


def _import_all(out: Output, importer: "Importer", folders: list[Path], *, dry_run: bool) -> int:
    try:
        reports = [_import(out, importer, folder) for folder in folders]
    except KeyboardInterrupt:
        out.warn(
            "stopped" if dry_run else "stopped; what was taken in is kept, and the same command goes on from there"
        )
        return INTERRUPTED
    if any(report.run_ids for report in reports):
        from stablenew.importing.pixel_index import update_beside

        update_beside(importer.store)
    out.json({"dry_run": dry_run, "imports": [report.to_dict() for report in reports]})
    for report in reports:
        _show(out, report, dry_run=dry_run)
    return FAILURE if any(report.problems for report in reports) else 0


def _import(out: Output, importer: "Importer", folder: Path) -> "ImportReport":
    with out.progress() as bar:
        task = bar.add_task(f"importing {folder}", total=None)

        def follow(report: "ImportReport") -> None:
            bar.update(task, completed=report.read, total=report.to_read or None)

        return importer.run(folder, follow)


def _show(out: Output, report: "ImportReport", *, dry_run: bool) -> None:
    from stablenew.importing.importer import OPTIONAL

    verb = "would be taken in" if dry_run else "taken in"
    tools = ", ".join(f"{count:,} {tool}" for tool, count in report.tools.most_common())
    size = f", {format_bytes(report.size_bytes)}: {tools}" if report.imported else ""
    out.print(f"{plural(report.imported, 'image')} {verb}{size}")
    for reason, count in report.left_out.most_common():
        remedy = " (--all takes them too)" if reason in OPTIONAL else ""
        out.print(f"  left out: {count:,} {reason}{remedy}")
    for path, reason in report.problems[:SHOWN_PROBLEMS]:
        out.warn(f"{path}: {reason}")
    if len(report.problems) > SHOWN_PROBLEMS:
        out.warn(f"and {len(report.problems) - SHOWN_PROBLEMS:,} more files that cannot be read (--json lists them)")
    if report.imported and not dry_run:
        out.print(f"to take it out again: stablenew import --undo {report.import_id}")


def _watch(out: Output, importer: "Importer", folders: list[Path]) -> int:
    """Watch the folders until Ctrl-C."""
    import io
    import sys
    import threading

    from stablenew.importing.folder_watch import FolderWatch, watch_together

    def show(read: "ReadFile") -> None:
        prompt = read.metadata.generation.prompt if read.metadata else ""
        out.print(f"{read.file.path}  {(prompt or '')[:_SHOWN_PROMPT]}")

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a log or a pipe shows each image when it comes
    watches = [FolderWatch(importer, folder, show) for folder in folders]
    for reason in filter(None, (watch.polling_reason for watch in watches)):
        out.warn(f"{reason}: new files are seen within some seconds")
    stop = threading.Event()
    out.print("watching; Ctrl-C ends it")
    try:
        watch_together(watches, stop, lambda report: _show(out, report, dry_run=False))
    except KeyboardInterrupt:
        stop.set()
    return 0


def _install(out: Output, importer: "Importer", folders: list[Path], *, watch: bool, is_special: bool) -> int:
    from stablenew.importing.autostart import build_autostart, install

    if not watch or is_special:
        raise ConfigError("expected `stablenew import --watch --install DIR...`, without --copy and --all")
    for folder in folders:
        importer.check_folder(folder)
    autostart = build_autostart(folders, out.root)
    missing = install(autostart)
    out.json({"kind": autostart.kind, "path": str(autostart.path), "still_to_run": missing})
    out.print(f"written: {autostart.path}")
    if not missing:
        out.print("it watches from now on, and from every login; to end it: stablenew import --uninstall")
        return 0
    out.warn("it could not be started here; run these commands yourself:")
    for command in missing:
        out.print(f"  {command}")
    return FAILURE


def _uninstall(out: Output) -> int:
    from stablenew.importing.autostart import build_autostart, uninstall

    autostart = build_autostart([], out.root)
    was_there = uninstall(autostart)
    out.json({"path": str(autostart.path), "removed": was_there})
    out.print(f"{'removed' if was_there else 'there was no'} {autostart.path}")
    return 0


def _undo(out: Output, import_id: str, *, with_feedback: bool) -> int:
    from stablenew.importing.undo import list_imports, undo_import

    store = out.controller.run_store
    known = list_imports(store)
    if import_id not in known:
        raise ConfigError(f"no import {import_id!r} here; there are {', '.join(known) or 'none'}")
    report = undo_import(store, import_id, with_feedback=with_feedback)
    out.json({"removed": report.removed, "kept": report.kept})
    out.print(f"{plural(len(report.removed), 'run')} removed; the files are where they were")
    for run_id in report.kept:
        out.warn(f"kept {run_id}: somebody rated it (--with-feedback removes it too)")
    return FAILURE if report.kept else 0
