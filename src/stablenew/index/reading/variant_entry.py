"""What the index keeps of a variant: the settings that really ran, and the images that came out."""

import functools
import math
import re
from operator import itemgetter
from typing import Any, Final

from stablenew.formats.common_names import common_file_name
from stablenew.formats.settings import BY_NAME, FILES, INDEXED, Setting, standard_names
from stablenew.formats.strict_json import MAX_SAFE_INTEGER
from stablenew.index.reading.fast_document_reader import FastOutput, FastRecord
from stablenew.index.reading.run_entry import (
    NO_SPELLINGS,
    OutputEntry,
    ScoreEntry,
    VariantEntry,
    build_scores,
    milliseconds_of,
    pack_label,
)
from stablenew.store.metric_files import iter_scores

MAX_OTHER_SETTINGS: Final = 200
"""Settings of a variant that have no column, as far as the index keeps them."""
MAX_TEXT: Final = 1_000
"""Characters of a setting without a column that the index keeps."""

_NAMES: Final = tuple(setting.name for setting in INDEXED)
_SEED: Final = _NAMES.index("seed")
_FILES: Final = tuple(_NAMES.index(setting.name) for setting in FILES)
_files_of: Final = itemgetter(*_FILES)
_INDEXED: Final = frozenset(_NAMES)
_KNOWN: Final = BY_NAME.keys()
_WITHOUT_COLUMN: Final = tuple(sorted(_KNOWN - _INDEXED))
_SETTING_NAME = re.compile(r"[^\x00-\x20\x7f]{1,128}")
_INTEGER = re.compile(r"-?[0-9]{1,20}")


def build_variant_entry(document: FastRecord) -> VariantEntry:
    """What the index keeps of a line of `records.jsonl`: settings as they really ran, where that is known."""
    prompt, outputs = document["prompt"], document["outputs"]
    finals = [output for output in outputs if output.get("role") == "final"] or outputs
    settings, others = _settings_as_run(document)
    spellings = _name_files(settings)
    return VariantEntry(
        number=document["variant"]["index"],
        status=document["status"],
        prompt=prompt["positive"],
        negative=prompt.get("negative"),
        settings=tuple(settings),
        other_settings=others,
        duration_seconds=document.get("duration_seconds"),
        loras=tuple([common_file_name(lora["name"]) for lora in prompt.get("loras") or ()]),
        embeddings=tuple([common_file_name(name) for name in prompt.get("embeddings") or ()]),
        pack=pack_label(prompt.get("pack_id"), prompt.get("pack_name")),
        outputs=tuple(map(_output_entry, finals)),
        output_sizes=tuple([(output["path"], output["size_bytes"]) for output in outputs if output.get("path")]),  # type: ignore[misc]
        scores=_recorded_scores(document, finals) if document.get("metrics") else (),
        made_ms=_made_ms(document),
        spellings=spellings,
    )


def _name_files(settings: list[Any]) -> tuple[str | None, ...]:
    """Put the common names of model files in; returns the names as they were, where these are others."""
    common, spellings = _common_names(_files_of(settings))
    if spellings is not NO_SPELLINGS:
        for place, name in zip(_FILES, common, strict=True):
            settings[place] = name
    return spellings


@functools.lru_cache(maxsize=4_096)
def _common_names(names: tuple[str | None, ...]) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
    """The common names of model files, and the names as they are where these are others. Most variants share theirs."""
    common = tuple([name and common_file_name(name) for name in names])
    spellings = tuple([None if name == known else name for name, known in zip(names, common, strict=True)])
    return common, spellings if any(spellings) else NO_SPELLINGS


def _made_ms(document: FastRecord) -> int | None:
    """When an image was made that was recorded later."""
    made = document.get("finished_at") if document.get("reconstructed") else None
    return milliseconds_of(made) if made else None


def _output_entry(output: FastOutput) -> OutputEntry:
    return OutputEntry(
        output.get("path"),
        output["digest"],
        output.get("width"),
        output.get("height"),
        output["media_type"],
        output["stage"],
        output.get("sha256"),
    )


def _settings_as_run(document: FastRecord) -> tuple[list[Any], tuple[tuple[str, int | float | str], ...]]:
    """The settings that have a column, and all others by name."""
    settings, actual = document["requested"], document.get("actual") or {}
    if None in actual.values():
        actual = {name: value for name, value in actual.items() if value is not None}
    given = document["variant"].get("overrides")
    overrides = _own_overrides(given) if given else {}
    if not overrides and settings.keys() <= _KNOWN and actual.keys() <= _KNOWN:
        settings = settings | actual if actual else settings
        found = [(name, settings[name]) for name in _WITHOUT_COLUMN if name in settings]
        others = [(name, value) for name, given in found if (value := _scalar(given)) is not None]
    else:
        settings, named = _sort_out(settings, actual, overrides)
        others = sorted(named.items())[:MAX_OTHER_SETTINGS]
    values = list(map(settings.get, _NAMES))
    values[_SEED] = _known_seed(values[_SEED])
    return values, tuple(others)


def _own_overrides(overrides: dict[str, Any]) -> dict[str, Any]:
    """The overrides of knobs that are not settings of a record, such as `txt2img.hr_scale`."""
    return {name: value for name, value in overrides.items() if "." in name and name.rpartition(".")[2] not in BY_NAME}


def _sort_out(
    requested: dict[str, Any], actual: dict[str, Any], overrides: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, int | float | str]]:
    """Settings under their standard names, and the others under their own; what really ran counts."""
    found: dict[str, Any] = {}
    others = dict(overrides)
    for settings in (requested, actual):
        for name, value in standard_names(settings).items():
            if name in _INDEXED and _fits(BY_NAME[name], value):
                found[name] = value
            else:
                others[name] = value
    kept = {name: _scalar(value) for name, value in others.items() if _SETTING_NAME.fullmatch(name)}
    return found, {name: value for name, value in kept.items() if value is not None}


def _fits(setting: Setting, value: Any) -> bool:
    """Whether a value that may have been given under another name is one that the column takes."""
    match setting.type:
        case "text":
            return isinstance(value, str)
        case "integer":
            return type(value) is int and abs(value) <= MAX_SAFE_INTEGER
        case "number":
            return type(value) in (int, float) and abs(value) < _LARGEST_NUMBER
        case "seed":
            return type(value) is int or (isinstance(value, str) and _INTEGER.fullmatch(value) is not None)


_LARGEST_NUMBER: Final = 1e300


def _scalar(value: Any) -> int | float | str | None:
    """A value of a setting without a column as SQLite stores it; None for lists and objects, which it leaves out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return value if abs(value) <= MAX_SAFE_INTEGER else str(value)[:MAX_TEXT]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value[:MAX_TEXT] if isinstance(value, str) else None


def _known_seed(seed: int | str | None) -> int | None:
    """The seed as an integer; -1 means that the engine chose one and did not report it."""
    return None if seed is None or seed == -1 else int(seed)


def _recorded_scores(document: FastRecord, finals: list[FastOutput]) -> tuple[ScoreEntry, ...]:
    """The scores in a record, which count as earlier than all others; those of the variant are each image's."""
    return tuple(build_scores(iter_scores(document["metrics"], ""), [output["digest"] for output in finals]))
