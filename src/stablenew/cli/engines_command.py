"""`stablenew engines`: what can make images, whether it is ready, and hooks to record inside other programs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stablenew.cli.console import Output
from stablenew.cli.table import Column
from stablenew.errors import FAILURE

if TYPE_CHECKING:
    from stablenew.engines.engine import EngineCheck
import sys
from importlib.resources import files
from typing import Final

app = typer.Typer(help="What can make images. Without a command: list the engines.", invoke_without_command=True)

_SHOWN = 12


@app.callback()
def list_engines(ctx: typer.Context) -> int:
    """List the engines."""
    out: Output = ctx.find_root().obj
    ctx.obj = out
    if ctx.invoked_subcommand is not None:
        return 0
    from stablenew.engines.engine_registry import describe_engines

    found = describe_engines()
    default = out.controller.app_config.get("engine")
    out.json([{**one, "is_default": one["name"] == default} for one in found])
    out.table(
        ["engine", "", Column("what it is", is_wrapped=True)],
        [(one["name"], "default" if one["name"] == default else "", one["description"]) for one in found],
    )
    return 0


@app.command()
def check(
    ctx: typer.Context,
    engine: Annotated[str | None, typer.Option(help="Which; by default that of the settings.")] = None,
    url: Annotated[str | None, typer.Option(help="Where its server is.")] = None,
) -> int:
    """Say whether an engine answers, what it has, and what will not work."""
    out: Output = ctx.obj
    from stablenew.engines.engine import Checkable, EngineCheck

    opened = out.controller.open_engine(engine, url)
    info = opened.info
    found = opened.check() if isinstance(opened, Checkable) else EngineCheck(info.name, info.version)
    out.json(
        {
            "ok": not found.problems,
            "name": found.name,
            "version": found.version,
            "facts": found.facts,
            "names": found.names,
            "problems": found.problems,
        }
    )
    _show(out, found)
    return FAILURE if found.problems else 0


def _show(out: Output, found: "EngineCheck") -> None:
    rows = [("engine", f"{found.name} {found.version}"), *found.facts.items()]
    for kind, names in found.names.items():
        more = f" and {len(names) - _SHOWN} more; --json names them all" if len(names) > _SHOWN else ""
        rows.append((kind, f"{', '.join(names[:_SHOWN]) or 'none'}{more}"))
    out.facts(rows)
    for problem in found.problems:
        out.print(f"! {problem}")
    if not found.problems:
        out.print("ready")


@app.command()
def workflow(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A workflow of ComfyUI in API format.", exists=True, dir_okay=False)],
) -> int:
    """Show where settings go in a ComfyUI workflow."""
    out: Output = ctx.obj
    from stablenew.engines.comfyui.bindings import find_bindings
    from stablenew.engines.comfyui.graph import describe_node, read_graph, read_value

    graph = read_graph(file.read_bytes(), str(file))
    found = find_bindings(graph)
    settings = {**found.places, **found.undecided}
    values = {name: [read_value(graph, place) for place in places] for name, places in settings.items()}
    out.json(
        {
            "bindings": {
                name: {"places": [str(place) for place in places], "value": values[name][0]}
                for name, places in found.places.items()
            },
            "undecided": {
                name: {str(place): value for place, value in zip(places, values[name], strict=True)}
                for name, places in found.undecided.items()
            },
        }
    )
    out.table(
        ["setting", Column("goes to", is_wrapped=True), Column(rank=1, least=12), Column("now", least=12)],
        [
            (name, " ".join(map(str, places)), describe_node(graph, places[0].node), str(values[name][0])[:60])
            for name, places in found.places.items()
        ],
    )
    for name, places in found.undecided.items():
        out.table(
            [f"{name}: which?", "", "now"],
            [
                (str(place), describe_node(graph, place.node), str(value)[:60])
                for place, value in zip(places, values[name], strict=True)
            ],
        )
        out.print(
            f"{name} goes nowhere before you say which of these places it is: by "
            f"--set txt2img.extra.bind.{name}=NODE.INPUT, or by the title of the node, {name.replace('_', ' ')!r}"
        )
    out.print(f"use it: --engine comfyui --set txt2img.extra.workflow={file}")
    out.print("another place: --set txt2img.extra.bind.NAME=NODE.INPUT; null leaves the workflow's own value alone")
    return 0 if "prompt" in found.places else FAILURE


@app.command()
def install(
    ctx: typer.Context,
    tool: Annotated[str, typer.Argument(metavar="webui|comfyui", help="The program to record in.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Its folder, or where to put the one to copy.")],
) -> int:
    """Write the folder that records inside a WebUI or ComfyUI what it makes."""
    out: Output = ctx.obj
    from stablenew.cli.engines_command import PLACES, write_hook_folder

    if tool not in PLACES:
        raise typer.BadParameter(f"expected one of {', '.join(PLACES)}, found {tool!r}")
    runs_dir = out.controller.run_store.root.resolve()
    written = write_hook_folder(tool, folder, runs_dir)
    is_in_place = written.parent.name == PLACES[tool]
    out.json({"ok": True, "folder": str(written), "runs_dir": str(runs_dir), "in_place": is_in_place})
    out.print(f"written: {written}")
    if not is_in_place:
        out.print(f"copy it into the folder {PLACES[tool]} of {tool}")
    out.print(f"what {tool} saves from its next start on is recorded in {runs_dir}")
    return 0


FOLDER_NAME: Final = "stablenew-recorder"
PLACES: Final = {"webui": "extensions", "comfyui": "custom_nodes"}
"""Where a program looks for such folders."""
_HOOKS: Final = {"webui": "scripts/stablenew_recorder.py", "comfyui": "__init__.py"}


def write_hook_folder(tool: str, target: Path, runs_dir: Path) -> Path:
    """Write the folder that records in `tool`, and say where it is.

    `target` may be the folder of the program itself: then it goes where the program looks for such folders.

    Raises:
        OSError: it cannot be written.
    """
    folder = _choose_place(tool, target) / FOLDER_NAME
    source = files("stablenew.tool_hooks")
    texts = {
        _HOOKS[tool]: source.joinpath(f"{tool}_recorder.py").read_text(encoding="utf-8"),
        "stablenew_bridge.py": source.joinpath("bridge.py").read_text(encoding="utf-8"),
        "stablenew.json": json.dumps({"python": sys.executable, "runs_dir": str(runs_dir.resolve())}, indent=2) + "\n",
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def _choose_place(tool: str, target: Path) -> Path:
    inner = target / PLACES[tool]
    return inner if inner.is_dir() else target
