"""`stablenew config`: the settings."""

from typing import Annotated

import typer

from stablenew.cli.console import Output
from stablenew.cli.table import Column

app = typer.Typer(help="Read and change the settings.", no_args_is_help=True, rich_markup_mode=None)


@app.command("get")
def get(
    ctx: typer.Context, name: Annotated[str | None, typer.Argument(help="A setting; by default all.")] = None
) -> None:
    """Print a setting, or all."""
    out: Output = ctx.obj
    from stablenew.app_config import DEFAULTS, DESCRIPTIONS, AppConfig

    config = AppConfig()
    values = {setting: config.get(setting) for setting in ([name] if name else DEFAULTS)}
    out.json(values)
    if name:
        out.print(_shown(values[name]))
    else:
        rows = [(setting, _shown(value), DESCRIPTIONS[setting]) for setting, value in values.items()]
        out.table(
            ["setting", Column("value", is_wrapped=True), Column(is_wrapped=True)],
            rows,
        )


@app.command("set")
def set_(ctx: typer.Context, name: str, value: str) -> None:
    """Change a setting."""
    out: Output = ctx.obj
    from stablenew.app_config import AppConfig

    config = AppConfig()
    parsed = config.set(name, value)
    out.json({name: parsed})
    out.print(f"{name} = {_shown(parsed)}")
    if config.get(name) != parsed:
        out.warn(f"the environment variable STABLENEW_{name.upper()} overrides this with {_shown(config.get(name))}")


@app.command("path")
def path(ctx: typer.Context) -> None:
    """Print the path of the settings file."""
    out: Output = ctx.obj
    from stablenew.app_config import config_path

    out.json({"path": str(config_path())})
    out.print(str(config_path()))


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
