"""What a setting may be by its format: its type, bounds, choices and default."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stablenew.learning.dataset.columns import stage_model
from stablenew.learning.evidence.setting_factors import OWN, is_number


@dataclass(frozen=True)
class SettingLimits:
    """The type of a setting, its lowest and highest value or its choices, and its default."""

    type: str
    """`integer`, `number`, `text` or `yes or no`."""
    lowest: float | None = None
    """The lowest value allowed."""
    highest: float | None = None
    """The highest value allowed."""
    choices: tuple[str, ...] = ()
    """The values allowed, where there are only a few."""
    default: Any = None
    """The value used when none is given."""

    def allow(self, value: Any) -> bool:
        """Whether a number that some image had may also be asked for; a word always may."""
        if not is_number(value):
            return True
        return (self.lowest is None or value >= self.lowest) and (self.highest is None or value <= self.highest)


def limits_of(name: str, seen: Sequence[Any] = ()) -> SettingLimits:
    """The limits of a setting, given its dotted name; of one outside the table of settings, the type of `seen`."""
    stage, _, key = name.partition(".")
    if name.startswith(OWN):
        return SettingLimits(_type_of(seen))
    schema = _describe_stage(stage).get(key)
    if schema is None:
        return SettingLimits("number")
    default = schema.get("default")
    schema = next((choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"), schema)
    return SettingLimits(
        _TYPES.get(schema.get("type", ""), "text"),
        _first(schema, "minimum", "exclusiveMinimum", "ge", "gt"),
        _first(schema, "maximum", "exclusiveMaximum", "le", "lt"),
        tuple(schema.get("enum", ())),
        default,
    )


@functools.cache
def _describe_stage(stage: str) -> Mapping[str, Mapping[str, Any]]:
    """The JSON schema of each setting of a stage; to make it takes tens of milliseconds."""
    properties: Mapping[str, Mapping[str, Any]] = stage_model(stage).model_json_schema(by_alias=False)["properties"]
    return properties


def _type_of(values: Sequence[Any]) -> str:
    if all(isinstance(value, bool) for value in values):
        return "yes or no"
    if not all(isinstance(value, (int, float)) for value in values):
        return "text"
    return "integer" if all(isinstance(value, int) for value in values) else "number"


def _first(schema: Mapping[str, Any], *keys: str) -> Any:
    """The value of the first of `keys` that is present; pydantic leaves some bounds under their Python names."""
    return next((schema[key] for key in keys if key in schema), None)


_TYPES = {"integer": "integer", "number": "number", "string": "text", "boolean": "yes or no"}
