"""`stablenew dataset`: one joined row per image, for programs that learn from it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stablenew.cli.console import Output, bar, format_bytes, format_local_time, plural
from stablenew.cli.history_command import SETTINGS, read_query
from stablenew.cli.options import ImageQuery
from stablenew.cli.query_words import QueryCommand
from stablenew.cli.table import Column
from stablenew.errors import FAILURE, ConfigError

if TYPE_CHECKING:
    from stablenew.formats.documents.dataset_ledger import DatasetLedger, DatasetProblem
    from stablenew.learning.dataset.parts.executor import PartExecutor
    from stablenew.learning.dataset.reader import Dataset
    from stablenew.learning.dataset.source.run_source import RunSource
    from stablenew.learning.dataset.split_plan import SplitPlan

app = typer.Typer(help="Datasets: records and feedback joined, one row per image.", no_args_is_help=True)

_BUILD_HELP = """Build a dataset of the images of every sealed run, or of the images that fit QUERY, into DIR.

Building again into the same folder reads only what changed. QUERY is that of `stablenew images`.
"""
_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a dataset.")]


_Formats = Annotated[
    list[str] | None,
    typer.Option("--format", help="Also write jsonl, csv, pairs, imagefolder or webdataset; may be repeated."),
]
_Shares = Annotated[str, typer.Option(metavar="TRAIN,VALIDATION,TEST", help="Percentages of the splits.")]
_Ties = Annotated[str, typer.Option(metavar="TIES", help="Images that share one of these are never in two splits.")]
_Executor = Annotated[str, typer.Option("--executor", "--engine", help="Where parts are built: local or dask.")]
_Cluster = Annotated[
    str | None, typer.Option("--scheduler", metavar="ADDRESS", help="The address of a running Dask cluster.")
]
_Source = Annotated[
    str | None, typer.Option("--from", metavar="ADDRESS", help="Read another store, such as s3://bucket/runs.")
]
_SourceOptions = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="An option of its file system, such as endpoint_url=URL."),
]


@app.command(cls=QueryCommand, help=_BUILD_HELP, context_settings=SETTINGS)
def build(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to build into.")],
    query: ImageQuery = None,
    formats: _Formats = None,
    split: _Shares = "80,10,10",
    split_by: _Ties = "prompt,seed,lineage",
    salt: Annotated[str, typer.Option(help="Changes which images are in which split.")] = "",
    incremental: Annotated[bool, typer.Option(help="Read only what changed since the last build into DIR.")] = True,
    executor: _Executor = "local",
    cluster: _Cluster = None,
    source: _Source = None,
    storage: _SourceOptions = None,
) -> int:
    """Build a dataset."""
    out: Output = ctx.obj
    plan = _read_split(split, split_by, salt)
    text = read_query(query)
    ledger = out.with_bar(
        "Reading runs",
        lambda progress: out.controller.datasets.build(
            folder,
            query=text,
            split=plan,
            formats=[name for given in formats or [] for name in given.split(",")],
            source=None if source is None else _open_source(source, storage or []),
            executor=_open_executor(executor, cluster),
            is_incremental=incremental,
            progress=progress,
        ),
    )
    return _show(out, folder, ledger)


def _read_split(shares: str, ties: str, salt: str) -> "SplitPlan":
    from stablenew.learning.dataset.split_plan import SplitPlan

    try:
        train, validation, test = (float(share) / 100 for share in shares.split(","))
    except ValueError:
        raise ConfigError(f"expected three percentages such as 80,10,10, found {shares!r}") from None
    return SplitPlan(train, validation, test, tuple(tie.strip() for tie in ties.split(",")), salt)


def _open_executor(name: str, cluster: str | None) -> "PartExecutor":
    from stablenew.learning.dataset.parts.executor import open_executor

    return open_executor(name, cluster)


def _open_source(address: str, options: list[str]) -> "RunSource":
    from stablenew.learning.dataset.source.remote_source import open_source

    pairs = [option.partition("=") for option in options]
    for name, equals, _ in pairs:
        if not equals:
            raise ConfigError(f"expected NAME=VALUE, such as endpoint_url=http://127.0.0.1:9000, found {name!r}")
    return open_source(address, {name: value for name, _, value in pairs})


@app.command()
def show(ctx: typer.Context, folder: _Folder) -> int:
    """Show what is in a dataset, and what was left out of it."""
    out: Output = ctx.obj
    dataset = _open(folder)
    return _show(out, folder, dataset.ledger, _count_stars(dataset))


def _open(folder: Path) -> "Dataset":
    from stablenew.learning.dataset.reader import Dataset

    return Dataset(folder)


def _count_stars(dataset: "Dataset") -> list[int]:
    """Images by their mean rating, rounded; from 0 to 5."""
    import numpy as np

    counts = np.zeros(6, np.int64)
    for table in dataset.iter_tables(["rating"]):
        stars = table["rating"].drop_null().to_numpy()
        counts += np.bincount(np.floor(stars + 0.5).astype(np.int64), minlength=6)
    return counts.tolist()


def _show(out: Output, folder: Path, ledger: "DatasetLedger", stars: list[int] | None = None) -> int:
    out.json(ledger.to_dict() | ({} if stars is None else {"images_by_stars": stars}))
    counts = ledger.counts
    size = sum(file.size_bytes for file in ledger.files)
    images, runs = plural(counts.images, "image"), plural(counts.runs_joined, "run")
    out.print(f"{folder}: {images} of {runs}, {format_bytes(size)}")
    out.facts(_facts(ledger))
    out.print("")
    out.table(_COUNTED, _bars({name: getattr(ledger.split_counts, name) for name in _SPLITS}))
    if stars is not None and any(stars):
        out.print("")
        out.table(_COUNTED, _bars({"★" * number or "0": count for number, count in enumerate(stars)}))
    _show_left_out(out, ledger)
    return 0


_SPLITS = ("train", "validation", "test", "held_out")
_COUNTED: Final = (Column(), Column("images", is_right=True), Column(rank=1))


def _bars(counts: dict[str, int]) -> list[tuple[str, str, str]]:
    most = max(*counts.values(), 1)
    return [(name.replace("_", " "), f"{count:,}", bar(count / most, 30)) for name, count in counts.items()]


def _facts(ledger: "DatasetLedger") -> list[tuple[str, str]]:
    counts = ledger.counts
    return [
        ("rated", f"{plural(counts.images_rated, 'image')}, {plural(counts.preferences, 'comparison')}"),
        ("runs", f"{counts.runs_seen:,} seen, {counts.runs_joined:,} joined, {counts.runs_left_out:,} left out"),
        ("records", f"{counts.records:,} joined, {counts.records_unreadable:,} unreadable"),
        ("from", f"{ledger.source.location}{f'  {ledger.source.query}' if ledger.source.query else ''}"),
        ("built", f"{format_local_time(ledger.built_at)} by StableNew {ledger.software_version}"),
        ("digest", ledger.digest),
        *((f"as {export.name}", _describe_export(export.row_count, export.left_out)) for export in ledger.exports),
    ]


def _describe_export(rows: int, left_out: dict[str, int]) -> str:
    reasons = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in left_out.items())
    return f"{rows:,}{f'; left out: {reasons}' if reasons else ''}"


_MOST_SHOWN = 20


def _show_left_out(out: Output, ledger: "DatasetLedger") -> None:
    if not ledger.left_out_by_reason and not ledger.problems:
        return
    out.print("")
    out.table(
        ["left out", Column("runs", is_right=True)],
        [(reason, f"{count:,}") for reason, count in ledger.left_out_by_reason.items()],
    )
    rows = [(run.run_id, run.reason, run.detail) for run in ledger.left_out]
    rows += [(problem.run_id, _place(problem), problem.reason) for problem in ledger.problems]
    out.table(["run", "what", Column(is_wrapped=True)], rows[:_MOST_SHOWN])
    if len(rows) > _MOST_SHOWN:
        out.print(f"and {len(rows) - _MOST_SHOWN:,} more; dataset.json names them all")


def _place(problem: "DatasetProblem") -> str:
    return problem.path if problem.line is None else f"{problem.path}, line {problem.line}"


@app.command()
def verify(ctx: typer.Context, folder: _Folder) -> int:
    """Check that every file of a dataset is present and unchanged."""
    out: Output = ctx.obj
    dataset = _open(folder)
    findings = out.with_bar("Checking files", lambda progress: list(dataset.iter_findings(progress)))
    files = len(dataset.ledger.files)
    out.json({"ok": not findings, "digest": dataset.ledger.digest, "files": files, "findings": findings})
    for finding in findings:
        out.print(finding)
    out.print(f"{plural(files, 'file')}: {plural(len(findings), 'finding')}")
    return FAILURE if findings else 0
