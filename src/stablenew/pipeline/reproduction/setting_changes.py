"""What changed between the records of two runs: prompts, settings that were asked for, settings that ran. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.settings import BY_NAME
from stablenew.formats.strict_json import JsonValue
from stablenew.pipeline.reproduction.change import SETTING, Change

_SAID_ELSEWHERE: Final = {
    "versions", "dtype", "device", "model_path", "model_file", "model_hash", "cached", "notices", "generation_params",
    "generator_device", "workflow", "workflow_digest",
}  # fmt: skip
"""Facts of a record that the closure holds as well, or that say where and not what."""
_PARAMETERS: Final = {
    "Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model", "Model hash", "VAE", "VAE hash",
    "Version", "Clip skip", "Denoising strength", "Lora hashes", "App", "Scheduler",
}  # fmt: skip
"""Parameters of an infotext that stand among the settings, or in the closure."""


def compare_records(records: Iterable[tuple[LearningRecord, LearningRecord]]) -> list[Change]:
    """Each change of a setting once, however many variants it has."""
    found: dict[Change, None] = {}
    for before, after in records:
        found |= dict.fromkeys(_compare_prompts(before, after))
        found |= dict.fromkeys(_compare_settings(before, after))
    return list(found)


def _compare_prompts(before: LearningRecord, after: LearningRecord) -> list[Change]:
    texts = ((name, getattr(before.prompt, name) or "", getattr(after.prompt, name) or "") for name in _PROMPTS)
    return [Change(SETTING, f"{name} prompt", old, new, is_asked=True) for name, old, new in texts if old != new]


_PROMPTS: Final = ("positive", "negative")


def _compare_settings(before: LearningRecord, after: LearningRecord) -> list[Change]:
    """What ran differently; and what was asked for differently, where nothing says what ran."""
    asked = _differences(_asked_of(before), _asked_of(after))
    ran = {}
    if before.actual is not None and after.actual is not None:
        ran = _differences(_ran_of(before.actual.to_dict()), _ran_of(after.actual.to_dict()))
    both = dict.fromkeys((*ran, *(name for name in asked if name not in ("seed", "extra"))))
    changes = [_setting_change(name, *ran.get(name, asked.get(name, (None, None))), name in asked) for name in both]
    return [change for change in changes if change.before != change.after]


def _setting_change(name: str, before: JsonValue, after: JsonValue, is_asked: bool) -> Change:
    title = BY_NAME[name].title if name in BY_NAME else name.replace("_", " ")
    if isinstance(before, dict) and isinstance(after, dict):
        names = [key for key in dict.fromkeys((*before, *after)) if before.get(key) != after.get(key)]
        before, after = ({key: side.get(key) for key in names} for side in (before, after))
    return Change(SETTING, title, _text(before), _text(after), is_asked)


def _text(value: JsonValue) -> str | None:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return None if value is None else str(value)


def _asked_of(record: LearningRecord) -> dict[str, JsonValue]:
    """What was asked for; the settings of a program's own under `extra` stand beside the others."""
    said = record.requested.to_dict()
    extra = said.pop("extra", None)
    return said | ({f"extra.{key}": value for key, value in extra.items()} if isinstance(extra, dict) else {})


def _ran_of(actual: Mapping[str, Any]) -> dict[str, JsonValue]:
    parameters = actual.get("generation_params")
    beside = {name: value for name, value in parameters.items() if name not in _PARAMETERS} if parameters else {}
    return beside | {name: value for name, value in actual.items() if name not in _SAID_ELSEWHERE}


def _differences(
    before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]
) -> dict[str, tuple[JsonValue, JsonValue]]:
    names = dict.fromkeys((*before, *after))
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}
