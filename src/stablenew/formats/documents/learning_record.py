"""LearningRecord: one executed variant, one line of `records.jsonl`."""

from typing import TYPE_CHECKING, ClassVar, Literal

from stablenew.formats.documents.metric import Metric
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.run_metadata import Correlation, Source
from stablenew.formats.documents.stage_event import ErrorInfo, StageEvent
from stablenew.formats.model_base import (
    SCHEMA_VERSION,
    Array,
    Count,
    Digest,
    Document,
    Extensions,
    Integer,
    JsonObject,
    Name,
    Number,
    OutputPath,
    RunId,
    SafeJson,
    SchemaVersion,
    Seconds,
    Seed,
    Slug,
    Timestamp,
    WireModel,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stablenew.formats.strict_json import JsonValue


class VariantInfo(WireModel):
    """Which variant of the plan this was."""

    index: Count
    """From 0, in the order of the plan."""
    total: Count
    mode: Slug | None = None
    """`fanout`, `sequential` or `random`; see the variant plan."""
    label: str | None = None
    """Like `person->woman; __mood__=sad; [time]=dawn; txt2img.cfg_scale=7`."""
    overrides: JsonObject | None = None
    """Settings this variant changed, by dotted name."""


class Lora(WireModel):
    """A LoRA that the prompt calls, with its weight."""

    name: Name
    weight: Number | None = None


class PromptContext(WireModel):
    """The prompt as it was sent, and where it came from."""

    positive: str
    negative: str | None = None
    pack_id: Name | None = None
    pack_name: Name | None = None
    prompt_id: Name | None = None
    loras: Array[Lora] | None = None
    embeddings: Array[Name] | None = None


class GenerationSettings(WireModel):
    """The settings of the main stage under their standard names; engines add their own beside them."""

    model: str | None = None
    model_hash: str | None = None
    vae: str | None = None
    sampler: str | None = None
    scheduler: str | None = None
    steps: Integer | None = None
    cfg_scale: Number | None = None
    seed: Seed | None = None
    """-1 where the engine was left to choose; then `actual` says what it chose."""
    width: Count | None = None
    height: Count | None = None
    denoising_strength: Number | None = None
    clip_skip: Integer | None = None
    eta: Number | None = None


class Reconstruction(WireModel):
    """That a record was read from an existing image by an import, and from what."""

    tool: Name
    """The program that made the image, as far as it can be known."""
    reader: Name
    """The reader that understood the image's metadata."""
    reader_version: str
    raw: SafeJson | None = None
    """The metadata as the image holds it, up to 4 kB."""
    raw_path: OutputPath | None = None
    """The file of the run that holds longer metadata, once for all images that share it."""


class LearningRecord(Document):
    """One executed variant: what was asked, what really ran, what came out. It never carries feedback."""

    KIND: ClassVar[str] = "stablenew.learning_record"

    kind: Literal["stablenew.learning_record"] = "stablenew.learning_record"
    schema_version: SchemaVersion = SCHEMA_VERSION
    run_id: RunId
    source: Source | None = None
    correlation: Correlation | None = None
    one_click_action: str | None = None
    learning_tags: Array[Name] | None = None
    config_digest: Digest | None = None
    variant: VariantInfo
    started_at: Timestamp
    finished_at: Timestamp | None = None
    duration_seconds: Seconds | None = None
    status: Slug
    """`completed`, `failed` or `cancelled`."""
    error: ErrorInfo | None = None
    prompt: PromptContext
    requested: GenerationSettings
    actual: GenerationSettings | None = None
    stages: Array[StageEvent]
    outputs: Array[OutputReference]
    given_names: dict[str, str] | None = None
    """The names that settings were given by, where these are not the standard ones: `guidance_scale` to `cfg_scale`."""
    odd: dict[str, str] | None = None
    """What did not fit its field, as text, by the dotted name of the field: nothing that was given is dropped."""
    reconstructed: Reconstruction | None = None
    """Where the record was not written while the image was made. Then `finished_at` is the image's own time."""
    metrics: Array[Metric] | None = None
    """Scores that were given while the variant was recorded; later ones are in `metrics.<replica>.jsonl`."""
    ext: Extensions | None = None
    """Extensions under reverse-DNS keys."""

    @classmethod
    def from_pipeline_context(
        cls,
        config: "Mapping[str, JsonValue] | None" = None,
        context: "Mapping[str, JsonValue] | Sequence[Mapping[str, JsonValue]] | None" = None,
        randomizer_metadata: "Mapping[str, JsonValue] | None" = None,
        knobs_metadata: "Mapping[str, JsonValue] | None" = None,
        *,
        base_config: "Mapping[str, JsonValue] | None" = None,
        variant_configs: "Sequence[Mapping[str, JsonValue]] | None" = None,
    ) -> "LearningRecord":
        """A record from plain mappings, for pipelines that are not ours; two forms, told apart by the second argument.

        `(config, context)` is one variant: `config` holds the main settings (`steps`, `sampler`, `model`, …), `context`
        the fields of the record by name, of which `run_id` is required. A time may also be called `timestamp` (ISO text
        or seconds since 1970), the number of the variant `variant_index` and `variant_total`, an `error` may be a text,
        and `output_paths` are paths of files that are described nowhere else.

        `(base_config, variant_configs, randomizer_metadata, knobs_metadata)` is a whole run in one record, with
        `variant_configs` a list. Of the two this one was asked for later, but records of single variants are what runs
        are made of, so a run writes those.

        Raises:
            InvalidDocument: what they say does not fit the format.
        """
        from collections.abc import Mapping  # noqa: PLC0415

        from stablenew.formats.documents.pipeline_context import fields_of_run, fields_of_variant  # noqa: PLC0415

        main = config if config is not None else base_config or {}
        variants = variant_configs if context is None else context
        if isinstance(variants, Mapping):
            fields = fields_of_variant(main, variants)
        else:
            fields = fields_of_run(main, variants or (), randomizer_metadata or {}, knobs_metadata or {})
        defaults: dict[str, JsonValue] = {
            "kind": cls.KIND,
            "schema_version": SCHEMA_VERSION,
            "status": "completed",
            "stages": [],
            "outputs": [],
        }
        return cls.from_dict(defaults | fields)

    def _pipeline(self, name: str) -> "JsonValue":
        from stablenew.formats.documents.pipeline_context import EXTENSION  # noqa: PLC0415

        return (self.ext or {}).get(EXTENSION, {}).get(name)

    @property
    def base_config(self) -> "JsonValue":
        """The config before the plan changed it, where the record was given one; a run's own is in its metadata."""
        return self._pipeline("base_config")

    @property
    def variant_configs(self) -> "list[JsonValue]":
        """The configs of all variants, where the record is about a whole run; else none."""
        return list(self._pipeline("variant_configs") or ())

    @property
    def output_paths(self) -> list[str]:
        """Paths of the outputs: in the run, or as they were given."""
        return [output.path for output in self.outputs if output.path] or list(self._pipeline("output_paths") or ())

    @property
    def randomizer_mode(self) -> str | None:
        """How the plan chose its variants."""
        return self.variant.mode

    @property
    def randomizer_plan_size(self) -> int:
        """Variants in the plan."""
        return self.variant.total
