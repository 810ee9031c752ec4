"""The kernel of the dataset: run folders in, joined rows out. Pure, so that any engine can spread it over machines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.learning.dataset.columns import (
    FEEDBACK_COLUMNS,
    IMAGES_SCHEMA,
    MAIN_SETTINGS,
    MOMENT,
    PREFERENCES_SCHEMA,
    RUNS_SCHEMA,
    SEED,
    STAGE_SETTINGS,
    stage_column,
    whole,
)
from stablenew.learning.dataset.source.json_tables import READ_SEED, read_type
from stablenew.learning.dataset.source.opinion_table import (
    RunOpinions,
    build_image_columns,
    build_job_columns,
    read_run_opinions,
)
from stablenew.learning.dataset.source.run_source import LeftOut, RunFiles
from stablenew.learning.dataset.source.run_tables import Problem, RunTables, read_run_tables
from stablenew.learning.dataset.split import build_prompt_family

_FIRST_SEED: Final = pa.scalar(Decimal(0), READ_SEED)
_LAST_SEED: Final = pa.scalar(Decimal(2**64 - 1), READ_SEED)
_NO_SEED: Final = pa.scalar(None, READ_SEED)
_COUNTS: Final = ("rating_count", "pick_count", "reject_count", "win_count", "loss_count", "tie_count")


@dataclass
class FeedbackColumns:
    """What people think of the images of some runs."""

    columns: dict[str, pa.Array]
    """`FEEDBACK_COLUMNS`, a row an image."""
    preferences: pa.Table
    runs: pa.Table
    """`RUNS_SCHEMA`, what is joined of each run."""
    problems: list[Problem]


@dataclass
class DatasetPart:
    """The rows of some runs."""

    images: pa.Table
    """`IMAGES_SCHEMA`, in the order of runs, variants and outputs; the split is still null."""
    preferences: pa.Table
    runs: pa.Table
    """`RUNS_SCHEMA`, what became of each run: first those that are joined, then those that are left out."""
    problems: list[Problem] = field(default_factory=list)


def build_part(runs: Iterable[RunFiles | LeftOut]) -> DatasetPart:
    """The rows of `runs`: each output image with its run, variant, settings, prompt, and what people think of it."""
    found = list(runs)
    left_out = [one for one in found if isinstance(one, LeftOut)]
    tables = read_run_tables([one for one in found if isinstance(one, RunFiles)])
    records, rows = _flatten_outputs(tables)
    columns = _image_columns(rows) | _record_columns(tables, records) | _run_columns(tables, records.runs)
    record_counts = np.bincount(tables.record_runs, minlength=len(tables.runs))
    feedback = join_feedback(columns["image_id"], records.runs, tables.runs, record_counts)
    return DatasetPart(
        images=_table(columns | feedback.columns, IMAGES_SCHEMA, len(rows)),
        preferences=feedback.preferences,
        runs=pa.concat_tables([feedback.runs, left_out_runs([*left_out, *tables.left_out])]),
        problems=[*tables.problems, *feedback.problems],
    )


def join_feedback(
    image_ids: pa.Array, origins: npt.NDArray[np.int64], runs: Sequence[RunFiles], record_counts: npt.NDArray[np.int64]
) -> FeedbackColumns:
    """What the feedback of `runs` says of their images: for each of these the row of its run is in `origins`.

    Of each run it takes how many records were read.
    """
    said = [read_run_opinions(run) for run in runs]
    spoken = _spoken_images(image_ids, origins, said)
    columns = _opinion_columns(spoken, origins, said)
    return FeedbackColumns(
        columns=columns,
        preferences=_preferences(runs, said),
        runs=_joined_runs(runs, record_counts, origins, columns["rating_count"], said, spoken),
        problems=[problem for one in said for problem in one.problems],
    )


class _Origins(NamedTuple):
    """Where each image came from."""

    records: npt.NDArray[np.int64]
    """Row of its record."""
    runs: npt.NDArray[np.int64]
    """Row of its run."""


def _flatten_outputs(tables: RunTables) -> tuple[_Origins, pa.StructArray]:
    outputs = whole(tables.records["outputs"])
    records = pc.list_parent_indices(outputs).to_numpy(zero_copy_only=False).astype(np.int64)
    return _Origins(records, tables.record_runs[records]), outputs.flatten()


def _image_columns(outputs: pa.StructArray) -> dict[str, pa.Array]:
    names = {"digest": "image_id", "width": "image_width", "height": "image_height", "seed": "image_seed"}
    columns = {names.get(one.name, one.name): pc.struct_field(outputs, one.name) for one in outputs.type}
    return columns | {"image_seed": _seed(columns["image_seed"])}


def _record_columns(tables: RunTables, origins: _Origins) -> dict[str, pa.Array]:
    records = tables.records
    variant, prompt = records["variant"], records["prompt"]
    requested = {name: _setting(records["requested"], name) for name in MAIN_SETTINGS}
    actual = {name: _setting(records["actual"], name) for name in MAIN_SETTINGS}
    columns: dict[str, Any] = {
        "variant": pc.struct_field(variant, "index"),
        "variant_label": pc.struct_field(variant, "label"),
        "variant_status": records["status"],
        "started_at": pc.cast(records["started_at"], MOMENT),
        "duration_seconds": records["duration_seconds"],
        "prompt": pc.struct_field(prompt, "positive"),
        "negative_prompt": pc.struct_field(prompt, "negative"),
        **{name: pc.struct_field(prompt, name) for name in ("prompt_id", "pack_id", "loras", "embeddings")},
        "prompt_family": _prompt_families(prompt, variant),
        "is_reported": pc.is_valid(records["actual"]),
        **{name: pc.coalesce(actual[name], requested[name]) for name in MAIN_SETTINGS},
        **{f"requested_{name}": requested[name] for name in MAIN_SETTINGS},
        **_stage_columns(tables),
    }
    rows = pa.array(origins.records)
    return {name: whole(column).take(rows) for name, column in columns.items()}


def _setting(settings: pa.ChunkedArray, name: str) -> Any:
    column = pc.struct_field(settings, name)
    return _seed(column) if name == "seed" else column


def _seed(column: Any) -> Any:
    """A seed as an unsigned number; null where an engine was left to choose, and for what is beyond any engine's."""
    is_seed = pc.and_(pc.greater_equal(column, _FIRST_SEED), pc.less_equal(column, _LAST_SEED))
    return pc.cast(pc.if_else(is_seed, column, _NO_SEED), SEED)


