"""`stablenew`: every command, and the global options that work before and after them."""

import contextlib
import os
import sys
from types import ModuleType
from typing import Annotated, Any

import typer

from stablenew import __version__
from stablenew.cli.command_group import CommandGroup, UsageError
from stablenew.cli.commands import Commands, needs_runs
from stablenew.cli.console import INTERRUPTED, Output, printable
from stablenew.cli.streams import prepare_streams
from stablenew.errors import FAILURE, USAGE, StableNewError

_GLOBAL_FLAGS = {"--json", "--quiet", "-q", "--version"}
_SPELLINGS = {"-h": "--help"}
"""Also for commands that take a query, where any other word with a minus is a negated condition."""
_GLOBAL_VALUES = {"--runs-dir"}
_AFTER_COMMAND = "stablenew.after_command"
"""Where the words after the name of a command are kept, which are gone when the global options are read."""


class _Group(CommandGroup):
    """Takes the global options wherever they stand, and loads a command when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands()  # type: ignore[assignment]  # it is only read

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C is an `Abort`, because typer ends without a word on a `KeyboardInterrupt`."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_AFTER_COMMAND] = super().parse_args(ctx, hoist_global_options(args))
        return ctx.args  # type: ignore[no-any-return]


def hoist_global_options(args: list[str]) -> list[str]:
    """`args` with the global options first; what follows `--` stays where it is."""
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(args)
    for given in remaining:
        argument = _SPELLINGS.get(given, given)
        if argument == "--":
            rest.extend((argument, *remaining))
        elif argument in _GLOBAL_FLAGS or (argument.partition("=")[0] in _GLOBAL_VALUES and "=" in argument):
            front.append(argument)
        elif argument in _GLOBAL_VALUES:
            front.extend((argument, *[value for value in [next(remaining, None)] if value is not None]))
        else:
            rest.append(argument)
    return front + rest


app = typer.Typer(
    cls=_Group,
    help="The flight recorder for image generation: run, record, rate, verify.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stablenew {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    ctx: typer.Context,
    runs_dir: Annotated[
        str | None,
        typer.Option(envvar="STABLENEW_RUNS_DIR", help="The run store; by default the one in the settings, or ./runs."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that work before and after every command."""
    del version
    source = ctx.get_parameter_source("runs_dir")
    is_given = source is not None and source.name == "COMMANDLINE"  # a place that is set may be that of runs to come
    must_exist = is_given and needs_runs([ctx.invoked_subcommand or "", *ctx.meta[_AFTER_COMMAND]])
    ctx.obj = Output(runs_dir=runs_dir, must_exist=must_exist, is_json=json, is_quiet=quiet)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 findings or failure of the work, 2 usage, 130 stopped by Ctrl-C."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices are small here; waiting threads only take time
    _load_no_plugins()
    prepare_streams()
    if os.environ.get("_STABLENEW_COMPLETE"):
        from stablenew.cli.completion_command import prepare_answers

        prepare_answers()
    sys.exit(_run(sys.argv[1:] if args is None else args))


def _load_no_plugins() -> None:
    """Keep pydantic from looking for plugins in every package there is.

    The variable does that; what would read it first loads `importlib.metadata`, `email` and `csv`, a twentieth of the
    time of a quick command. Where a release of pydantic looks elsewhere, only that time is lost.
    """
    if os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__") == "__all__":
        loader = ModuleType("pydantic.plugin._loader")
        loader.get_plugins = tuple  # type: ignore[attr-defined]
        sys.modules.setdefault(loader.__name__, loader)


def _run(args: list[str]) -> int:
    try:
        result: Any = app(args=args, prog_name="stablenew", standalone_mode=False)
        sys.stdout.flush()
    except UsageError as error:
        error.show()  # type: ignore[attr-defined]
        return USAGE
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("stablenew: stopped\n")
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()  # the reader has seen enough
        return 0
    except (StableNewError, OSError) as error:
        sys.stderr.write(f"stablenew: {printable(_explain(error))}\n")
        _discard_output_that_fails()
        return error.exit_code if isinstance(error, StableNewError) else FAILURE
    return result if isinstance(result, int) else 0


def _discard_output_that_fails() -> None:
    """Leave nothing that the interpreter would try to write again on its way out, for example on a full disk."""
    try:
        sys.stdout.flush()
    except OSError:
        _discard_output()


def _discard_output() -> None:
    """Let what is still to be written to standard output go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _explain(error: Exception) -> str:
    """The system's own errors without their numbers."""
    if isinstance(error, OSError) and not isinstance(error, StableNewError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)
