"""PipelineConfig: what a run is asked to do, stage by stage.

A stage that is None does not run; giving one, even empty, turns it on. Names are the field's standard terms; the names
that StableNew presets and the WebUI API use for the same settings are understood as well (`sampler_name`,
`upscaling_resize`, …). Settings that only one engine knows go into `extra` and reach it untouched.
"""

import difflib
import functools
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from stablenew.errors import ConfigError
from stablenew.formats.described_model import DescribedModel
from stablenew.formats.documents.stage_event import STAGES
from stablenew.formats.json_safe import json_safe
from stablenew.formats.model_base import explain, refuse_bool
from stablenew.formats.run_id import check_run_id
from stablenew.formats.settings import BY_NAME
from stablenew.formats.strict_json import JsonValue

RANDOM_SEED: Final = -1
"""Lets the engine choose; the record says what it chose."""


def _alias(name: str, *others: str) -> Any:
    return AliasChoices(name, *others)


def _json_object(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    safe = json_safe(value)
    assert isinstance(safe, dict)  # noqa: S101  # json_safe keeps mappings mappings
    return safe


Whole = Annotated[int, BeforeValidator(refuse_bool)]
Real = Annotated[float, BeforeValidator(refuse_bool), Field(allow_inf_nan=False)]
Fraction = Annotated[float, BeforeValidator(refuse_bool), Field(ge=0, le=1)]
Pixels = Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=16384)]
Steps = Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=1000)]
CfgScale = Annotated[float, BeforeValidator(refuse_bool), Field(ge=0, le=100, allow_inf_nan=False)]
SeedNumber = Annotated[int, BeforeValidator(refuse_bool), Field(ge=-1, lt=2**64)]
EngineExtra = Annotated[dict[str, Any], AfterValidator(_json_object)]


class _Settings(DescribedModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), validate_default=False)

    extra: EngineExtra = Field(default_factory=dict)
    """Settings that only the chosen engine knows; passed on untouched."""


class Txt2ImgSettings(_Settings):
    """From prompt to image."""

    model: str | None = Field(default=None, validation_alias=_alias("model", "checkpoint", "sd_model_checkpoint"))
    vae: str | None = Field(default=None, validation_alias=_alias("vae", "sd_vae"))
    sampler: str = Field(default="Euler a", validation_alias=_alias("sampler", "sampler_name"))
    scheduler: str = "Normal"
    steps: Steps = 20
    cfg_scale: CfgScale = Field(default=7.0, validation_alias=_alias("cfg_scale", "cfg"))
    width: Pixels = 512
    height: Pixels = 512
    seed: SeedNumber = RANDOM_SEED
    subseed: SeedNumber = RANDOM_SEED
    subseed_strength: Fraction = 0.0
    clip_skip: Whole = 2
    eta: Real | None = None
    batch_size: Annotated[Whole, Field(ge=1, le=256)] = 1
    n_iter: Annotated[Whole, Field(ge=1, le=256)] = Field(
        default=1, validation_alias=_alias("n_iter", "images_per_prompt")
    )
    enable_hr: bool = False
    hr_scale: Real = 2.0
    hr_upscaler: str = "Latent"
    hr_steps: Whole = Field(default=0, validation_alias=_alias("hr_steps", "hr_second_pass_steps"))
    hr_denoising_strength: Fraction = Field(
        default=0.7, validation_alias=_alias("hr_denoising_strength", "denoising_strength")
    )
    refiner_checkpoint: str | None = Field(
        default=None, validation_alias=_alias("refiner_checkpoint", "refiner_model_name")
    )
    refiner_switch_at: Fraction = 0.8


class Img2ImgSettings(_Settings):
    """From image and prompt to image. What is None is taken from txt2img."""

    model: str | None = None
    vae: str | None = None
    sampler: str | None = Field(default=None, validation_alias=_alias("sampler", "sampler_name"))
    scheduler: str | None = None
    steps: Steps = 15
    cfg_scale: CfgScale | None = Field(default=None, validation_alias=_alias("cfg_scale", "cfg"))
    denoising_strength: Fraction = 0.3
    seed: SeedNumber | None = None
    clip_skip: Whole | None = None
    eta: Real | None = None


