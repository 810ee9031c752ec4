"""Which module each command is in. Only the command that runs is loaded, and `--help` loads them all."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.main import get_group

from stablenew.cli.command_group import CommandGroup


class Command(NamedTuple):
    """Where a command is."""

    module: str
    attribute: str
    """Its function, or the `typer.Typer` of a group of commands."""
    has_help: bool = False
    """Whether its help is the module's `HELP`, not the function's docstring."""
    takes_query: bool = False
    """Whether a word that begins with a minus may be a negated condition."""
    needs_runs: bool = False
    """Whether it works with runs that are there, and makes none: a folder that is named for it must exist."""


COMMANDS: Final = {
    "demo": Command("demo_command", "demo"),
    "run": Command("run_command", "run"),
    "runs": Command("show_command", "runs", needs_runs=True),
    "show": Command("show_command", "show", needs_runs=True),
    "history": Command("history_command", "history", has_help=True, takes_query=True, needs_runs=True),
    "images": Command("images_command", "images", has_help=True, takes_query=True, needs_runs=True),
    "score": Command("score_command", "score", has_help=True, takes_query=True, needs_runs=True),
    "duel": Command("duel_command", "duel", has_help=True, takes_query=True, needs_runs=True),
    "path": Command("history_command", "path", needs_runs=True),
    "open": Command("history_command", "open_run", needs_runs=True),
    "serve": Command("serve_command", "serve"),
    "devices": Command("devices_command", "app"),
    "import": Command("import_command", "import_images", has_help=True),
    "import-stars": Command("import_stars_command", "import_stars", has_help=True),
    "hold": Command("hold_command", "hold", takes_query=True, needs_runs=True),
    "copies": Command("hold_command", "copies", needs_runs=True),
    "inspect": Command("inspect_command", "inspect"),
    "verify": Command("verify_command", "verify", needs_runs=True),
    "repair": Command("repair_command", "repair", needs_runs=True),
    "merge": Command("merge_command", "merge"),
    "rate": Command("feedback_command", "rate", needs_runs=True),
    "prefer": Command("feedback_command", "prefer", needs_runs=True),
    "undo": Command("feedback_command", "undo", needs_runs=True),
    "redo": Command("feedback_command", "redo", needs_runs=True),
    "feedback": Command("feedback_command", "feedback", needs_runs=True),
    "sources": Command("sources_command", "app", needs_runs=True),
    "trash": Command("trash_command", "app", needs_runs=True),
    "export": Command("export_command", "app", needs_runs=True),
    "share": Command("share_command", "share", has_help=True, takes_query=True, needs_runs=True),
    "engines": Command("engines_command", "app"),
    "dataset": Command("dataset_command", "app", needs_runs=True),
    "learn": Command("learn_command", "app", needs_runs=True),
    "plan": Command("plan_command", "app"),
    "index": Command("index_command", "app", needs_runs=True),
    "config": Command("config_command", "app"),
    "schemas": Command("schemas_command", "app"),
    "completion": Command("completion_command", "completion"),
}
"""In the order of `--help`."""
MEMBERS: Final = {
    "learn": {
        "defaults": Command("defaults_command", "defaults", takes_query=True, needs_runs=True),
        "next": Command("next_command", "next_batch", has_help=True, takes_query=True),
    }
}
"""Commands of a group that have a module of their own."""


def needs_runs(words: Sequence[str]) -> bool:
    """Whether the command that begins with these words works only with runs that are there."""
    name, member = [*words, "", ""][:2]
    command = MEMBERS.get(name, {}).get(member) or COMMANDS.get(name)
    return command is not None and command.needs_runs


class Commands(Mapping[str, Any]):
    """The commands by name, each loaded when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


@cache
def _load(name: str) -> Any:
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    group = _add(holder, name, COMMANDS[name])
    for member, command in MEMBERS.get(name, {}).items():
        _add(group, member, command)
    return get_group(holder).commands[name]


def _add(holder: typer.Typer, name: str, command: Command) -> Any:
    """Add a command, or a group of them, to `holder`."""
    module = import_module(f"stablenew.cli.{command.module}")
    found = getattr(module, command.attribute)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name, cls=CommandGroup)
        return found
    options: dict[str, Any] = {"help": module.HELP} if command.has_help else {}
    if command.takes_query:
        from stablenew.cli.history_command import SETTINGS

        options["context_settings"] = SETTINGS
    return holder.command(name, **options)(found)
