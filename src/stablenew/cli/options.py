"""Arguments and options that several commands have: the same name, the same help."""

from pathlib import Path
from typing import Annotated

import typer

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run id, a unique prefix of one, or latest.")]
RunsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[RUN]...", help="Run ids, prefixes or latest; by default all.")
]
RunQuery = Annotated[list[str] | None, typer.Argument(metavar="QUERY", help="Which runs; by default all.")]
ImageQuery = Annotated[list[str] | None, typer.Argument(metavar="QUERY", help="Which images; by default all.")]
DatasetOption = Annotated[
    Path | None,
    typer.Option("--dataset", metavar="DIR", help="Use this dataset instead of one that is kept up to date."),
]
EngineOption = Annotated[str | None, typer.Option(help="The engine to use.")]
UrlOption = Annotated[str | None, typer.Option(help="The address of the engine's server.")]
PlanSettings = Annotated[
    list[str] | None, typer.Option("--set", metavar="STAGE.KEY=VALUE", help="A setting of all images.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be done without doing it.")]
