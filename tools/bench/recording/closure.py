"""What finding out the closure of a run costs with the hashes of its files known: `python closure.py [IMAGES] [RUNS]`.

A run of the sketch engine with a variant an image, and with three model files to name and to find the hashes of. The
closure is looked for in a thread beside the run, once for each variant at most: processor time of that thread and of
the last step at the end, of the processor time of the whole process. A comparison with runs without it says less: two
runs of the same kind differ by more than it costs.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stablenew import PipelineConfig, PipelineController, SketchEngine
from stablenew.engines.dependencies import Dependencies, UsedFile
from stablenew.pipeline.prompt_pack import Prompt
from stablenew.pipeline.randomizer import SWEEP, Axis
from stablenew.pipeline.run_closure import ClosureWatch
from stablenew.pipeline.run_options import RunOptions
from stablenew.pipeline.variant_plan import VariantPlan
from stablenew.store.file_hashes import find_sha256, identify_file

SIDE = 256
FILE_BYTES = 64 * 1024 * 1024
spent: list[float] = []
"""Processor time of each step of finding it out."""


class TracedSketch(SketchEngine):
    """The sketch engine with files that its images are said to depend on."""

    def __init__(self, files: list[Path]) -> None:
        super().__init__()
        self._files = files

    def find_dependencies(self) -> Dependencies:
        """Three files, and what the sketch engine depends on itself."""
        used = tuple(UsedFile(path.name, "checkpoint", path) for path in self._files)
        return Dependencies(files=used, versions=super().find_dependencies().versions)


def timed(step: Callable[..., Any]) -> Callable[..., Any]:
    """The same step, which notes its processor time."""

    def run(*values: Any) -> Any:
        began = time.thread_time()
        try:
            return step(*values)
        finally:
            spent.append(time.thread_time() - began)

    return run


def main(count: int = 100, runs: int = 5) -> None:
    """Print the share of the run."""
    for name in ("_ask", "close"):
        setattr(ClosureWatch, name, timed(getattr(ClosureWatch, name)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["STABLENEW_STATE_DIR"] = str(folder / "state")
        files = make_files(folder)
        found = [run_once(folder / str(number), TracedSketch(files), count) for number in range(runs + 1)][1:]
    shares = sorted(closure / whole for whole, closure in found)
    whole, closure = (statistics.median(values) for values in zip(*found, strict=True))
    print(f"{count} images: {whole:.2f} s of processor time, {closure * 1000:.1f} ms of it for the closure (medians)")
    print(f"share {statistics.median(shares):.2%}, from {shares[0]:.2%} to {shares[-1]:.2%}")


def make_files(folder: Path) -> list[Path]:
    """Files of which the hash is known before anything is measured."""
    files = [folder / f"model{number}.safetensors" for number in range(3)]
    for path in files:
        path.write_bytes(os.urandom(FILE_BYTES))
    known: list[str] = []
    while len(known) < len(files) or "pending" in known:
        time.sleep(0.2)
        known = list(find_sha256([identify_file(path) for path in files]).values())
    return files


def run_once(root: Path, engine: SketchEngine, count: int) -> tuple[float, float]:
    """The processor time of one run, and that of finding out its closure."""
    config = PipelineConfig(txt2img={"width": SIDE, "height": SIDE})
    plan = VariantPlan((Prompt("a quiet harbour"),), sweeps=(Axis(SWEEP, "txt2img.seed", tuple(range(count))),))
    spent.clear()
    began = time.process_time()
    options = RunOptions(learning=True, keep_images=False)
    result = PipelineController(engine=engine, runs_dir=root).run(config, plan=plan, options=options)
    assert result.succeeded, result.error
    assert len(spent) > 1, "nothing was looked for"
    return time.process_time() - began, sum(spent)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
