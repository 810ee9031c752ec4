"""How commands take the names of runs."""

from typing import Annotated

import typer

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run id, a unique prefix of one, or latest.")]
RunsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[RUN]...", help="Run ids, prefixes or latest; by default all.")
]
