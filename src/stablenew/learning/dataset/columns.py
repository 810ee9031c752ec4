"""The columns of the dataset: one row an output image. Name, Arrow type and meaning of each, in order.

An image that is in several runs, or twice in one, has a row for each; what people said of it in any of these runs
stands in all its rows, and all but the first name in `copy_of` where that is.

Settings come three times, because they answer three questions: `steps` is what ran (as the engine reported it, else as
it was requested), `requested_steps` is what the variant requested of its main stage, and `<stage>_<setting>` is what
the run's config, with the variant's overrides, requested of a stage beyond that. Model files have their common names
in all of them (see `common_file_name`); records have what programs called them.

Settings and metrics that are not in the table of settings are in the lists `settings`, `requested_settings` and
`metrics`. Where the values of one agree on a type, the dataset also has a column `setting_<name>` or `metric_<name>`.
"""

import typing
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from stablenew.formats.pipeline_config import STAGE_TYPES
from stablenew.formats.settings import SETTINGS, SettingType, names_file


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """All of `column` as a single array."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


def text_of(column: pa.StringArray) -> bytes:
    """All texts of `column` joined, without making each a Python string."""
    _, offsets, data = column.buffers()
    if data is None or len(column) == 0:
        return b""
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return memoryview(data)[ends[0] : ends[-1]].tobytes()


SEED: Final = pa.uint64()
MOMENT: Final = pa.timestamp("ms", tz="UTC")
OWN_SETTINGS: Final = pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))
"""Settings by name, values as JSON. A list of structs and no map, because not every reader of Parquet knows maps."""
OWN_METRICS: Final = pa.list_(pa.struct([("name", pa.string()), ("value", pa.float64())]))
_TEXTS: Final = pa.list_(pa.string())

_SETTING_TYPES: Final[dict[SettingType, pa.DataType]] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "seed": SEED,
}
MAIN_SETTINGS: Final = {setting.name: _SETTING_TYPES[setting.type] for setting in SETTINGS}
"""Type of each setting of the main stage, by its standard name. A seed that was left to the engine is null."""

_ARROW_TYPES: Final[dict[Any, pa.DataType]] = {
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    str: pa.string(),
}
_SEEDS: Final = ("seed", "subseed")


class Column(NamedTuple):
    """One column: its name, its type, and what it means."""

    name: str
    type: pa.DataType
    meaning: str


def _arrow_type(name: str, annotation: Any) -> pa.DataType:
    if name in _SEEDS:
        return SEED
    if type(None) in typing.get_args(annotation):
        annotation = next(kind for kind in typing.get_args(annotation) if kind is not type(None))
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return _ARROW_TYPES[str if typing.get_origin(annotation) is typing.Literal else annotation]


def _stage_settings() -> dict[tuple[str, str], pa.DataType]:
    return {
        (stage, name): _arrow_type(name, field.annotation)
        for stage, model in STAGE_TYPES.items()
        for name, field in model.model_fields.items()
        if name != "extra"
    }


STAGE_SETTINGS: Final = _stage_settings()
"""Type of every setting of every stage, by stage and setting."""


def stage_model(stage: str) -> type[BaseModel]:
    """The model of a stage's settings."""
    return STAGE_TYPES[stage]


def stage_column(stage: str, setting: str) -> str | None:
    """The column of a stage's setting; a main setting of txt2img has the plain name. None: no such setting."""
    if (stage, setting) not in STAGE_SETTINGS:
        return None
    return setting if stage == "txt2img" and setting in MAIN_SETTINGS else f"{stage}_{setting}"


def _run_columns() -> Iterator[Column]:
    text = pa.string()
    yield Column("run_id", text, "the run")
    yield Column("run_created_at", MOMENT, "when the run began")
    yield Column("run_status", text, "how the run ended")
    yield Column("engine", text, "the engine that made the image")
    yield Column("engine_version", text, "its version")
    yield Column("host_id", text, "the machine")
    yield Column("user_id", text, "the person at it")
    yield Column("job_id", text, "what other systems call the run")
    yield Column("session_id", text, "what other systems call the session")
    yield Column("parent_run_id", text, "the interrupted run that this one continued")
    yield Column("one_click_action", text, "the one-click action that started it")
    yield Column("learning_tags", _TEXTS, "tags given at the start; those of a learning plan begin with `plan:`")
    yield Column("packs", _TEXTS, "ids of the prompt packs")
    yield Column("config_digest", text, "digest of the whole config")
    yield Column("plan_mode", text, "how variants were chosen: fanout, sequential or random")
    yield Column("plan_size", pa.int64(), "variants in the plan")


