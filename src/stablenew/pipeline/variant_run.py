"""VariantRun: one variant on its way through the stages."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from stablenew.engines.engine import CancelToken, Engine, EngineImage, StageMonitor, StageRequest, StageResult
from stablenew.errors import Cancelled
from stablenew.formats.clock import Clock
from stablenew.formats.documents.pipeline_result import GeneratedImage, VariantPrompt, VariantResult
from stablenew.formats.documents.stage_event import ErrorInfo, StageEvent
from stablenew.formats.json_safe import json_safe
from stablenew.formats.pipeline_config import PipelineConfig, StageSettings, asked_settings, settings_to_dict
from stablenew.formats.settings import INHERITED
from stablenew.formats.strict_json import JsonValue
from stablenew.pipeline.prompt_pack import PromptPack
from stablenew.pipeline.run_options import STAGE_FINISHED, STAGE_PROGRESS, STAGE_STARTED, RunEvent
from stablenew.pipeline.variant_plan import Variant
from stablenew.recording.image_content import build_image
from stablenew.recording.side_channel import attempt, describe


class VariantRun:
    """One variant in progress. Nothing an engine raises leaves it, except KeyboardInterrupt."""

    def __init__(
        self,
        engine: Engine,
        variant: Variant,
        *,
        run_id: str,
        pack: PromptPack | None,
        clock: Clock,
        cancel: CancelToken,
        on_event: Callable[[RunEvent], None],
        wants_previews: bool = False,
        has_own_defaults: bool = False,
    ) -> None:
        self._engine = engine
        self._variant = variant
        self._run_id = run_id
        self._pack = pack
        self._clock = clock
        self._cancel = cancel
        self._on_event = on_event
        self._wants_previews = wants_previews
        self._has_own_defaults = has_own_defaults
        self._inputs: tuple[EngineImage, ...] = ()
        self._input_digests: tuple[str, ...] = ()
        self._images: list[GeneratedImage] = []
        self._events: list[StageEvent] = []
        self._requested: dict[str, JsonValue] = {}
        self._actual: dict[str, JsonValue] = {}
        self._notices: dict[str, None] = {}
        self._failure: Exception | None = None
        self._failed_stage: str | None = None

    def run(self, config: PipelineConfig) -> VariantResult:
        """Run every stage until the end, a failure or a wish to stop."""
        variant = self._variant
        started_at, started = self._clock.timestamp(), self._clock.monotonic()
        effective, self._failure = attempt(config.with_overrides, variant.overrides)
        for stage, settings in effective.stages if effective else ():
            if not self._run_stage(stage, settings):
                break
        return VariantResult(
            index=variant.index,
            total=variant.total,
            mode=variant.mode,
            label=variant.label,
            overrides=dict(variant.overrides),
            prompt=_variant_prompt(variant, self._pack),
            requested=self._requested or self._read_settings(config.txt2img),
            actual=self._actual,
            status=_status_of(self._failure),
            started_at=started_at,
            finished_at=self._clock.timestamp(),
            duration_seconds=_elapsed(started, self._clock),
            stages=tuple(self._events),
            images=self._images_with_roles(),
            error=_error_info(self._failure, self._failed_stage),
            notices=tuple(self._notices),
        )

    def _run_stage(self, stage: str, settings: StageSettings) -> bool:
        """Run one stage; its images become the inputs of the next. False when the variant ends here."""
        request = self._build_request(stage, self._read_settings(settings))
        event = RunEvent(STAGE_STARTED, self._run_id, self._variant.index, self._variant.total, stage=stage)
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
                "requested": json_safe(dict(request.settings)),
            }
            | ({"actual": json_safe(_with_notices(result))} if result else {})
            | ({"error": info} if (info := _error_info(failure, stage)) else {})
        )
        self._keep(request, result, failure)
        self._events.append(stage_event)
        images = result.images if result else ()
        self._on_event(replace(event, kind=STAGE_FINISHED, stage_event=stage_event, images=images))
        return failure is None

    def _read_settings(self, settings: StageSettings) -> dict[str, JsonValue]:
        """A stage's settings; for a program with defaults of its own only those that somebody asked for."""
        return (asked_settings if self._has_own_defaults else settings_to_dict)(settings)

    def _build_request(self, stage: str, own: dict[str, JsonValue]) -> StageRequest:
        settings = self._resolve_settings(stage, own)
        prompt = self._variant.prompt
        return StageRequest(
            stage=stage,
            settings=_with_whole_seeds(settings),
            prompt=str(settings.get("prompt") or prompt.positive),
            negative_prompt=str(settings.get("negative_prompt") or prompt.negative),
            inputs=self._inputs,
        )

    def _resolve_settings(self, stage: str, own: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """The settings of a stage; those it leaves open come from txt2img, the seed as it really was."""
        if stage == "txt2img":
            return own
        inherited = {key: self._requested.get(key) for key in INHERITED if key in own and own[key] is None}
        if "seed" in own and own["seed"] is None:
            inherited["seed"] = self._actual.get("seed", self._requested.get("seed"))
        return own | inherited

    def _ask_engine(self, request: StageRequest, event: RunEvent) -> StageResult:
        self._cancel.raise_if_cancelled()

        def report(fraction: float, preview: EngineImage | None = None) -> None:
            images = (preview,) if preview else ()
            done = min(1.0, max(0.0, fraction))
            self._on_event(replace(event, kind=STAGE_PROGRESS, fraction=done, images=images))

        return self._engine.run_stage(request, StageMonitor(self._cancel, report, wants_previews=self._wants_previews))

    def _keep(self, request: StageRequest, result: StageResult | None, failure: Exception | None) -> None:
        """Keep what a stage made: its images are outputs of the variant and the inputs of the next stage."""
        if not self._requested:
            self._requested = dict(request.settings)
        if failure is not None:
            self._failure, self._failed_stage = failure, request.stage
        if result is None:
            return
        if not self._actual:
            self._actual = dict(result.actual)
        self._notices |= dict.fromkeys(result.notices)
        made = [self._build_output(image, request.stage, number) for number, image in enumerate(result.images)]
        self._images.extend(made)
        self._inputs = result.images
        self._input_digests = tuple(image.reference.digest for image in made)

    def _build_output(self, image: EngineImage, stage: str, number: int) -> GeneratedImage:
        parents = self._input_digests[image.parent : image.parent + 1] if image.parent is not None else ()
        return build_image(
            image.data,
            variant=self._variant.index,
            stage=stage,
            number=number,
            media_type=image.media_type,
            size=(image.width, image.height),
            seed=image.seed,
            pixel_digest=image.pixel_digest,
            parents=parents,
        )

    def _images_with_roles(self) -> tuple[GeneratedImage, ...]:
        """The last stage of a completed variant made `final` images; all others are `intermediate`."""
        last = self._events[-1].name if self._events and self._failure is None else None
        return tuple(
            replace(image, reference=image.reference.model_copy(update={"role": role}))
            for image in self._images
            for role in ("final" if image.reference.stage == last else "intermediate",)
        )


def _with_notices(result: StageResult) -> dict[str, JsonValue]:
    return {**result.actual, **({"notices": list(result.notices)} if result.notices else {})}


def _with_whole_seeds(settings: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Settings with seeds as numbers: beyond 2^53 they are text in JSON, which no engine should see."""
    seeds = {name: settings[name] for name in ("seed", "subseed") if name in settings}
    return settings | {name: int(value) for name, value in seeds.items() if isinstance(value, str)}


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
