"""From what other pipelines call things to the fields of a record: plain mappings in, plain JSON out."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from stablenew.formats.clock import SYSTEM_CLOCK
from stablenew.formats.json_safe import json_safe
from stablenew.formats.run_id import is_run_id, new_run_id
from stablenew.formats.settings import standard_names
from stablenew.formats.strict_json import JsonValue

EXTENSION: Final = "org.stablenew.pipeline"
"""Where a record keeps the config and plan that it was given."""
_MAIN_STAGE: Final = "txt2img"
_TIMES: Final = ("timestamp", "started_at", "finished_at")


def fields_of_variant(config: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, JsonValue]:
    """The fields of a record of one variant: those of `context`, by their names or by those that pipelines use."""
    given = dict(context)
    index, total = given.pop("variant_index", 0), given.pop("variant_total", None)
    fields: dict[str, Any] = {
        "variant": {"index": index, "total": _variant_total(index, total)},
        "started_at": given.pop("timestamp", None),
        "prompt": {"positive": str(config.get("prompt", "")), **_negative(config)},
        "requested": standard_names({key: value for key, value in config.items() if key not in _PROMPTS}),
    }
    if isinstance(error := given.get("error"), str):
        fields["status"], given["error"] = "failed", {"message": error}
    if (paths := given.pop("output_paths", None)) is not None and isinstance(given.get("ext") or {}, Mapping):
        given["ext"] = {**(given.get("ext") or {}), EXTENSION: {"output_paths": _path_texts(paths)}}
    return _finished(fields | given)


def fields_of_run(
    base_config: Mapping[str, Any],
    variant_configs: Sequence[Mapping[str, Any]],
    randomizer: Mapping[str, Any],
    knobs: Mapping[str, Any],
) -> dict[str, JsonValue]:
    """The fields of a record of a whole run: its main settings, and the configs of its variants as they were given."""
    main = base_config.get(_MAIN_STAGE)
    settings = dict(main) if isinstance(main, Mapping) else dict(base_config)
    size = next((randomizer[name] for name in ("plan_size", "size") if isinstance(randomizer.get(name), int)), None)
    run_ids = [source.get("run_id") for source in (knobs, randomizer, base_config)]
    run_id = next((given for given in run_ids if isinstance(given, str) and is_run_id(given)), None)
    mode = randomizer.get("mode")
    return _finished(
        {
            "run_id": run_id or new_run_id(SYSTEM_CLOCK.now()),
            "variant": {"index": 0, "total": max(1, size or len(variant_configs))} | ({"mode": mode} if mode else {}),
            "started_at": SYSTEM_CLOCK.timestamp(),
            "prompt": {
                "positive": str(settings.get("prompt") or base_config.get("prompt") or ""),
                **_negative(settings),
            },
            "requested": standard_names({key: value for key, value in settings.items() if key not in _PROMPTS}),
            "ext": {
                EXTENSION: {
                    "base_config": dict(base_config),
                    "variant_configs": list(variant_configs),
                    "randomizer": dict(randomizer),
                    "knobs": dict(knobs),
                }
            },
        }
    )


def _variant_total(index: Any, total: Any) -> Any:
    """At least one more than the index. What is not a number is left as it is: the format refuses it by its name."""
    try:
        return max(index + 1, total or 0)
    except TypeError:
        return total


def _path_texts(paths: Any) -> list[str]:
    """Paths as texts; a single one may stand without a list around it."""
    is_single = isinstance(paths, (str, bytes, os.PathLike)) or not isinstance(paths, Iterable)
    return list(map(str, [paths] if is_single else paths))


_PROMPTS: Final = ("prompt", "negative_prompt")


def _negative(config: Mapping[str, Any]) -> dict[str, str]:
    negative = config.get("negative_prompt")
    return {} if negative is None else {"negative": str(negative)}


def _finished(fields: dict[str, Any]) -> dict[str, JsonValue]:
    times = {name: _timestamp(fields[name]) for name in _TIMES if fields.get(name) is not None}
    known = {name: value for name, value in (fields | times).items() if value is not None}
    safe: dict[str, JsonValue] = json_safe(known)
    return safe


def _timestamp(value: Any) -> Any:
    """A time as the format writes it: from seconds since 1970, a `datetime`, or a text with any offset."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = datetime.fromtimestamp(value, UTC)
        elif isinstance(value, str):
            value = datetime.fromisoformat(value)
    except (ValueError, OverflowError, OSError):  # no such moment: the format says so, and names the field
        return value
    return json_safe(value)
