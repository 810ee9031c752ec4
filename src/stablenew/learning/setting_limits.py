"""What a setting may be, as the pipeline's own models say."""

from dataclasses import dataclass
from typing import Any

from stablenew.learning.dataset.columns import stage_model

_TYPES = {"integer": "integer", "number": "number", "string": "text", "boolean": "yes or no"}


@dataclass(frozen=True)
class SettingLimits:
    """The type of a setting, its lowest and highest value or its choices, and its default."""

    type: str
    lowest: float | None = None
    highest: float | None = None
    choices: tuple[str, ...] = ()
    default: Any = None


def limits_of(name: str) -> SettingLimits:
    """The limits of a setting, given its dotted name."""
    stage, _, key = name.partition(".")
    schema = stage_model(stage).model_json_schema(by_alias=False)["properties"].get(key)
    if schema is None:
        return SettingLimits("number")
    default = schema.get("default")
    schema = next((one for one in schema.get("anyOf", ()) if one.get("type") != "null"), schema)
    return SettingLimits(
        _TYPES.get(schema.get("type"), "text"),
        _first(schema, "minimum", "exclusiveMinimum", "ge", "gt"),
        _first(schema, "maximum", "exclusiveMaximum", "le", "lt"),
        tuple(schema.get("enum", ())),
        default,
    )


def _first(schema: dict[str, Any], *keys: str) -> Any:
    """What stands under the first of `keys` that is there; pydantic leaves some bounds under their Python names."""
    return next((schema[key] for key in keys if key in schema), None)
