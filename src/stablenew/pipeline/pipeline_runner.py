"""PipelineRunner: a plan of variants, run through an engine, with recording beside it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from stablenew.engines.engine import CancelToken, Engine
from stablenew.errors import ConfigError
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.pipeline_result import GeneratedImage, PipelineRunResult, VariantResult
from stablenew.formats.documents.stage_event import ErrorInfo
from stablenew.formats.pipeline_config import PipelineConfig
from stablenew.formats.run_id import new_run_id
from stablenew.pipeline.prompt_pack import Prompt, PromptPack
from stablenew.pipeline.recorded_plan import Plan
from stablenew.pipeline.run_hooks import (
    RUN_FINISHED,
    RUN_STARTED,
    VARIANT_FINISHED,
    VARIANT_RECORDED,
    VARIANT_STARTED,
    Hook,
    RunEvent,
)
from stablenew.pipeline.stage_runner import StageRunner
from stablenew.pipeline.variant_plan import Variant, VariantPlan
from stablenew.recording.background_recording import RecordingQueue
from stablenew.recording.learning_record_builder import LearningContext, build_learning_record
from stablenew.recording.learning_record_writer import RecordWriter
from stablenew.recording.recording_session import RunDescription, RunRecording, build_source
from stablenew.recording.side_channel import SideChannel
from stablenew.store.run_store import RunStore

CONTINUE: Final = "continue"
STOP: Final = "stop"


@dataclass(slots=True)
class _RunState:
    """A run on its way."""

    run_id: str
    config: PipelineConfig
    plan: Plan
    pack: PromptPack | None
    context: LearningContext
    started_at: str
    started: float
    channel: SideChannel
    recording: RecordingQueue | None = None
    is_cancelled: bool = False
    variants: list[VariantResult] = field(default_factory=list)
    records: list[LearningRecord] = field(default_factory=list)


class PipelineRunner:
    """Runs txt2img → img2img → adetailer → upscale for each variant of a plan.

    Everything beside the engine is optional and a side channel: with a `run_store` the run is recorded there, while the
    next variant is made; each record also goes to `learning_record_writer` and `on_learning_record`, after it is on the
    disk; and `on_event` hears how far things are, with `wants_previews` also what they look like, where the engine can
    say.
    Whatever fails in them is logged, and the result is the same as without them.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        run_store: RunStore | None = None,
        learning_record_writer: RecordWriter | None = None,
        on_learning_record: Callable[[LearningRecord], object] | None = None,
        on_event: Callable[[RunEvent], object] | None = None,
        on_variant_error: str = CONTINUE,
        keep_images: bool = True,
        wants_previews: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if on_variant_error not in {CONTINUE, STOP}:
            raise ConfigError(f"on_variant_error is {CONTINUE!r} or {STOP!r}, found {on_variant_error!r}")
        self._engine = engine
        self._run_store = run_store
        self._on_variant_error = on_variant_error
        self._keep_images = keep_images
        self._wants_previews = wants_previews
        self._clock = clock
        self._record_hook: Hook[LearningRecord] = Hook("a learning record subscriber")
        self._record_hook.subscribe(learning_record_writer.append_record if learning_record_writer else None)
        self._record_hook.subscribe(on_learning_record)
        self._event_hook: Hook[RunEvent] = Hook("a run event subscriber")
        self._event_hook.subscribe(on_event)

    def run(
        self,
        config: PipelineConfig | None = None,
        *,
        pack: PromptPack | None = None,
        plan: Plan | None = None,
        cancel: CancelToken | None = None,
    ) -> PipelineRunResult:
        """Run every variant and say what came of it.

        Without a `plan` the pack's own is made, and without a `pack` the config's prompt is the only variant. Asking
        `cancel` to stop ends the run as cancelled, with every finished variant in it; so does Ctrl-C, which goes on its
        way when the run is sealed.

        Raises:
            ConfigError: there is nothing to run.
        """
        state = self._begin(config or PipelineConfig(), pack, plan)
        stage_runner = StageRunner(
            self._engine,
            self._clock,
            cancel or CancelToken(),
            lambda event: self._emit(state, event),
            wants_previews=self._wants_previews,
        )
        try:
            self._emit(state, RunEvent(RUN_STARTED, state.run_id, total=len(state.plan)))
            for variant in state.plan:
                if not self._run_variant(state, stage_runner, variant):
                    break
        except BaseException:
            self._finish(state, "cancelled")
            raise
        return self._finish(state, "cancelled" if state.is_cancelled else _status_of(state.variants))

    def _begin(self, config: PipelineConfig, pack: PromptPack | None, plan: Plan | None) -> _RunState:
        if plan is None and pack is not None:
            plan = VariantPlan.for_pack(pack)
        if plan is None:
            plan = VariantPlan((Prompt(config.prompt, config.negative_prompt),))
        if not plan:
            raise ConfigError("there is nothing to run: the plan has no variants")
        state = _RunState(
            run_id=config.run_id or new_run_id(self._clock.now()),
            config=config,
            plan=plan,
            pack=pack,
            context=LearningContext(),
            started_at=self._clock.timestamp(),
            started=self._clock.monotonic(),
            channel=SideChannel("recording the run"),
        )
        source = SideChannel("finding out about this machine").call(self._build_source) or {}
        state.context = LearningContext(run_id=state.run_id, source=source)
        if self._run_store is not None:
            state.recording = state.channel.call(self._start_recording, self._run_store, state)
        return state

    def _build_source(self) -> dict[str, object]:
        return build_source(engine=self._engine.info.name, engine_version=self._engine.info.version)

    def _start_recording(self, store: RunStore, state: _RunState) -> RecordingQueue:
        packs = [{"id": state.pack.id, "name": state.pack.name, "digest": state.pack.digest}] if state.pack else []
        description = RunDescription(
            run_id=state.run_id,
            config=state.config.to_dict(),
            source=state.context.source,
            packs=[{key: value for key, value in one.items() if value} for one in packs],
            one_click_action=state.config.one_click_action,
            learning_tags=state.config.learning_tags,
            variant_plan=state.plan.summary().to_dict(),
        )
        return RecordingQueue(RunRecording(store, description, self._clock), state.channel)

    def _run_variant(self, state: _RunState, stage_runner: StageRunner, variant: Variant) -> bool:
        """One variant, recorded. False when no other should follow."""
        event = RunEvent(VARIANT_STARTED, state.run_id, variant.index, variant.total, label=variant.label)
        self._emit(state, event)
        result = stage_runner.run_variant(state.run_id, state.config, variant, state.pack)
        record = None
        if result.status != "cancelled" or result.images:  # what was cut off before its first image left nothing
            record = state.channel.call(build_learning_record, state.config, result, state.context)
            self._keep(state, result, record)
        self._emit(state, replace(event, kind=VARIANT_FINISHED, record=record, status=result.status))
        state.is_cancelled = result.status == "cancelled"
        return result.status == "completed" or (result.status == "failed" and self._on_variant_error == CONTINUE)

    def _keep(self, state: _RunState, result: VariantResult, record: LearningRecord | None) -> None:
        if record is not None:
            state.records.append(record)
            if state.recording is None:
                self._record_hook.emit(record)
            else:
                state.channel.call(state.recording.add_variant, record, result.images)
        state.variants.append(result if self._keep_images else _without_data(result))

    def _emit(self, state: _RunState, event: RunEvent) -> None:
        """Tell of `event`, and before it of the records that the disk has taken or refused since the last one."""
        for record, is_recorded in state.recording.take_settled() if state.recording is not None else ():
            self._record_hook.emit(record)
            if is_recorded:
                index, total = record.variant.index, len(state.plan)
                self._event_hook.emit(RunEvent(VARIANT_RECORDED, state.run_id, index, total, record=record))
        self._event_hook.emit(event)

    def _finish(self, state: _RunState, status: str) -> PipelineRunResult:
        error = _first_error(state.variants)
        run = None
        if state.recording is not None:
            state.channel.call(state.recording.finish, status, error)
            run = state.recording.run
        self._emit(state, RunEvent(RUN_FINISHED, state.run_id, total=len(state.plan), status=status))
        return PipelineRunResult(
            run_id=state.run_id,
            status=status,
            started_at=state.started_at,
            finished_at=self._clock.timestamp(),
            duration_seconds=round(max(0.0, self._clock.monotonic() - state.started), 6),
            plan_size=len(state.plan),
            mode=state.plan.mode,
            variants=tuple(state.variants),
            records=tuple(state.records),
            error=error,
            run_path=str(run.path) if run is not None else None,
            recording_error=state.channel.summary(),
        )


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
