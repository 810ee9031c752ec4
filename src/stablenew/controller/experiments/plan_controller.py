"""PlanController: a learning plan, wired to the pipeline that runs it and to the store that remembers it."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew.disk.atomic_file import write_once
from stablenew.disk.regular_file import read_regular
from stablenew.errors import ConfigError, FormatError, InvalidDocument, OutputNotFound
from stablenew.formats.clock import SYSTEM_CLOCK, Clock, format_timestamp
from stablenew.formats.documents.feedback import Opinion
from stablenew.formats.documents.learning_plan import (
    GRID,
    PRESETS,
    SWEEP,
    LearningPlan,
    LearningRunResult,
    LearningRunStep,
    step_of,
)
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.image_files import MAX_IMAGE_BYTES
from stablenew.formats.json_safe import json_safe
from stablenew.formats.pipeline_config import PipelineConfig, standard_setting
from stablenew.formats.strict_json import JsonValue
from stablenew.learning.learning_runner import LearningRunner
from stablenew.learning.plans.result_sheet import SheetImage
from stablenew.pipeline.prompt_pack import Prompt, PromptPack
from stablenew.pipeline.randomizer import SWEEP as SWEEP_AXIS
from stablenew.pipeline.randomizer import Axis
from stablenew.pipeline.recorded_plan import RecordedPlan
from stablenew.pipeline.variant_plan import FANOUT, Variant
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.output_access import open_output
from stablenew.store.run import Run, final_outputs
from stablenew.store.run_folder import SEALED

if TYPE_CHECKING:
    from stablenew.controller.app_controller import AppController
    from stablenew.formats.documents.pipeline_result import PipelineRunResult

MAX_PLAN_BYTES = 16 * 1024 * 1024

RunPipeline = Callable[[PipelineConfig, RecordedPlan], "PipelineRunResult"]


def build_plan(
    name: str,
    config: PipelineConfig,
    prompts: Sequence[Prompt],
    *,
    sweeps: Sequence[tuple[str, Sequence[JsonValue]]] = (),
    presets: Sequence[tuple[str, dict[str, JsonValue]]] = (),
    seeds: Sequence[int] = (1,),
    engine: str | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> LearningPlan:
    """A new plan: one sweep, a grid of two, or presets.

    Raises:
        ConfigError: a setting that does not exist or does not fit, or nothing to compare.
    """
    if bool(sweeps) == bool(presets) or len(sweeps) > 2:
        raise ConfigError("a plan varies one setting, two settings, or compares presets")
    axes = [{"name": standard_setting(setting), "values": list(values)} for setting, values in sweeps]
    try:
        plan = LearningPlan.from_dict(
            {
                "kind": LearningPlan.KIND,
                "schema_version": "1.0",
                "name": name,
                "created_at": format_timestamp(clock.now()),
                "method": PRESETS if presets else GRID if len(sweeps) == 2 else SWEEP,
                "config": json_safe(config.to_dict()),
                "prompts": [_describe_prompt(prompt) for prompt in prompts],
                "seeds": json_safe(list(seeds)),
                "axes": axes,
                "presets": [{"name": name, "overrides": overrides} for name, overrides in presets],
                **({} if engine is None else {"engine": engine}),
            }
        )
        plan.check()
    except InvalidDocument as error:
        raise ConfigError(str(error)) from None
    for cell in plan.cells:
        config.with_overrides(cell.overrides)
    return plan


def _describe_prompt(prompt: Prompt) -> dict[str, str]:
    fields = {"positive": prompt.positive, "negative": prompt.negative, "prompt_id": prompt.prompt_id}
    return {name: value for name, value in fields.items() if value}


def save_plan(plan: LearningPlan, path: Path) -> None:
    """Write a plan to a file of its own.

    Raises:
        FileExistsError: something is there already.
        WriteFailed: the disk would not take it.
    """
    write_once(path, plan.encode_document())


def load_plan(path: Path) -> LearningPlan:
    """The plan in a file.

    Raises:
        ConfigError: there is none that can be read.
    """
    try:
        plan = LearningPlan.from_json(read_regular(path, MAX_PLAN_BYTES))
        plan.check()
    except OSError as error:
        raise ConfigError(f"no plan in {path}: {error.strerror}; `stablenew plan new` makes one") from None
    except FormatError as error:
        raise ConfigError(f"{path}: {error}") from None
    return plan


class PlanController:
    """One plan in one store."""

    def __init__(self, app: "AppController", plan: LearningPlan) -> None:
        self._app = app
        self.plan = plan

    def build_runner(self, run: RunPipeline) -> LearningRunner:
        """What works through the plan; `run` runs a pipeline over some variants."""
        return LearningRunner(
            self.plan, run_step=lambda step: self._run_step(step, run), find_results=self.find_results
        )

    def _run_step(self, step: LearningRunStep, run: RunPipeline) -> LearningRunResult:
        result = run(self.build_config(step), self.build_variants(step))
        return LearningRunResult(step.number, result.run_id, result.status)

    def build_config(self, step: LearningRunStep) -> PipelineConfig:
        """The config of a step's run; its tags say what it belongs to."""
        config = PipelineConfig.from_dict(self.plan.config).with_overrides({"txt2img.seed": step.seed})
        return config.model_copy(update={"learning_tags": (*config.learning_tags, *step.tags)})

    def build_variants(self, step: LearningRunStep) -> RecordedPlan:
        """Every cell of the plan as a variant of one run."""
        prompt = Prompt(step.prompt.positive, step.prompt.negative or "", step.prompt.prompt_id)
        cells = self.plan.cells
        variants = (Variant(cell.number, len(cells), FANOUT, prompt, cell.label, cell.overrides) for cell in cells)
        axes = tuple(Axis(SWEEP_AXIS, axis.name, tuple(axis.values)) for axis in self.plan.axes)
        return RecordedPlan(tuple(variants), axes, FANOUT)

    def find_results(self) -> Iterator[LearningRunResult]:
        """Every run of the plan that there is, from the store alone."""
        for step, run in self._iter_runs():
            yield LearningRunResult(step, run.run_id, run.status)

    def _iter_runs(self) -> Iterator[tuple[int, Run]]:
        self._app.history.refresh(is_patient=True)
        for run_id in sorted(self._app.history.run_ids(f'tag:"{self.plan.tag}"')):
            run = self._app.run_store.open(run_id)
            try:
                step = step_of(run.metadata.learning_tags or ())
            except (OSError, ValueError):
                continue
            if step is not None and self.plan.tag in (run.metadata.learning_tags or ()):
                yield step, run

    def read_cells(self) -> dict[tuple[int, int], SheetImage]:
        """The images of the steps that are done, with the mean of their ratings; those removed since are left out."""
        cells = {}
        for step, run in self._iter_runs():
            if run.state != SEALED:
                continue
            opinions = FeedbackLog(run.path).read().build_document().state.images
            for record in run.iter_records():
                for output in final_outputs(record)[:1]:
                    with contextlib.suppress(OutputNotFound):
                        image = _read_image(run, output, opinions.get(output.digest, {}).values())
                        cells[step, record.variant.index] = image
        return cells


def _read_image(run: Run, output: OutputReference, opinions: Iterable[Opinion]) -> SheetImage:
    with open_output(run, output) as file:
        data = file.read(MAX_IMAGE_BYTES)
    stars = [opinion.rating for opinion in opinions if opinion.rating is not None]
    return SheetImage(data, sum(stars) / len(stars) if stars else None)


def prompts_of(pack: PromptPack) -> tuple[Prompt, ...]:
    """The prompts of a pack, as a plan takes them: without what it would vary itself.

    Raises:
        ConfigError: something in them is still open; a plan varies settings and nothing else.
    """
    if pack.axes:
        names = ", ".join(axis.token for axis in pack.axes)
        raise ConfigError(f"pack {pack.name} varies {names} by itself; give a plan prompts that stand as they are")
    return pack.prompts
