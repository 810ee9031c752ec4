"""`stablenew sources`: the folders whose images a store describes in their place."""

from pathlib import Path
from typing import Annotated

import typer

from stablenew.cli.console import Output
from stablenew.errors import FAILURE

HELP = """The folders that images were imported from and still lie in.

\b
stablenew sources list
stablenew sources move 1f0a93c2d4 /mnt/images    the folder is there now, or there on this machine

A run names an image by the id of its folder and a path in it; which folder that is, each machine keeps for itself. So a
folder that moved, or a store from another machine, needs one `move`. Nothing here changes an image or a run.
"""
app = typer.Typer(no_args_is_help=True, help=HELP)


@app.command("list")
def list_sources(ctx: typer.Context) -> int:
    """List sources, and whether they are there; exit 1 if one is missing."""
    out: Output = ctx.obj
    from stablenew.store.source_roots import SourceRoots

    roots = [(root, root.path.is_dir()) for root in SourceRoots(out.controller.run_store.root).list()]
    out.json(
        [
            {"id": root.id, "path": str(root.path), "added_at": root.added_at, "is_there": is_there}
            for root, is_there in roots
        ]
    )
    out.table(
        ["id", "folder", ""], [(root.id, str(root.path), "" if is_there else "not there") for root, is_there in roots]
    )
    for root in (root for root, is_there in roots if not is_there):
        out.print(f"moved? stablenew sources move {root.id} DIR says where it is now")
    return 0 if all(is_there for _, is_there in roots) else FAILURE


@app.command("add")
def add_source(
    ctx: typer.Context, folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of images.")]
) -> int:
    """Make a folder a source without importing it; `stablenew import DIR` does both."""
    out: Output = ctx.obj
    from stablenew.store.source_roots import SourceRoots

    root = SourceRoots(out.controller.run_store.root).add(folder)
    out.json({"id": root.id, "path": str(root.path)})
    out.print(f"{root.id} {root.path}")
    return 0


@app.command("move")
def move_source(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="ID", help="As `sources list` and `verify` name it.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The same images in their new place.")],
) -> int:
    """Set where a source is now: after it was moved, or on another machine."""
    out: Output = ctx.obj
    from stablenew.store.source_roots import SourceRoots

    root = SourceRoots(out.controller.run_store.root).move(source, folder)
    out.json({"id": root.id, "path": str(root.path)})
    out.print(f"{root.id} is {root.path} now; `stablenew verify` looks whether its images are there")
    return 0


@app.command("remove")
def remove_source(
    ctx: typer.Context, source: Annotated[str, typer.Argument(metavar="ID", help="As `sources list` names it.")]
) -> int:
    """Forget a source on this machine; runs and files stay as they are."""
    out: Output = ctx.obj
    from stablenew.store.source_roots import SourceRoots

    SourceRoots(out.controller.run_store.root).remove(source)
    out.json({"removed": source})
    out.print(f"{source} is not a source any more; its runs stay, and so do its files")
    return 0
