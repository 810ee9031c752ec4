"""Groups of commands whose help and errors leave nothing out."""

from typing import Any

import typer
from typer.core import TyperGroup

# typer uses an installed click or its own copy of it, and does not export the parent of all usage errors
UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")


class CommandGroup(TyperGroup):
    """A group whose help shows the first sentence on each command whole, and whose errors name its commands."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands, as click does but in as many lines as the words need."""
        named = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(limit=1000)) for name, command in named if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is named first in `args`, as click finds it.

        Raises:
            UsageError: there is none; the message names those there are.
        """
        try:
            return super().resolve_command(ctx, args)
        except UsageError as error:
            message: str = error.message  # type: ignore[attr-defined]
            if "Did you mean" not in message and ctx.parent is not None:
                error.message = f"{message} There are: {', '.join(self.list_commands(ctx))}."  # type: ignore[attr-defined]
            raise