def _title(name: str) -> str:
    return f"{name} (the file's common name)" if names_file(name) else name


def _variant_columns() -> Iterator[Column]:
    text = pa.string()
    yield Column("variant", pa.int64(), "which variant of the run, from 0")
    yield Column("variant_label", text, "what the plan put into prompt and settings, such as [time]=dawn")
    yield Column("variant_status", text, "how the variant ended")
    yield Column("started_at", MOMENT, "when the variant began")
    yield Column("duration_seconds", pa.float64(), "how long it took")
    yield Column("prompt", text, "the prompt as it was sent")
    yield Column("negative_prompt", text, "the negative prompt as it was sent")
    yield Column("prompt_id", text, "which prompt of its pack")
    yield Column("pack_id", text, "the pack of the prompt")
    yield Column("loras", pa.list_(pa.struct([("name", text), ("weight", pa.float64())])), "LoRAs in the prompt")
    yield Column("embeddings", _TEXTS, "embeddings in the prompt")
    yield Column("prompt_family", text, "equal for prompts that differ only in what a plan put in, weights or order")
    for name, kind in MAIN_SETTINGS.items():
        yield Column(name, kind, f"{_title(name)} as it ran: what the engine reported, else what was requested")
    yield Column("is_reported", pa.bool_(), "whether the engine reported what ran")
    for name, kind in MAIN_SETTINGS.items():
        yield Column(f"requested_{name}", kind, f"{_title(name)} as requested; null where left to the engine")
    yield Column("settings", OWN_SETTINGS, "other settings by name, as they ran, else as requested; values as JSON")
    yield Column("requested_settings", OWN_SETTINGS, "other settings by name, as requested or overridden")
    for (stage, name), kind in STAGE_SETTINGS.items():
        column = f"{stage}_{name}"
        if stage_column(stage, name) == column:
            yield Column(column, kind, f"{_title(f'{stage}.{name}')} as config and variant requested it")


def _image_columns() -> Iterator[Column]:
    text = pa.string()
    yield Column("image_id", text, "digest of the image's bytes; feedback refers to it")
    yield Column("path", text, "path in its run folder")
    yield Column("size_bytes", pa.int64(), "bytes of the file")
    yield Column("media_type", text, "such as image/png")
    yield Column("image_width", pa.int64(), "pixels")
    yield Column("image_height", pa.int64(), "pixels")
    yield Column("stage", text, "the stage that made it")
    yield Column("role", text, "`final` for the result of the variant, `intermediate` for the input of a later stage")
    yield Column("image_seed", SEED, "the seed of this image of a batch")
    yield Column("pixel_digest", text, "digest of its decoded RGB pixels")
    yield Column("parents", _TEXTS, "image ids of what it was made from")
    yield Column(
        "copy_of", text, "the run of the first row of this image, where it has several; null for that row itself"
    )
    yield Column("metrics", OWN_METRICS, "newest scores by programs, by name: the image's, else its variant's")


def _feedback_columns() -> Iterator[Column]:
    count = pa.int32()
    yield Column("rating", pa.float64(), "mean of the raters' stars, 0 to 5; null when nobody rated it")
    yield Column("rating_count", count, "raters")
    yield Column("ratings", RATINGS, "stars by rater")
    yield Column("earlier_ratings", RATINGS, "stars that a rater gave it before those in `ratings`, the first first")
    yield Column("aspects", ASPECTS, "stars for one aspect, by rater")
    yield Column("tags", _TEXTS, "tags that people gave the image")
    yield Column("pick_count", count, "raters who flagged it as a pick")
    yield Column("reject_count", count, "raters who flagged it as a reject")
    yield Column("notes", _TEXTS, "what people wrote about it")
    yield Column("job_rating", pa.float64(), "mean of the raters' stars for the whole run")
    yield Column("job_rating_count", count, "raters of the whole run")
    yield Column("job_tags", _TEXTS, "tags that people gave the whole run")
    yield Column("win_count", count, "comparisons it won, of those that stand in the runs that hold it")
    yield Column("loss_count", count, "comparisons it lost, of those that stand in the runs that hold it")
    yield Column("tie_count", count, "comparisons without a winner, of those that stand in the runs that hold it")
    yield Column("trashed", pa.bool_(), "whether it is in the trash")
    yield Column("removed", pa.bool_(), "whether its bytes were removed on purpose, on some machine")


