"""RecordedPlan: the variants of an earlier run, to be run again: unchanged, or with other seeds or settings."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias, overload

from stablenew.errors import ConfigError
from stablenew.formats.documents.learning_record import GenerationSettings, LearningRecord
from stablenew.formats.documents.run_metadata import PlanSummary, RunMetadata
from stablenew.formats.json_safe import json_safe
from stablenew.formats.pipeline_config import LEFT_TO_PROGRAM, RANDOM_SEED, PipelineConfig, Txt2ImgSettings
from stablenew.formats.strict_json import JsonValue
from stablenew.pipeline.prompt_pack import Prompt
from stablenew.pipeline.randomizer import Axis, standard_sweeps
from stablenew.pipeline.variant_plan import SEED, SEED_BITS, Variant, VariantPlan

MODE = "again"


@dataclass(frozen=True)
class RecordedPlan(Sequence[Variant]):
    """A sequence of variants, each with its own prompt and overrides."""

    variants: tuple[Variant, ...]
    sweeps: tuple[Axis, ...] = ()
    mode: str = MODE
    parent_run_id: str | None = None
    """The run whose variants they are."""

    @classmethod
    def from_records(
        cls,
        records: Iterable[LearningRecord],
        *,
        seed: int | None = None,
        sweeps: Sequence[Axis] = (),
        limit: int | None = None,
        parent_run_id: str | None = None,
    ) -> "RecordedPlan":
        """Every variant of `records`, with every value of the sweeps; at most `limit` of them.

        Each variant gets the seed that really ran, or `seed`. With -1 it gets another one, drawn here; those that had
        the same seed have the same one again, and so have the values of a sweep.

        Raises:
            ConfigError: there is no such setting to sweep over.
        """
        axes, draw = standard_sweeps(sweeps), _SeedDraw()
        drafts = [
            (_prompt_of(record), _label_of(record, choice), overrides | choice)
            for record in records
            for overrides in [_overrides_of(record, draw.replace(_seed_of(record)) if seed == RANDOM_SEED else seed)]
            for choice in _choices(axes)
        ][: limit or None]
        variants = (
            Variant(index, len(drafts), MODE, prompt, label, overrides)
            for index, (prompt, label, overrides) in enumerate(drafts)
        )
        return cls(tuple(variants), axes, parent_run_id=parent_run_id)

    def __len__(self) -> int:
        return len(self.variants)

    @overload
    def __getitem__(self, index: int) -> Variant: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Variant, ...]: ...
    def __getitem__(self, index: int | slice) -> Variant | tuple[Variant, ...]:
        return self.variants[index]

    def __iter__(self) -> Iterator[Variant]:
        return iter(self.variants)

    @property
    def combinations(self) -> int:
        """Variants there could be: those there are."""
        return len(self.variants)

    def summary(self) -> PlanSummary:
        """The plan as run metadata holds it."""
        axes = [{"name": axis.token, "values": json_safe(axis.values)} for axis in self.sweeps]
        return PlanSummary.model_validate({"mode": self.mode, "size": len(self), "axes": axes})


Plan: TypeAlias = VariantPlan | RecordedPlan
"""What a run can work through."""


def _choices(sweeps: Sequence[Axis]) -> list[dict[str, JsonValue]]:
    return [
        dict(zip((axis.name for axis in sweeps), values, strict=True))
        for values in product(*(axis.values for axis in sweeps))
    ]


def _prompt_of(record: LearningRecord) -> Prompt:
    return Prompt(record.prompt.positive, record.prompt.negative or "", record.prompt.prompt_id)


def _label_of(record: LearningRecord, choice: dict[str, JsonValue]) -> str:
    parts = [record.variant.label, *(f"{name}={value}" for name, value in choice.items())]
    return "; ".join(part for part in parts if part)


class _SeedDraw:
    """Other seeds in place of those that were; equal ones stay equal."""

    def __init__(self) -> None:
        self._drawn: dict[int, int] = {}

    def replace(self, seed: int | None) -> int:
        """The seed to run with instead; a variant that left its seed to the engine gets one of its own."""
        if seed is None or seed == RANDOM_SEED:
            return secrets.randbits(SEED_BITS)
        return self._drawn.setdefault(seed, secrets.randbits(SEED_BITS))


def _seed_of(record: LearningRecord) -> int | None:
    ran = record.actual.seed if record.actual else None
    return record.requested.seed if ran is None else ran


def _overrides_of(record: LearningRecord, seed: int | None) -> dict[str, JsonValue]:
    seed = _seed_of(record) if seed is None else seed
    return dict(record.variant.overrides or {}) | ({} if seed is None else {SEED: seed})


def config_of(metadata: RunMetadata, records: Sequence[LearningRecord]) -> PipelineConfig:
    """The config that a run had. Where another program recorded it, its first variant's settings, as far as known.

    Raises:
        ConfigError: there is neither a config of this program nor a record.
    """
    fields = {key: value for key, value in metadata.config.items() if key != "run_id"}
    try:
        return PipelineConfig.from_dict({key: _asked(key, value, records) for key, value in fields.items()})
    except ConfigError:
        if not records:
            raise ConfigError(f"run {metadata.run_id} has no records and no config that could run again") from None
    known = Txt2ImgSettings.model_fields.keys() & GenerationSettings.model_fields.keys()
    requested = records[0].requested.to_dict()
    settings = {key: value for key, value in requested.items() if key in known and value is not None}
    return PipelineConfig(txt2img=settings, one_click_action=metadata.one_click_action)


def _asked(name: str, value: JsonValue, records: Sequence[LearningRecord]) -> JsonValue:
    """A field of the config; of a stage without what the program chose for itself, because nobody had asked for it."""
    stages = records[0].stages if records else ()
    requested = next((stage.requested for stage in stages if stage.name == name and stage.requested), None)
    if requested is None or not isinstance(value, dict):
        return value
    return {key: setting for key, setting in value.items() if key not in LEFT_TO_PROGRAM or key in requested}
