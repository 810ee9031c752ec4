"""`stablenew`: every command, and the global options that work before and after them."""

import contextlib
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stablenew import __version__
from stablenew.cli.console import INTERRUPTED, Output, printable
from stablenew.cli.streams import prepare_streams
from stablenew.errors import FAILURE, USAGE, StableNewError

_GLOBAL_FLAGS = {"--json", "--quiet", "-q", "--version"}
_SPELLINGS = {"-h": "--help"}
"""Also for commands that take a query, where any other word with a minus is a negated condition."""
_GLOBAL_VALUES = {"--runs-dir"}
# typer uses an installed click or its own copy of it, and does not export the parent of all usage errors
_UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")


class _Group(TyperGroup):
    """Takes the global options wherever they stand."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, hoist_global_options(args))


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
    ctx.obj = Output(runs_dir=runs_dir, is_json=json, is_quiet=quiet)


def _register() -> None:
    from stablenew.cli import (
        config_command,
        dataset_command,
        defaults_command,
        demo_command,
        duel_command,
        engines_command,
        export_command,
        feedback_command,
        history_command,
        hold_command,
        images_command,
        import_command,
        import_stars_command,
        index_command,
        inspect_command,
        learn_command,
        merge_command,
        next_command,
        plan_command,
        repair_command,
        run_command,
        schemas_command,
        score_command,
        serve_command,
        show_command,
        sources_command,
        trash_command,
        verify_command,
    )

    app.command("demo")(demo_command.demo)
    app.command("run")(run_command.run)
    app.command("runs")(show_command.runs)
    app.command("show")(show_command.show)
    app.command("history", help=history_command.HELP, context_settings=history_command.SETTINGS)(
        history_command.history
    )
    app.command("images", help=images_command.HELP, context_settings=history_command.SETTINGS)(images_command.images)
    app.command("score", help=score_command.HELP, context_settings=history_command.SETTINGS)(score_command.score)
    app.command("duel", help=duel_command.HELP, context_settings=history_command.SETTINGS)(duel_command.duel)
    app.command("path")(history_command.path)
    app.command("open")(history_command.open_run)
    app.command("serve")(serve_command.serve)
    app.command("import")(import_command.import_images)
    app.command("import-stars", help=import_stars_command.HELP)(import_stars_command.import_stars)
    app.command("hold", context_settings=history_command.SETTINGS)(hold_command.hold)
    app.command("copies")(hold_command.copies)
    app.command("inspect")(inspect_command.inspect)
    app.command("verify")(verify_command.verify)
    app.command("repair")(repair_command.repair)
    app.command("merge")(merge_command.merge)
    app.command("rate")(feedback_command.rate)
    app.command("prefer")(feedback_command.prefer)
    app.command("undo")(feedback_command.undo)
    app.command("redo")(feedback_command.redo)
    app.command("feedback")(feedback_command.feedback)
    app.add_typer(sources_command.app, name="sources")
    app.add_typer(trash_command.app, name="trash")
    app.add_typer(export_command.app, name="export")
    app.add_typer(engines_command.app, name="engines")
    app.add_typer(dataset_command.app, name="dataset")
    learn_command.app.command("defaults", context_settings=history_command.SETTINGS)(defaults_command.defaults)
    learn_command.app.command("next", help=next_command.HELP, context_settings=history_command.SETTINGS)(
        next_command.next_batch
    )
    app.add_typer(learn_command.app, name="learn")
    app.add_typer(plan_command.app, name="plan")
    app.add_typer(index_command.app, name="index")
    app.add_typer(config_command.app, name="config")
    app.add_typer(schemas_command.app, name="schemas")


_register()


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 findings or failure of the work, 2 usage, 130 stopped by Ctrl-C."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices are small here; waiting threads only take time
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # or pydantic looks for some in every package there is
    prepare_streams()
    sys.exit(_run(sys.argv[1:] if args is None else args))


def _run(args: list[str]) -> int:
    try:
        result: Any = app(args=args, prog_name="stablenew", standalone_mode=False)
        sys.stdout.flush()
    except _UsageError as error:
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
    """Leave nothing that the interpreter would try to write again on its way out, on a full disk say."""
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
    """The system's own errors without their numbers, which nobody knows by heart."""
    if isinstance(error, OSError) and not isinstance(error, StableNewError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)