class AdetailerSettings(_Settings):
    """Find faces or other regions and paint them again with more detail."""

    model: str = Field(default="face_yolov8n.pt", validation_alias=_alias("model", "adetailer_model"))
    confidence: Fraction = Field(default=0.3, validation_alias=_alias("confidence", "adetailer_confidence"))
    denoise: Fraction = Field(default=0.4, validation_alias=_alias("denoise", "adetailer_denoise"))
    steps: Steps = Field(default=28, validation_alias=_alias("steps", "adetailer_steps"))
    cfg_scale: CfgScale | None = Field(default=None, validation_alias=_alias("cfg_scale", "adetailer_cfg"))
    sampler: str | None = Field(default=None, validation_alias=_alias("sampler", "adetailer_sampler"))
    mask_feather: Whole = Field(default=4, validation_alias=_alias("mask_feather", "adetailer_mask_feather"))
    prompt: str | None = Field(default=None, validation_alias=_alias("prompt", "adetailer_prompt"))
    negative_prompt: str | None = Field(
        default=None, validation_alias=_alias("negative_prompt", "adetailer_negative_prompt")
    )


class UpscaleSettings(_Settings):
    """Make the image larger."""

    upscaler: str = "R-ESRGAN 4x+"
    factor: Annotated[Real, Field(gt=0, le=16)] = Field(
        default=2.0, validation_alias=_alias("factor", "upscaling_resize")
    )
    mode: Literal["single", "img2img"] = Field(default="single", validation_alias=_alias("mode", "upscale_mode"))
    denoising_strength: Fraction = 0.35
    steps: Steps = 20


StageSettings = Txt2ImgSettings | Img2ImgSettings | AdetailerSettings | UpscaleSettings

STAGE_TYPES: Final[dict[str, type[_Settings]]] = {
    "txt2img": Txt2ImgSettings,
    "img2img": Img2ImgSettings,
    "adetailer": AdetailerSettings,
    "upscale": UpscaleSettings,
}


class PipelineConfig(DescribedModel):
    """Everything a run is asked to do. Every field has a harmless default."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    prompt: str = ""
    """Used when no prompt pack is given."""
    negative_prompt: str = ""
    txt2img: Txt2ImgSettings = Txt2ImgSettings()
    img2img: Img2ImgSettings | None = None
    adetailer: AdetailerSettings | None = None
    upscale: UpscaleSettings | None = None
    run_id: Annotated[str, AfterValidator(check_run_id)] | None = None
    """The id the run shall have; by default a fresh one."""
    one_click_action: str | None = None
    learning_enabled: bool = False
    """Ask for this run to be recorded, also when the application's own setting is off."""
    learning_tags: tuple[str, ...] = ()

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(f"not a valid pipeline config: {explain(error)}") from None

    @property
    def stages(self) -> tuple[tuple[str, StageSettings], ...]:
        """Name and settings of the stages that run, in order."""
        present = ((name, getattr(self, name)) for name in STAGES)
        return tuple((name, settings) for name, settings in present if settings is not None)

    def to_dict(self) -> dict[str, JsonValue]:
        """The full unified config as JSON: every setting of every stage that runs."""
        fields = {key: value for key, value in json_safe(self.model_dump()).items() if value is not None}
        return fields | {name: settings_to_dict(settings) for name, settings in self.stages}

    @classmethod
    def from_dict(cls, value: Mapping[str, JsonValue]) -> Self:
        """The config that `to_dict` gave, or a hand-written one.

        Raises:
            ConfigError: a setting that does not exist or does not fit.
        """
        return cls(**dict(value))

    def with_overrides(self, overrides: Mapping[str, JsonValue]) -> Self:
        """This config with settings replaced by dotted name, `{"txt2img.cfg_scale": 7.5}`.

        Overriding a setting of a stage that was off turns that stage on; `None` for a whole stage turns it off.

        Raises:
            ConfigError: a setting that does not exist or does not fit.
        """
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        for dotted, value in overrides.items():
            stage, key = split_setting(dotted)
            if not key:
                fields[stage] = value
                continue
            current = fields.get(stage, getattr(self, stage, None))
            fields[stage] = _with_setting(current, key, value)
        return type(self)(**fields)


