"""PipelineRunner: a plan of variants, run through an engine, with recording beside it.

A PipelineRun is one run in progress, from its first event to its result.
"""

from collections.abc import Callable
from dataclasses import replace

from stablenew.engines.engine import CancelToken, Engine
from stablenew.errors import ConfigError
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.pipeline_result import GeneratedImage, PipelineRunResult, VariantResult
from stablenew.formats.documents.stage_event import ErrorInfo
from stablenew.formats.pipeline_config import PipelineConfig
from stablenew.formats.run_id import new_run_id
from stablenew.formats.strict_json import JsonValue
from stablenew.pipeline.prompt_pack import Prompt, PromptPack
from stablenew.pipeline.recorded_plan import Plan, RecordedPlan
from stablenew.pipeline.run_closure import ClosureWatch
from stablenew.pipeline.run_options import (
    CONTINUE,
    RUN_FINISHED,
    RUN_STARTED,
    VARIANT_FINISHED,
    VARIANT_RECORDED,
    VARIANT_STARTED,
    RunEvent,
    RunOptions,
)
from stablenew.pipeline.variant_plan import Variant, VariantPlan
from stablenew.pipeline.variant_run import VariantRun
from stablenew.recording.background_recording import BackgroundRecording
from stablenew.recording.learning_record_builder import LearningContext, build_learning_record
from stablenew.recording.learning_record_writer import RecordWriter
from stablenew.recording.new_run import RunDescription, build_source
from stablenew.recording.recording_session import RecordingSession
from stablenew.recording.side_channel import Hook, SideChannel, attempt, describe
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


