"""PipelineRunner: a plan of variants, run through an engine, with recording beside it."""

from collections.abc import Callable

from stablenew.engines.engine import Engine
from stablenew.errors import ConfigError
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.pipeline_result import PipelineRunResult
from stablenew.formats.pipeline_config import PipelineConfig
from stablenew.pipeline.pipeline_run import PipelineRun
from stablenew.pipeline.prompt_pack import Prompt, PromptPack
from stablenew.pipeline.recorded_plan import Plan
from stablenew.pipeline.run_options import RunOptions
from stablenew.pipeline.variant_plan import VariantPlan
from stablenew.recording.learning_record_writer import RecordWriter
from stablenew.recording.side_channel import Hook
from stablenew.store.run_store import RunStore


class PipelineRunner:
    """Runs txt2img → img2img → adetailer → upscale for each variant of a plan.

    Everything beside the engine is optional and a side channel: with a `run_store` the run is recorded there while the
    next variant is made, and each record also goes to `learning_record_writer` and `on_learning_record` once it is on
    the disk. What fails in them is logged, and the images are the same as without them.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        run_store: RunStore | None = None,
        learning_record_writer: RecordWriter | None = None,
        on_learning_record: Callable[[LearningRecord], object] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._engine = engine
        self._run_store = run_store
        self._clock = clock
        self._record_hook: Hook[LearningRecord] = Hook("a learning record listener")
        self._record_hook.subscribe(learning_record_writer.append_record if learning_record_writer else None)
        self._record_hook.subscribe(on_learning_record)

    def run(
        self,
        config: PipelineConfig | None = None,
        *,
        pack: PromptPack | None = None,
        plan: Plan | None = None,
        options: RunOptions | None = None,
    ) -> PipelineRunResult:
        """Run every variant and return what it made.

        Without a `plan` the pack's own is made, and without a `pack` the config's prompt is the only variant. Ctrl-C
        ends the run as cancelled, and is raised again when the run is sealed.

        Raises:
            ConfigError: there is nothing to run.
        """
        config = config or PipelineConfig()
        run = PipelineRun(
            config,
            _plan_of(config, pack, plan),
            self._engine,
            pack=pack,
            options=options or RunOptions(),
            store=self._run_store,
            record_hook=self._record_hook,
            clock=self._clock,
        )
        return run.run()


def _plan_of(config: PipelineConfig, pack: PromptPack | None, plan: Plan | None) -> Plan:
    if plan is None and pack is not None:
        plan = VariantPlan.for_pack(pack)
    if plan is None:
        plan = VariantPlan((Prompt(config.prompt, config.negative_prompt),))
    if not plan:
        raise ConfigError("there is nothing to run: the plan has no variants")
    return plan
