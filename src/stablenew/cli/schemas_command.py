"""`stablenew schemas`: the published JSON Schemas."""

from pathlib import Path
from typing import Annotated

import typer

from stablenew.cli.console import Output

app = typer.Typer(help="The published JSON Schemas of every file.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _schemas() -> None:
    """The published JSON Schemas of every file."""


@app.command("export")
def export(ctx: typer.Context, folder: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Write every schema into a folder."""
    out: Output = ctx.obj
    from stablenew.formats.schema_catalog import iter_published_schemas

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, data in iter_published_schemas():
        (folder / name).write_bytes(data)
        paths.append(str(folder / name))
    out.json({"written": paths})
    out.print(*paths)