RATINGS: Final = pa.list_(pa.struct([("rater", pa.string()), ("rating", pa.int32()), ("rated_at", MOMENT)]))
ASPECTS: Final = pa.list_(pa.struct([("rater", pa.string()), ("aspect", pa.string()), ("rating", pa.int32())]))

TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"
SPLITS: Final = (TRAIN, VALIDATION, TEST)

RUN_COLUMNS: Final = tuple(_run_columns())
VARIANT_COLUMNS: Final = tuple(_variant_columns())
IMAGE_COLUMNS: Final = tuple(_image_columns())
FEEDBACK_COLUMNS: Final = tuple(_feedback_columns())
SPLIT_COLUMN: Final = Column(
    "split", pa.string(), "train, validation or test; null where seed or ancestry tie it to another split"
)
COLUMNS: Final = (*RUN_COLUMNS, *VARIANT_COLUMNS, *IMAGE_COLUMNS, *FEEDBACK_COLUMNS, SPLIT_COLUMN)

OWN_PREFIXES: Final = {"setting_": "settings", "metric_": "metrics"}
"""How the names of own columns begin, and the list column that each of them is taken from."""


def own_column(name: str, kind: str) -> Column:
    """The column of a setting or metric that is not in the table of settings; `kind` is one of `OWN_TYPES`."""
    prefix = next(prefix for prefix in OWN_PREFIXES if name.startswith(prefix))
    word = "setting" if prefix == "setting_" else "metric"
    return Column(name, OWN_TYPES[kind], f"the {word} {name.removeprefix(prefix)!r} of `{OWN_PREFIXES[prefix]}`")


def is_own_column(name: str) -> bool:
    """Whether a column is one that only some datasets have."""
    return name not in _FIXED and name.startswith(tuple(OWN_PREFIXES))


OWN_TYPES: Final[dict[str, pa.DataType]] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
}
"""The types that own columns can have; one whose values do not agree on a type is in its list only."""
_FIXED: Final = frozenset(column.name for column in COLUMNS)

PREFERENCE_COLUMNS: Final = (
    Column("run_id", pa.string(), "the run of both images, or of the one with the lower image id"),
    Column("other_run_id", pa.string(), "the run of the other image, where it is another"),
    Column("event_id", pa.string(), "the feedback event"),
    Column("rater", pa.string(), "who compared them"),
    Column("winner", pa.string(), "image id of the winner; of a tie, of the one named first"),
    Column("loser", pa.string(), "image id of the other"),
    Column("outcome", pa.string(), "win, tie or both_bad"),
    Column("shown", pa.string(), "the side on which the winner was shown"),
)

COLUMNS_VERSION: Final = 6
"""Increases when a column is added, removed or changes its meaning; parts of another version are made again."""


def _schema(columns: tuple[Column, ...]) -> pa.Schema:
    return pa.schema([pa.field(column.name, column.type) for column in columns])


IMAGES_SCHEMA: Final = _schema(COLUMNS)
PREFERENCES_SCHEMA: Final = _schema(PREFERENCE_COLUMNS)
RUNS_SCHEMA: Final = pa.schema(
    [
        ("run_id", pa.string()),
        ("left_out", pa.string()),
        ("detail", pa.string()),
        ("digest", pa.string()),
        ("feedback_digest", pa.string()),
        ("metrics_digest", pa.string()),
        ("chosen_digest", pa.string()),
        *((name, pa.int64()) for name in ("record_count", "image_count", "rated_image_count", "event_count")),
        *((name, pa.int64()) for name in ("lost_opinion_count", "preference_count")),
    ]
)
"""Every run that was seen: why it was left out (one of `run_source.REASONS`, with details), or the counts of its rows.

`digest` is that of the sealed run, `feedback_digest` that of its set of feedback events,
`metrics_digest` that of its scores that were added later, null where it has none, `chosen_digest` that of the digests
of its images, a line each, where only some were wanted. `rated_image_count` counts what was said in the run itself. A
lost opinion is about an
image that no record of the run names.
"""
COPIES_SCHEMA: Final = pa.schema(
    [
        ("part", pa.int32()),
        ("row", pa.int32()),
        ("run_id", pa.string()),
        ("image_id", pa.string()),
        ("copy_of", pa.string()),
    ]
)
"""The rows of images that have several, or that other runs hold too: which part, which row of it, and the run of the
first row of the image, null for that row itself."""