def _stage_columns(tables: RunTables) -> dict[str, Any]:
    """What config and variant ask of the stages, for each record."""
    overrides = pc.struct_field(tables.records["variant"], "overrides")
    config = tables.metadata["config"]
    runs = pa.array(tables.record_runs)
    columns = {}
    used = {one.name for one in overrides.type}
    for (stage, name), kind in STAGE_SETTINGS.items():
        column = stage_column(stage, name)
        if column is None or not column.startswith(f"{stage}_"):
            continue
        field = f"{stage}.{name}"
        own = pc.struct_field(overrides, field) if field in used else pa.nulls(len(overrides), read_type(kind))
        common = pc.struct_field(config, [stage, name])
        if own.null_count == len(own) and common.null_count == len(common):
            continue
        value = pc.coalesce(own, common.take(runs))
        columns[column] = _seed(value) if pa.types.is_decimal(value.type) else value
    return columns


def _prompt_families(prompt: pa.ChunkedArray, variant: pa.ChunkedArray) -> pa.Array:
    """Worked out once for each different prompt and label: most come many times."""
    prompts = whole(pc.struct_field(prompt, "positive")).dictionary_encode()
    labels = whole(pc.fill_null(pc.struct_field(variant, "label"), "")).dictionary_encode()
    width = max(1, len(labels.dictionary))
    pairs, places = np.unique(_codes(prompts) * width + _codes(labels), return_inverse=True)
    texts, names = prompts.dictionary.to_pylist(), labels.dictionary.to_pylist()
    families = [build_prompt_family(texts[pair // width], names[pair % width]) for pair in pairs.tolist()]
    return pa.array(families, pa.string()).take(pa.array(places))


def _codes(column: pa.DictionaryArray) -> npt.NDArray[np.int64]:
    codes: npt.NDArray[np.int64] = column.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _run_columns(tables: RunTables, runs: npt.NDArray[np.int64]) -> dict[str, pa.Array]:
    metadata = tables.metadata
    columns: dict[str, Any] = {
        "run_id": metadata["run_id"],
        "run_created_at": pc.cast(metadata["created_at"], MOMENT),
        "run_status": metadata["status"],
        **{name: pc.struct_field(metadata["source"], name) for name in _SOURCE},
        **{name: pc.struct_field(metadata["correlation"], name) for name in _CORRELATION},
        **{name: metadata[name] for name in ("one_click_action", "learning_tags", "config_digest")},
        "packs": _pack_ids(whole(metadata["packs"])),
        "plan_mode": pc.struct_field(metadata["variant_plan"], "mode"),
        "plan_size": pc.struct_field(metadata["variant_plan"], "size"),
    }
    rows = pa.array(runs)
    return {name: whole(column).take(rows) for name, column in columns.items()}


_SOURCE: Final = ("engine", "engine_version", "host_id", "user_id")
_CORRELATION: Final = ("job_id", "session_id", "parent_run_id")


def _pack_ids(packs: pa.ListArray) -> pa.ListArray:
    return pa.ListArray.from_arrays(packs.offsets, pc.struct_field(packs.values, "id"))


class _Spoken(NamedTuple):
    """An image that somebody spoke of."""

    row: int
    run: int
    image: str


def _spoken_images(image_ids: pa.Array, runs: npt.NDArray[np.int64], said: Sequence[RunOpinions]) -> list[_Spoken]:
    has_spoken = np.array([bool(one.subjects) for one in said], bool)
    asked = np.flatnonzero(has_spoken[runs]) if len(runs) else np.empty(0, np.int64)
    ids = image_ids.take(pa.array(asked)).to_pylist()
    found = zip(asked.tolist(), runs[asked].tolist(), ids, strict=True)
    return [_Spoken(row, run, image) for row, run, image in found if image in said[run].subjects]


def _opinion_columns(
    spoken: Sequence[_Spoken], runs: npt.NDArray[np.int64], said: Sequence[RunOpinions]
) -> dict[str, pa.Array]:
    """The feedback columns: joined by run and image, where anything was said."""
    jobs = build_job_columns(said)
    columns = {name: column.take(pa.array(runs)) for name, column in jobs.items()}
    described = build_image_columns((said[run], image) for _, run, image in spoken)
    places = np.full(len(runs), -1, np.int64)
    places[[row for row, _, _ in spoken]] = np.arange(len(spoken))
    take = pa.array(places, mask=places < 0)
    columns |= {name: column.take(take) for name, column in described.items()}
    for one in FEEDBACK_COLUMNS:
        if one.name in _COUNTS:
            columns[one.name] = pc.fill_null(columns[one.name], 0)
    return columns


def _preferences(runs: Sequence[RunFiles], said: Sequence[RunOpinions]) -> pa.Table:
    rows = [
        {"run_id": run.run_id} | preference
        for run, one in zip(runs, said, strict=True)
        for preference in one.preferences
    ]
    return pa.Table.from_pylist(rows, schema=PREFERENCES_SCHEMA)


def _joined_runs(
    runs: Sequence[RunFiles],
    record_counts: npt.NDArray[np.int64],
    origins: npt.NDArray[np.int64],
    rating_counts: pa.Array,
    said: Sequence[RunOpinions],
    spoken: Sequence[_Spoken],
) -> pa.Table:
    count = len(runs)
    is_rated = rating_counts.to_numpy(zero_copy_only=False) > 0
    columns = {
        "run_id": [run.run_id for run in runs],
        "digest": [run.digest for run in runs],
        "feedback_digest": [one.digest for one in said],
        "record_count": record_counts,
        "image_count": np.bincount(origins, minlength=count),
        "rated_image_count": np.bincount(origins[is_rated], minlength=count),
        "event_count": [len(one.events) for one in said],
        "lost_opinion_count": _count_lost(said, spoken),
        "preference_count": [len(one.preferences) for one in said],
    }
    return _table(columns, RUNS_SCHEMA, count)


def _count_lost(said: Sequence[RunOpinions], spoken: Sequence[_Spoken]) -> list[int]:
    """For each run how many images people spoke of that no record of it names."""
    found: dict[int, set[str]] = {}
    for _, run, image in spoken:
        found.setdefault(run, {""}).add(image)
    return [len(one.by_image.keys() - found.get(run, {""})) if one.by_image else 0 for run, one in enumerate(said)]


def left_out_runs(left_out: Sequence[LeftOut]) -> pa.Table:
    """Runs of which nothing is joined, as `RUNS_SCHEMA`."""
    run_ids, reasons, details = zip(*left_out, strict=True) if left_out else ((), (), ())
    return _table({"run_id": run_ids, "left_out": reasons, "detail": details}, RUNS_SCHEMA, len(left_out))


def _table(columns: Mapping[str, Any], schema: pa.Schema, count: int) -> pa.Table:
    """These columns of `schema`, the others null."""
    found = [columns[one.name] if one.name in columns else pa.nulls(count, one.type) for one in schema]
    return pa.table(found, schema=schema)
