"""From an executed variant to its LearningRecord: pure, no I/O, no clock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stablenew.formats.digest import digest_json
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.pipeline_result import PipelineRunResult, VariantPrompt, VariantResult
from stablenew.formats.json_safe import json_safe
from stablenew.formats.model_base import SCHEMA_VERSION, is_extension_key
from stablenew.formats.pipeline_config import PipelineConfig
from stablenew.formats.strict_json import JsonValue
from stablenew.recording.odd_values import OddValues, read_name, read_number


@dataclass(frozen=True, slots=True)
class LearningContext:
    """What a record says beyond config and result. Everything is optional but the run id, where nothing else has it."""

    run_id: str | None = None
    variant_index: int | None = None
    """Which variant of a whole run's result the record is about."""
    source: Mapping[str, JsonValue] = field(default_factory=dict)
    """Program, engine, host and user; see `Source`."""
    correlation: Mapping[str, JsonValue] = field(default_factory=dict)
    learning_tags: tuple[str, ...] = ()
    """Added to those of the config."""
    ext: Mapping[str, JsonValue] = field(default_factory=dict)


def build_learning_record(
    pipeline_config: PipelineConfig,
    run_result: VariantResult | PipelineRunResult,
    learning_context: LearningContext | None = None,
) -> LearningRecord:
    """The record of one executed variant.

    Given a whole run's result, it is about the variant that `learning_context.variant_index` names, or the only one.
    Whatever JSON cannot hold is made JSON-safe, and what does not fit its field stands as text in `odd`. Nothing given
    is changed.

    Raises:
        ValueError: no run id anywhere, or the result has several variants and none is named.
    """
    context = learning_context or LearningContext()
    variant = _one_variant(run_result, context.variant_index)
    run_id = _run_id(pipeline_config, run_result, context)
    odd = OddValues()
    fields: dict[str, JsonValue] = {
        "kind": LearningRecord.KIND,
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "source": context.source or None,
        "correlation": context.correlation or None,
        "one_click_action": pipeline_config.one_click_action,
        "learning_tags": [*dict.fromkeys((*pipeline_config.learning_tags, *context.learning_tags))] or None,
        "config_digest": digest_json(pipeline_config.to_dict()),
        "variant": _variant_info(variant),
        "started_at": variant.started_at,
        "finished_at": variant.finished_at,
        "duration_seconds": max(0.0, variant.duration_seconds),
        "status": variant.status,
        "error": variant.error.to_dict() if variant.error else None,
        "prompt": _prompt_context(odd, variant.prompt),
        "requested": odd.settings("requested", variant.requested),
        "actual": odd.settings("actual", variant.actual) or None,
        "stages": [event.to_dict() for event in variant.stages],
        "outputs": [reference.to_dict() for reference in variant.outputs],
        "ext": _extensions(odd, context.ext) or None,
        "given_names": odd.given_names or None,
        "odd": odd.odd or None,
    }
    return LearningRecord.from_dict(json_safe({key: value for key, value in fields.items() if value is not None}))


def _one_variant(result: VariantResult | PipelineRunResult, index: int | None) -> VariantResult:
    if isinstance(result, VariantResult):
        return result
    matches = [variant for variant in result.variants if index is None or variant.index == index]
    if len(matches) != 1:
        raise ValueError(
            f"expected one variant, found {len(matches)} in run {result.run_id}; a record is about one: "
            "name it with LearningContext(variant_index=…)"
        )
    return matches[0]


def _run_id(config: PipelineConfig, result: VariantResult | PipelineRunResult, context: LearningContext) -> str:
    run_id = result.run_id if isinstance(result, PipelineRunResult) else context.run_id or config.run_id
    if not run_id:
        raise ValueError("a record needs the id of its run: give LearningContext(run_id=…)")
    return run_id


def _variant_info(variant: VariantResult) -> dict[str, JsonValue]:
    info: dict[str, JsonValue] = {"index": variant.index, "total": variant.total, "mode": variant.mode}
    if variant.label:
        info["label"] = variant.label
    if variant.overrides:
        info["overrides"] = dict(variant.overrides)
    return info


def _extensions(odd: OddValues, given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The extensions under keys that a format may have; the others are noted."""
    for key, value in given.items():
        if not is_extension_key(key):
            odd.note(f"ext.{key}", value)
    return {key: value for key, value in given.items() if is_extension_key(key)}


def _prompt_context(odd: OddValues, prompt: VariantPrompt) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = {
        "positive": prompt.positive,
        "negative": prompt.negative,
        "pack_id": odd.fit("prompt.pack_id", prompt.pack_id, read_name),
        "pack_name": odd.fit("prompt.pack_name", prompt.pack_name, read_name),
        "prompt_id": odd.fit("prompt.prompt_id", prompt.prompt_id, read_name),
        "loras": _loras(odd, prompt),
        "embeddings": _names(odd, "prompt.embeddings", prompt.embeddings),
    }
    return {key: value for key, value in fields.items() if value not in (None, [])}


def _loras(odd: OddValues, prompt: VariantPrompt) -> list[JsonValue]:
    loras: list[JsonValue] = []
    for number, (name, weight) in enumerate(prompt.loras):
        fields = {
            "name": odd.fit(f"prompt.loras[{number}].name", name, read_name),
            "weight": odd.fit(f"prompt.loras[{number}].weight", weight, read_number),
        }
        if fields["name"] is not None:
            loras.append({key: value for key, value in fields.items() if value is not None})
    return loras


def _names(odd: OddValues, group: str, names: Iterable[str]) -> list[JsonValue]:
    fitted = [odd.fit(f"{group}[{number}]", name, read_name) for number, name in enumerate(names)]
    return [name for name in fitted if name is not None]
