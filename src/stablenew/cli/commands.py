"""Which module each command is in. Only the command that runs is loaded, and `--help` loads them all."""

from collections.abc import Iterator, Mapping
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


COMMANDS: Final = {
    "demo": Command("demo_command", "demo"),
    "run": Command("run_command", "run"),
    "runs": Command("show_command", "runs"),
    "show": Command("show_command", "show"),
    "history": Command("history_command", "history", has_help=True, takes_query=True),
    "images": Command("images_command", "images", has_help=True, takes_query=True),
    "score": Command("score_command", "score", has_help=True, takes_query=True),
    "duel": Command("duel_command", "duel", has_help=True, takes_query=True),
    "path": Command("history_command", "path"),
    "open": Command("history_command", "open_run"),
    "serve": Command("serve_command", "serve"),
    "devices": Command("devices_command", "app"),
    "import": Command("import_command", "import_images", has_help=True),
    "import-stars": Command("import_stars_command", "import_stars", has_help=True),
    "hold": Command("hold_command", "hold", takes_query=True),
    "copies": Command("hold_command", "copies"),
    "inspect": Command("inspect_command", "inspect"),
    "verify": Command("verify_command", "verify"),
    "repair": Command("repair_command", "repair"),
    "merge": Command("merge_command", "merge"),
    "rate": Command("feedback_command", "rate"),
    "prefer": Command("feedback_command", "prefer"),
    "undo": Command("feedback_command", "undo"),
    "redo": Command("feedback_command", "redo"),
    "feedback": Command("feedback_command", "feedback"),
    "sources": Command("sources_command", "app"),
    "trash": Command("trash_command", "app"),
    "export": Command("export_command", "app"),
    "share": Command("share_command", "share", has_help=True, takes_query=True),
    "engines": Command("engines_command", "app"),
    "dataset": Command("dataset_command", "app"),
    "learn": Command("learn_command", "app"),
    "plan": Command("plan_command", "app"),
    "index": Command("index_command", "app"),
    "config": Command("config_command", "app"),
    "schemas": Command("schemas_command", "app"),
    "completion": Command("completion_command", "completion"),
}
"""In the order of `--help`."""
MEMBERS: Final = {
    "learn": {
        "defaults": Command("defaults_command", "defaults", takes_query=True),
        "next": Command("next_command", "next_batch", has_help=True, takes_query=True),
    }
}
"""Commands of a group that have a module of their own."""


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