_DEFINE_A_STAGE: Final = {"seed", "denoising_strength"}
LEFT_TO_PROGRAM: Final = frozenset({"subseed", "subseed_strength", *BY_NAME} - _DEFINE_A_STAGE)
"""Settings that a program with defaults of its own is sent only where somebody asked for them."""


def asked_settings(settings: BaseModel) -> dict[str, JsonValue]:
    """A stage's settings as JSON, without those that only have our default and that a program chooses for itself.

    What is None stays: a later stage takes it from txt2img.
    """
    return {
        name: value
        for name, value in settings_to_dict(settings).items()
        if value is None or name not in LEFT_TO_PROGRAM or name in settings.model_fields_set
    }


_LEFT_OUT_UNSET: Final = ("eta", "extra")
"""What was not there from the beginning: where it is not set, a config keeps the digest it always had."""


def settings_to_dict(settings: BaseModel) -> dict[str, JsonValue]:
    """A stage's settings as JSON; `extra` only when something is in it."""
    fields: dict[str, JsonValue] = json_safe(settings.model_dump())
    for name in _LEFT_OUT_UNSET:
        if fields.get(name) in (None, {}):
            fields.pop(name, None)
    return fields


def _with_setting(stage: Any, key: str, value: JsonValue) -> dict[str, Any]:
    settings = stage.model_dump(exclude_unset=True) if isinstance(stage, BaseModel) else dict(stage or {})
    if key.startswith("extra."):
        return settings | {"extra": {**settings.get("extra", {}), key.removeprefix("extra."): value}}
    return settings | {key: value}


def split_setting(dotted: str) -> tuple[str, str]:
    """Stage and key of `txt2img.steps`, under their standard names; the key is empty for a top-level field.

    Raises:
        ConfigError: there is no such setting; the message names the nearest one.
    """
    stage, _, key = dotted.partition(".")
    if not key:
        if stage in PipelineConfig.model_fields:
            return stage, ""
        raise ConfigError(f"no setting {dotted!r}; write STAGE.KEY with a stage of {', '.join(STAGES)}")
    names = _setting_names(stage)
    if key in names:
        return stage, names[key]
    if key.startswith("extra.") and len(key) > len("extra."):
        return stage, key
    near = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean {stage}.{near[0]}?" if near else f"known are {', '.join(sorted(set(names.values())))}"
    raise ConfigError(f"no setting {dotted!r}; {hint} (settings of one engine only: {stage}.extra.{key})")


def setting_names(stage: str) -> list[str]:
    """The settings that a stage has, without those of single engines."""
    return [name for name in STAGE_TYPES[stage].model_fields if name != "extra"]


def standard_setting(dotted: str) -> str:
    """`txt2img.cfg_scale` for `txt2img.cfg`. Raises ConfigError: see `split_setting`."""
    stage, key = split_setting(dotted)
    return f"{stage}.{key}" if key else stage


@functools.cache
def _setting_names(stage: str) -> dict[str, str]:
    """Every name a stage's setting is known by, with its standard name."""
    if stage not in STAGE_TYPES:
        raise ConfigError(f"no stage {stage!r}; there are {', '.join(STAGES)}")
    names = {}
    for name, info in STAGE_TYPES[stage].model_fields.items():
        alias = info.validation_alias
        known = alias.choices if isinstance(alias, AliasChoices) else [name]
        names.update({str(spelling): name for spelling in known if name != "extra"})
    return names


def settings_from_preset(stage: str, preset: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A stage of a StableNew preset as our settings: known names translated, the rest under `extra`."""
    names = _setting_names(stage)
    settings: dict[str, JsonValue] = {}
    extra: dict[str, JsonValue] = {}
    for key, value in preset.items():
        if key == "enabled" or value is None:
            continue
        if key in names:
            settings[names[key]] = value
        else:
            extra[key] = value
    return settings | ({"extra": extra} if extra else {})
