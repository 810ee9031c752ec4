"""`stablenew demo`: record a sample job, and say what to try next."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stablenew.cli.console import Output, format_bytes
from stablenew.cli.run_command import run_plan
from stablenew.cli.run_result import exit_code, show_result
from stablenew.cli.table import Column

if TYPE_CHECKING:
    from stablenew.store.run import Run

SWEEP_VALUES = (4, 7, 12)

_MEANING = {
    "run_metadata.json": "what was asked, and what came of it",
    "records.jsonl": "one executed variant a line: requested and actual settings",
    "outputs": "the images, named by what they hold",
    "SHA256SUMS": "the seal: `sha256sum -c SHA256SUMS` checks the run without us",
}


def demo(ctx: typer.Context) -> int:
    """Record a sample job and show what came out."""
    out: Output = ctx.obj
    from stablenew.formats.pipeline_config import PipelineConfig
    from stablenew.pipeline.pack_library import read_sample_pack
    from stablenew.pipeline.randomizer import SWEEP, Axis
    from stablenew.pipeline.variant_plan import VariantPlan

    pack = read_sample_pack()
    config = PipelineConfig(
        **pack.preset, learning_enabled=True, one_click_action="demo", learning_tags=("experiment:cfg_scale",)
    )
    plan = VariantPlan.for_pack(pack, sweeps=[Axis(SWEEP, "txt2img.cfg_scale", SWEEP_VALUES)])
    out.print("Drawing six small pictures with the built-in sketch engine: no GPU, no download.\n")
    result = run_plan(out, config, pack, plan, is_recorded=True, engine="sketch")
    show_result(out, result)
    if result.run_path:
        run = out.controller.run_store.open(result.run_id)
        _show_folder(out, run)
        _show_next_steps(out, run)
    return exit_code(result)


def _show_folder(out: Output, run: "Run") -> None:
    out.print("\nIt holds")
    rows = [
        (f"  {name}{'/' if (run.path / name).is_dir() else ''}", _size_of(run.path / name), meaning)
        for name, meaning in _MEANING.items()
    ]
    out.table(["  file", Column("size", is_right=True), Column("what it is", is_wrapped=True)], rows)


def _size_of(path: Path) -> str:
    if path.is_dir():
        return format_bytes(sum(file.stat().st_size for file in path.iterdir()))
    return format_bytes(path.stat().st_size)


def _show_next_steps(out: Output, run: "Run") -> None:
    where = "" if out.runs_dir is None else f" --runs-dir {out.runs_dir}"
    out.print("\nTry next")
    out.table(
        ["", Column(is_wrapped=True)],
        [
            (f"  stablenew serve{where}", "look at them, rate them, and bring in the images you have (Import)"),
            (f"  stablenew show {run.run_id[:19]}{where}", "what was asked, what ran, what came out"),
            (f"  stablenew verify latest{where}", "is every byte still what was recorded?"),
            ("  stablenew config set learning_enabled true", "record your own runs from now on"),
        ],
    )