class PipelineRun:
    """A run in progress. It is run once."""

    def __init__(
        self,
        config: PipelineConfig,
        plan: Plan,
        engine: Engine,
        *,
        pack: PromptPack | None,
        options: RunOptions,
        store: RunStore | None,
        record_hook: Hook[LearningRecord],
        clock: Clock,
    ) -> None:
        self.run_id = config.run_id or new_run_id(clock.now())
        self._config = config
        self._plan = plan
        self._engine = engine
        self._pack = pack
        self._options = options
        self._cancel = options.cancel or CancelToken()
        self._interruption: ErrorInfo | None = None
        self._clock = clock
        self._started_at, self._started = clock.timestamp(), clock.monotonic()
        self._record_hook = record_hook
        self._event_hook: Hook[RunEvent] = Hook("a run event listener")
        self._event_hook.subscribe(options.on_event)
        self._variants: list[VariantResult] = []
        self._records: dict[int, LearningRecord] = {}
        self._has_own_defaults = False
        source = SideChannel("finding out about this machine").call(self._build_source) or {}
        parent = {"parent_run_id": plan.parent_run_id} if isinstance(plan, RecordedPlan) and plan.parent_run_id else {}
        self._context = LearningContext(run_id=self.run_id, source=source, correlation=parent)
        self._closure_watch = ClosureWatch(engine if store is not None or parent else None)
        self._channel = SideChannel("recording the run")
        self._is_learning = store is not None or bool(record_hook)
        self._recording = self._channel.call(self._start_recording, store) if store is not None else None

    def _build_source(self) -> dict[str, JsonValue]:
        info = self._engine.info  # a server is asked for it
        self._has_own_defaults = info.has_own_defaults
        return build_source(engine=info.name, engine_version=info.version, engine_url=info.url)

    def _start_recording(self, store: RunStore) -> BackgroundRecording:
        description = RunDescription(
            run_id=self.run_id,
            config=self._config.to_dict(),
            source=self._context.source,
            packs=[_pack_reference(self._pack)] if self._pack else [],
            one_click_action=self._config.one_click_action,
            learning_tags=self._config.learning_tags,
            correlation=self._context.correlation,
            variant_plan=self._plan.summary().to_dict(),
        )
        return BackgroundRecording(RecordingSession(store, description, self._clock), self._channel)

    def run(self) -> PipelineRunResult:
        """Run the variants in order until the end, a wish to stop, or a failure that should end the run."""
        try:
            self._emit(RunEvent(RUN_STARTED, self.run_id, total=len(self._plan)))
            status = None
            for variant in self._plan:
                status = self._run_variant(variant)
                if status == "cancelled" or (status == "failed" and self._options.on_variant_error != CONTINUE):
                    break
        except BaseException:
            self._finish("cancelled")
            raise
        return self._finish("cancelled" if status == "cancelled" else _status_of(self._variants))

    def _run_variant(self, variant: Variant) -> str:
        """Run and record one variant; returns its status."""
        event = RunEvent(VARIANT_STARTED, self.run_id, variant.index, variant.total, label=variant.label)
        self._emit(event)
        result = VariantRun(
            self._engine,
            variant,
            run_id=self.run_id,
            pack=self._pack,
            clock=self._clock,
            cancel=self._cancel,
            on_event=self._emit,
            wants_previews=self._options.wants_previews,
            has_own_defaults=self._has_own_defaults,
        ).run(self._config)
        record = None
        if result.status != "cancelled" or result.images:  # a variant cut off before its first image left nothing
            record = self._build_record(result) if self._is_learning else None
            self._keep(result, record)
        elif not self._cancel.is_cancelled:
            self._interruption = result.error  # somebody else stopped it, which nobody here knows
        self._closure_watch.look()
        self._emit(replace(event, kind=VARIANT_FINISHED, record=record, status=result.status))
        return result.status

    def _build_record(self, result: VariantResult) -> LearningRecord | None:
        record, failure = attempt(build_learning_record, self._config, result, self._context)
        if failure is not None:
            self._channel.note(failure)
            if self._recording is not None:
                self._recording.note_unrecorded(result.index, describe(failure))
        return record

    def _keep(self, result: VariantResult, record: LearningRecord | None) -> None:
        if record is not None:
            self._records[result.index] = record
            if self._recording is None:
                self._record_hook.emit(record)
            else:
                self._channel.call(self._recording.add_variant, record, result.images)
        self._variants.append(result if self._options.keep_images else _without_data(result))

    def _emit(self, event: RunEvent) -> None:
        """Report `event`, and before it the records that the disk has accepted or refused since the last one."""
        for record, is_recorded in self._recording.pop_settled() if self._recording is not None else ():
            self._records[record.variant.index] = record
            self._record_hook.emit(record)
            if is_recorded:
                index, total = record.variant.index, len(self._plan)
                self._event_hook.emit(RunEvent(VARIANT_RECORDED, self.run_id, index, total, record=record))
        self._event_hook.emit(event)

    def _finish(self, status: str) -> PipelineRunResult:
        error = _first_error(self._variants) or self._interruption
        run = None
        closure = self._closure_watch.close(self.run_id)
        if self._recording is not None:
            self._channel.call(self._recording.finish, status, error, closure)
            run = self._recording.run
        self._emit(RunEvent(RUN_FINISHED, self.run_id, total=len(self._plan), status=status))
        return PipelineRunResult(
            run_id=self.run_id,
            status=status,
            started_at=self._started_at,
            finished_at=self._clock.timestamp(),
            duration_seconds=round(max(0.0, self._clock.monotonic() - self._started), 6),
            plan_size=len(self._plan),
            mode=self._plan.mode,
            variants=tuple(self._variants),
            records=tuple(self._records.values()),
            error=error,
            run_path=str(run.path) if run is not None else None,
            recording_error=self._channel.summary(),
            closure=closure,
        )


def _pack_reference(pack: PromptPack) -> dict[str, JsonValue]:
    fields = {"id": pack.id, "name": pack.name, "digest": pack.digest}
    return {key: value for key, value in fields.items() if value}


def _without_data(result: VariantResult) -> VariantResult:
    images: tuple[GeneratedImage, ...] = tuple(image.without_data() for image in result.images)
    return replace(result, images=images)


def _status_of(variants: list[VariantResult]) -> str:
    statuses = {variant.status for variant in variants}
    if statuses == {"completed"}:
        return "completed"
    return "partial" if "completed" in statuses else "failed"


def _first_error(variants: list[VariantResult]) -> ErrorInfo | None:
    return next((variant.error for variant in variants if variant.error and variant.status == "failed"), None)
