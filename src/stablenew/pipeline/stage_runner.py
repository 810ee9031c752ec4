"""One variant through its stages: settings resolved, the engine asked, every stage timed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from stablenew.engines.engine import CancelToken, Engine, EngineImage, StageMonitor, StageRequest, StageResult
from stablenew.errors import Cancelled
from stablenew.formats.clock import Clock
from stablenew.formats.documents.pipeline_result import GeneratedImage, VariantPrompt, VariantResult
from stablenew.formats.documents.stage_event import ErrorInfo, StageEvent
from stablenew.formats.pipeline_config import PipelineConfig, StageSettings, settings_to_dict
from stablenew.formats.settings import INHERITED
from stablenew.formats.strict_json import JsonValue, json_safe
from stablenew.pipeline.prompt_pack import PromptPack
from stablenew.pipeline.run_hooks import STAGE_FINISHED, STAGE_PROGRESS, STAGE_STARTED, RunEvent
from stablenew.pipeline.variant_plan import Variant
from stablenew.recording.image_content import build_image
from stablenew.recording.side_channel import attempt, describe


@dataclass(slots=True)
class _Progress:
    """What a variant has come to so far."""

    inputs: tuple[EngineImage, ...] = ()
    input_digests: tuple[str, ...] = ()
    images: list[GeneratedImage] = field(default_factory=list)
    events: list[StageEvent] = field(default_factory=list)
    requested: dict[str, JsonValue] = field(default_factory=dict)
    actual: dict[str, JsonValue] = field(default_factory=dict)
    failure: Exception | None = None
    failed_stage: str | None = None


class StageRunner:
    """Runs variants through an engine. Nothing an engine raises leaves it, but KeyboardInterrupt."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        cancel: CancelToken,
        on_event: Callable[[RunEvent], None],
        *,
        wants_previews: bool = False,
    ) -> None:
        self._engine = engine
        self._wants_previews = wants_previews
        self._clock = clock
        self._cancel = cancel
        self._on_event = on_event

    def run_variant(
        self, run_id: str, config: PipelineConfig, variant: Variant, pack: PromptPack | None
    ) -> VariantResult:
        """Every stage of one variant, until the end, a failure or a wish to stop."""
        started_at, started = self._clock.timestamp(), self._clock.monotonic()
        progress = _Progress()
        effective, progress.failure = attempt(config.with_overrides, variant.overrides)
        for stage, settings in effective.stages if effective else ():
            if not self._run_stage(run_id, variant, stage, settings, progress):
                break
        return VariantResult(
            index=variant.index,
            total=variant.total,
            mode=variant.mode,
            label=variant.label,
            overrides=dict(variant.overrides),
            prompt=_variant_prompt(variant, pack),
            requested=progress.requested or settings_to_dict(config.txt2img),
            actual=progress.actual,
            status=_status_of(progress.failure),
            started_at=started_at,
            finished_at=self._clock.timestamp(),
            duration_seconds=_elapsed(started, self._clock),
            stages=tuple(progress.events),
            images=_with_roles(progress),
            error=_error_info(progress.failure, progress.failed_stage),
        )

    def _run_stage(
        self, run_id: str, variant: Variant, stage: str, settings: StageSettings, progress: _Progress
    ) -> bool:
        """One stage; its images become the inputs of the next. False when the variant ends here."""
        requested = resolve_settings(stage, settings_to_dict(settings), progress)
        request = StageRequest(
            stage=stage,
            settings=_with_whole_seeds(requested),
            prompt=str(requested.get("prompt") or variant.prompt.positive),
            negative_prompt=str(requested.get("negative_prompt") or variant.prompt.negative),
            inputs=progress.inputs,
        )
        event = RunEvent(STAGE_STARTED, run_id, variant.index, variant.total, stage=stage)
        self._on_event(event)
        started_at, started = self._clock.timestamp(), self._clock.monotonic()
        result, failure = attempt(self._ask_engine, request, event)
        failure = failure or (result.failure if result else None)
        stage_event = StageEvent.model_validate(
            {
                "name": stage,
                "status": _status_of(failure),
                "started_at": started_at,
                "finished_at": self._clock.timestamp(),
                "duration_seconds": _elapsed(started, self._clock),
                "input_count": len(request.inputs),
                "output_count": len(result.images) if result else 0,
                "requested": json_safe(requested),
            }
            | ({"actual": json_safe(dict(result.actual))} if result else {})
            | ({"error": info} if (info := _error_info(failure, stage)) else {})
        )
        self._take_in(variant, request, result, failure, progress)
        progress.events.append(stage_event)
        images = result.images if result else ()
        self._on_event(replace(event, kind=STAGE_FINISHED, stage_event=stage_event, images=images))
        return failure is None

    def _ask_engine(self, request: StageRequest, event: RunEvent) -> StageResult:
        self._cancel.raise_if_cancelled()

        def report(fraction: float, preview: EngineImage | None = None) -> None:
            images = (preview,) if preview else ()
            done = min(1.0, max(0.0, fraction))
            self._on_event(replace(event, kind=STAGE_PROGRESS, fraction=done, images=images))

        return self._engine.run_stage(request, StageMonitor(self._cancel, report, wants_previews=self._wants_previews))

    def _take_in(
        self,
        variant: Variant,
        request: StageRequest,
        result: StageResult | None,
        failure: Exception | None,
        progress: _Progress,
    ) -> None:
        stage = request.stage
        if not progress.requested:
            progress.requested = dict(request.settings)
        if failure is not None:
            progress.failure, progress.failed_stage = failure, stage
        if result is None:
            return
        if not progress.actual:
            progress.actual = dict(result.actual)
        made = [
            _build_output(image, variant.index, stage, number, progress.input_digests)
            for number, image in enumerate(result.images)
        ]
        progress.images.extend(made)
        progress.inputs = result.images
        progress.input_digests = tuple(image.reference.digest for image in made)


