"""PipelineRunResult: the result of a run, its variants, and the images they made."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.run_metadata import Closure
from stablenew.formats.documents.stage_event import ErrorInfo, StageEvent
from stablenew.formats.strict_json import JsonValue


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """One image as the engine delivered it: the exact bytes, and what is known about them."""

    data: bytes | None
    """None once the image is stored and the result was asked to be light."""
    reference: OutputReference
    """Its digest is that of `data`: recording relies on it."""

    def without_data(self) -> "GeneratedImage":
        """The same image, its bytes dropped from memory."""
        return replace(self, data=None)


@dataclass(frozen=True, slots=True)
class VariantPrompt:
    """A prompt ready to be sent, and where it came from."""

    positive: str
    negative: str = ""
    pack_id: str | None = None
    pack_name: str | None = None
    prompt_id: str | None = None
    loras: tuple[tuple[str, float | None], ...] = ()
    embeddings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VariantResult:
    """One executed variant."""

    index: int
    total: int
    mode: str
    label: str
    overrides: Mapping[str, JsonValue]
    prompt: VariantPrompt
    requested: Mapping[str, JsonValue]
    actual: Mapping[str, JsonValue]
    status: str
    """`completed`, `failed` or `cancelled`."""
    started_at: str
    finished_at: str
    duration_seconds: float
    stages: tuple[StageEvent, ...] = ()
    images: tuple[GeneratedImage, ...] = ()
    error: ErrorInfo | None = None
    notices: tuple[str, ...] = ()
    """What a person should know although it worked."""

    @property
    def outputs(self) -> tuple[OutputReference, ...]:
        """References to all images of all stages, in the order they were made."""
        return tuple(image.reference for image in self.images)


@dataclass(frozen=True, slots=True)
class PipelineRunResult:
    """A whole run. It is the same with recording on or off, but for `run_path`, `recording_error` and `closure`."""

    run_id: str
    status: str
    """`completed`, `partial` (some variants failed), `failed` or `cancelled`."""
    started_at: str
    finished_at: str
    duration_seconds: float
    plan_size: int
    mode: str
    variants: tuple[VariantResult, ...]
    records: tuple[LearningRecord, ...] = ()
    error: ErrorInfo | None = None
    run_path: str | None = None
    """The run folder, when the run was recorded."""
    recording_error: str | None = None
    """Why recording broke off, if it did; the run itself went on."""
    closure: Closure | None = None
    """What a rerun depends on, as far as the engine knows it."""
    ext: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def stage_events(self) -> tuple[StageEvent, ...]:
        """Every stage of every variant, in order."""
        return tuple(event for variant in self.variants for event in variant.stages)

    @property
    def outputs(self) -> tuple[OutputReference, ...]:
        """References to every image of the run."""
        return tuple(reference for variant in self.variants for reference in variant.outputs)

    @property
    def succeeded(self) -> bool:
        """Whether every variant of the plan was completed."""
        return self.status == "completed"
