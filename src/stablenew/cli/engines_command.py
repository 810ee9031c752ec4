"""`stablenew engines`: what can make images, whether it is ready, and hooks to record inside other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stablenew.cli.console import Output
from stablenew.cli.table import Column
from stablenew.errors import FAILURE

if TYPE_CHECKING:
    from stablenew.engines.engine import EngineCheck

app = typer.Typer(help="Engines that make images. Without a command, list them.", invoke_without_command=True)

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
    out.json([{**engine, "is_default": engine["name"] == default} for engine in found])
    out.table(
        ["engine", "", Column("what it is", is_wrapped=True)],
        [(engine["name"], "default" if engine["name"] == default else "", engine["description"]) for engine in found],
    )
    return 0


@app.command()
def check(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[ENGINE]", help="The engine; as --engine names it.")] = None,
    engine: Annotated[str | None, typer.Option(help="The engine; by default the one in the settings.")] = None,
    url: Annotated[str | None, typer.Option(help="The address of its server.")] = None,
) -> int:
    """Check whether an engine responds, what it offers, and what will not work."""
    out: Output = ctx.obj
    from stablenew.engines.engine import Checkable, EngineCheck

    opened = out.controller.open_engine(name or engine, url)
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
    from stablenew.engines.comfyui.bindings import describe_bindings, find_bindings
    from stablenew.engines.comfyui.graph import describe_node, read_graph, read_value

    graph = read_graph(file.read_bytes(), str(file))
    found = find_bindings(graph)
    settings = {**found.places, **found.undecided}
    values = {name: [read_value(graph, place) for place in places] for name, places in settings.items()}
    out.json(describe_bindings(graph, found))
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


_Tool = Annotated[str, typer.Argument(metavar="webui|comfyui", help="The program to record in.")]


@app.command()
def install(
    ctx: typer.Context,
    tool: _Tool,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The program's folder.")],
    to_copy: Annotated[
        bool, typer.Option("--to-copy", help="DIR is any folder: copy what is written there into the program yourself.")
    ] = False,
) -> int:
    """Install the extension that records what a WebUI or ComfyUI makes."""
    out: Output = ctx.obj
    from stablenew.cli.hook_folder import TOOLS, find_place, write_hook_folder

    _check_tool(tool)
    runs_dir = out.controller.run_store.root.resolve()
    written = write_hook_folder(tool, folder if to_copy else find_place(tool, folder), runs_dir)
    out.json({"ok": True, "folder": str(written), "runs_dir": str(runs_dir), "in_place": not to_copy})
    out.print(f"written: {written}")
    if to_copy:
        out.print(f"copy it into the folder {TOOLS[tool].place} of {tool}")
    out.print(f"what {tool} saves from its next start on is recorded in {runs_dir}")
    return 0


@app.command()
def uninstall(
    ctx: typer.Context,
    tool: _Tool,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The program's folder.")],
) -> int:
    """Remove what `install` wrote. What was recorded stays."""
    out: Output = ctx.obj
    from stablenew.cli.hook_folder import remove_hook_folder

    _check_tool(tool)
    removed, left = remove_hook_folder(tool, folder)
    out.json({"ok": True, "folder": str(removed), "left": left})
    out.print(f"removed: {removed}")
    if left:
        out.warn(f"left in {removed}, because it is not ours: {', '.join(left)}")
    out.print(f"{tool} records nothing from its next start on; what was recorded stays")
    return 0


@app.command()
def watch(
    ctx: typer.Context,
    url: Annotated[str, typer.Option(help="The address of InvokeAI.")] = "",
) -> int:
    """Record what InvokeAI's queue makes from now on, until Ctrl-C."""
    out: Output = ctx.obj
    import sys
    import threading

    from stablenew.cli.console import heed_interrupts
    from stablenew.cli.streams import write_json
    from stablenew.controller.recorders.invokeai_queue import InvokeAIQueueRecorder
    from stablenew.store.run import Run

    def show(run: Run) -> None:
        outputs = sum(len(record.outputs) for record in run.iter_records())
        if out.is_json:
            write_json({"run_id": run.run_id, "status": run.metadata.status, "outputs": outputs})
        out.print(f"{run.run_id}  {run.metadata.status}  {outputs} images")
        sys.stdout.flush()

    heed_interrupts()
    recorder = InvokeAIQueueRecorder(out.controller.run_store, url)
    recorder.look()
    out.print(f"watching {recorder.url}; what it makes is recorded in {out.controller.run_store.root}; Ctrl-C ends it")
    try:
        recorder.watch(threading.Event(), show)
    except KeyboardInterrupt:
        return 0
    return 0


def _check_tool(tool: str) -> None:
    from stablenew.cli.hook_folder import TOOLS

    if tool not in TOOLS:
        raise typer.BadParameter(f"expected one of {', '.join(TOOLS)}, found {tool!r}")