def resolve_settings(stage: str, own: dict[str, JsonValue], progress: _Progress) -> dict[str, JsonValue]:
    """The settings of a stage with what it leaves open taken from txt2img: the seed as it really was."""
    if stage == "txt2img":
        return own
    inherited = {key: progress.requested.get(key) for key in INHERITED if key in own and own[key] is None}
    if "seed" in own and own["seed"] is None:
        inherited["seed"] = progress.actual.get("seed", progress.requested.get("seed"))
    return own | inherited


def _with_whole_seeds(settings: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Settings with seeds as numbers: beyond 2^53 JSON has them as text, which no engine should meet."""
    seeds = {name: settings[name] for name in ("seed", "subseed") if name in settings}
    return settings | {name: int(value) for name, value in seeds.items() if isinstance(value, str)}


def _build_output(image: EngineImage, variant: int, stage: str, number: int, inputs: tuple[str, ...]) -> GeneratedImage:
    return build_image(
        image.data,
        variant=variant,
        stage=stage,
        number=number,
        media_type=image.media_type,
        size=(image.width, image.height),
        seed=image.seed,
        pixel_digest=image.pixel_digest,
        parents=inputs[image.parent : image.parent + 1] if image.parent is not None else (),
    )


def _with_roles(progress: _Progress) -> tuple[GeneratedImage, ...]:
    """`final` is what a completed variant came to; everything before is `intermediate`."""
    last = progress.events[-1].name if progress.events and progress.failure is None else None
    return tuple(
        replace(
            image,
            reference=image.reference.model_copy(
                update={"role": "final" if image.reference.stage == last else "intermediate"}
            ),
        )
        for image in progress.images
    )


def _status_of(failure: Exception | None) -> str:
    if failure is None:
        return "completed"
    return "cancelled" if isinstance(failure, Cancelled) else "failed"


def _error_info(failure: Exception | None, stage: str | None) -> ErrorInfo | None:
    if failure is None:
        return None
    fields: Mapping[str, JsonValue] = {"message": describe(failure), "type": type(failure).__name__}
    return ErrorInfo.model_validate(json_safe({**fields, **({"stage": stage} if stage else {})}))


def _elapsed(started: float, clock: Clock) -> float:
    return round(max(0.0, clock.monotonic() - started), 6)


def _variant_prompt(variant: Variant, pack: PromptPack | None) -> VariantPrompt:
    prompt = variant.prompt
    return VariantPrompt(
        positive=prompt.positive,
        negative=prompt.negative,
        pack_id=pack.id if pack else None,
        pack_name=pack.name if pack else None,
        prompt_id=prompt.prompt_id,
        loras=prompt.loras,
        embeddings=prompt.embeddings,
    )
