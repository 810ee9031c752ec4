"""Joining: run folders in, rows of the dataset out. Pure, so that it runs wherever an executor puts it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.learning.dataset.columns import (
    IMAGES_SCHEMA,
    MAIN_SETTINGS,
    MOMENT,
    OWN_METRICS,
    PREFERENCES_SCHEMA,
    RUNS_SCHEMA,
    SEED,
    STAGE_SETTINGS,
    stage_column,
    whole,
)
from stablenew.learning.dataset.parts.file_names import with_common_names
from stablenew.learning.dataset.source.json_tables import READ_SEED, read_type
from stablenew.learning.dataset.source.metric_table import add_later_metrics, digest_metrics
from stablenew.learning.dataset.source.opinion_table import (
    RunOpinions,
    build_feedback_columns,
    build_job_columns,
    read_run_opinions,
)
from stablenew.learning.dataset.source.run_source import LeftOut, Problem, RunFiles
from stablenew.learning.dataset.source.run_tables import RunTables, read_run_tables
from stablenew.learning.dataset.split import build_prompt_family

_FIRST_SEED: Final = pa.scalar(Decimal(0), READ_SEED)
_LAST_SEED: Final = pa.scalar(Decimal(2**64 - 1), READ_SEED)
_NO_SEED: Final = pa.scalar(None, READ_SEED)


@dataclass
class FeedbackColumns:
    """The feedback on the images of some runs."""

    columns: dict[str, pa.Array]
    """`FEEDBACK_COLUMNS`, one row per image."""
    preferences: pa.Table
    """`PREFERENCES_SCHEMA`."""
    runs: pa.Table
    """`RUNS_SCHEMA`: the counts of each run."""
    problems: list[Problem]
    """Feedback that could not be read."""


@dataclass
class DatasetPart:
    """The rows of some runs."""

    images: pa.Table
    """`IMAGES_SCHEMA`, in the order of runs, variants and outputs; the split is still null."""
    preferences: pa.Table
    """`PREFERENCES_SCHEMA`."""
    runs: pa.Table
    """`RUNS_SCHEMA`: first the runs that are joined, then those that are left out."""
    problems: list[Problem] = field(default_factory=list)
    """What could not be read."""


def build_part(runs: Iterable[RunFiles | LeftOut]) -> DatasetPart:
    """The rows of `runs`: each output image with its run, variant, settings, prompt and feedback."""
    found = list(runs)
    left_out = [run for run in found if isinstance(run, LeftOut)]
    tables = read_run_tables([run for run in found if isinstance(run, RunFiles)])
    records, rows = _flatten_outputs(tables)
    columns = _image_columns(rows) | _record_columns(tables, records) | _run_columns(tables, records.runs)
    columns["metrics"] = _metrics(tables.records, records.records)
    if any(run.metrics for run in tables.runs):
        columns["metrics"] = add_later_metrics(columns["metrics"], columns["image_id"], records.runs, tables.runs)
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
    """The feedback of `runs`, joined to their images; `origins` has for each image the index of its run.

    `record_counts` has for each run how many records were read.
    """
    opinions = [read_run_opinions(run) for run in runs]
    judged = _find_judged(image_ids, origins, opinions)
    columns = _opinion_columns(judged, origins, opinions)
    return FeedbackColumns(
        columns=columns,
        preferences=_preferences(runs, opinions),
        runs=_joined_runs(runs, record_counts, origins, columns["rating_count"], opinions, judged),
        problems=[problem for opinion in opinions for problem in opinion.problems],
    )


class _Origins(NamedTuple):
    """Where each image came from."""

    records: npt.NDArray[np.int64]
    """The row of its record."""
    runs: npt.NDArray[np.int64]
    """The row of its run."""


def _flatten_outputs(tables: RunTables) -> tuple[_Origins, pa.StructArray]:
    outputs = whole(tables.records["outputs"])
    records = pc.list_parent_indices(outputs).to_numpy(zero_copy_only=False).astype(np.int64)
    return _Origins(records, tables.record_runs[records]), outputs.flatten()


def _image_columns(outputs: pa.StructArray) -> dict[str, pa.Array]:
    names = {"digest": "image_id", "width": "image_width", "height": "image_height", "seed": "image_seed"}
    columns = {names.get(field.name, field.name): pc.struct_field(outputs, field.name) for field in outputs.type}
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
        **{name: records[name] for name in ("settings", "requested_settings")},
        **_stage_columns(tables),
    }
    rows = pa.array(origins.records)
    return {name: whole(column).take(rows) for name, column in with_common_names(columns).items()}


def _metrics(records: pa.Table, origins: npt.NDArray[np.int64]) -> pa.Array:
    """The metrics of each image: its own, and those of its variant that it has not itself."""
    shared, own = whole(records["metrics"]), whole(records["output_metrics"])
    if own.null_count == len(own):
        return shared.take(pa.array(origins))
    positions = np.arange(len(origins)) - np.searchsorted(origins, origins)
    of_variant, of_outputs = shared.to_pylist(), own.to_pylist()
    rows = []
    for record, position in zip(origins.tolist(), positions.tolist(), strict=True):
        outputs = of_outputs[record]
        metrics = _by_name(of_variant[record]) | _by_name(outputs[position] if outputs else None)
        rows.append(sorted(metrics.items()) or None)
    return pa.array(rows, OWN_METRICS)


def _by_name(entries: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    return {entry["name"]: entry["value"] for entry in entries or ()}


def _setting(settings: pa.ChunkedArray, name: str) -> Any:
    column = pc.struct_field(settings, name)
    return _seed(column) if name == "seed" else column


def _seed(column: Any) -> Any:
    """A seed as an unsigned number; null where the engine was left to choose, and for numbers beyond 64 bits."""
    is_seed = pc.and_(pc.greater_equal(column, _FIRST_SEED), pc.less_equal(column, _LAST_SEED))
    return pc.cast(pc.if_else(is_seed, column, _NO_SEED), SEED)


def _stage_columns(tables: RunTables) -> dict[str, Any]:
    """For each record, what its config and variant request of the stages."""
    overrides = pc.struct_field(tables.records["variant"], "overrides")
    config = tables.metadata["config"]
    runs = pa.array(tables.record_runs)
    columns = {}
    used = {field.name for field in overrides.type}
    for (stage, name), kind in STAGE_SETTINGS.items():
        column = stage_column(stage, name)
        if column is None or not column.startswith(f"{stage}_"):
            continue
        dotted = f"{stage}.{name}"
        own = pc.struct_field(overrides, dotted) if dotted in used else pa.nulls(len(overrides), read_type(kind))
        common = pc.struct_field(config, [stage, name])
        if own.null_count == len(own) and common.null_count == len(common):
            continue
        value = pc.coalesce(own, common.take(runs))
        columns[column] = _seed(value) if pa.types.is_decimal(value.type) else value
    return columns


def _prompt_families(prompt: pa.ChunkedArray, variant: pa.ChunkedArray) -> pa.Array:
    """Computed once for each different prompt and label, because most occur many times."""
    prompts = whole(pc.struct_field(prompt, "positive")).dictionary_encode()
    labels = whole(pc.fill_null(pc.struct_field(variant, "label"), "")).dictionary_encode()
    width = max(1, len(labels.dictionary))
    pairs, indices = np.unique(_codes(prompts) * width + _codes(labels), return_inverse=True)
    texts, names = prompts.dictionary.to_pylist(), labels.dictionary.to_pylist()
    families = [build_prompt_family(texts[pair // width], names[pair % width]) for pair in pairs.tolist()]
    return pa.array(families, pa.string()).take(pa.array(indices))


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


class _Judged(NamedTuple):
    """An image that has feedback."""

    row: int
    """Its row."""
    run: int
    """The index of its run."""
    image: str
    """Its image id."""


def _find_judged(image_ids: pa.Array, runs: npt.NDArray[np.int64], opinions: Sequence[RunOpinions]) -> list[_Judged]:
    has_feedback = np.array([bool(opinion.subjects) for opinion in opinions], bool)
    asked = np.flatnonzero(has_feedback[runs]) if len(runs) else np.empty(0, np.int64)
    ids = image_ids.take(pa.array(asked)).to_pylist()
    found = zip(asked.tolist(), runs[asked].tolist(), ids, strict=True)
    return [_Judged(row, run, image) for row, run, image in found if image in opinions[run].subjects]


def _opinion_columns(
    judged: Sequence[_Judged], runs: npt.NDArray[np.int64], opinions: Sequence[RunOpinions]
) -> dict[str, pa.Array]:
    """The feedback columns, joined by run and image."""
    jobs = build_job_columns(opinions)
    columns = {name: column.take(pa.array(runs)) for name, column in jobs.items()}
    return columns | build_feedback_columns([(row, opinions[run], image) for row, run, image in judged], len(runs))


def _preferences(runs: Sequence[RunFiles], opinions: Sequence[RunOpinions]) -> pa.Table:
    rows = [
        {"run_id": run.run_id} | preference
        for run, opinion in zip(runs, opinions, strict=True)
        for preference in opinion.preferences
    ]
    return pa.Table.from_pylist(rows, schema=PREFERENCES_SCHEMA)


def _joined_runs(
    runs: Sequence[RunFiles],
    record_counts: npt.NDArray[np.int64],
    origins: npt.NDArray[np.int64],
    rating_counts: pa.Array,
    opinions: Sequence[RunOpinions],
    judged: Sequence[_Judged],
) -> pa.Table:
    count = len(runs)
    is_rated = rating_counts.to_numpy(zero_copy_only=False) > 0
    columns = {
        "run_id": [run.run_id for run in runs],
        "digest": [run.digest for run in runs],
        "feedback_digest": [opinion.digest for opinion in opinions],
        "metrics_digest": [digest_metrics(run) if run.metrics else None for run in runs],
        "record_count": record_counts,
        "image_count": np.bincount(origins, minlength=count),
        "rated_image_count": np.bincount(origins[is_rated], minlength=count),
        "event_count": [len(opinion.events) for opinion in opinions],
        "lost_opinion_count": _count_lost(opinions, judged),
        "preference_count": [len(opinion.preferences) for opinion in opinions],
    }
    return _table(columns, RUNS_SCHEMA, count)


def _count_lost(opinions: Sequence[RunOpinions], judged: Sequence[_Judged]) -> list[int]:
    """For each run, how many images have feedback and are in no record of it."""
    found: dict[int, set[str]] = {}
    for _, run, image in judged:
        found.setdefault(run, {""}).add(image)
    return [len(opinion.by_image.keys() - found.get(run, {""})) for run, opinion in enumerate(opinions)]


def left_out_runs(left_out: Sequence[LeftOut]) -> pa.Table:
    """Runs that are left out, as `RUNS_SCHEMA`."""
    run_ids, reasons, details = zip(*left_out, strict=True) if left_out else ((), (), ())
    return _table({"run_id": run_ids, "left_out": reasons, "detail": details}, RUNS_SCHEMA, len(left_out))


def _table(columns: Mapping[str, Any], schema: pa.Schema, count: int) -> pa.Table:
    """A table with these columns of `schema`; the others are null."""
    found = [columns[field.name] if field.name in columns else pa.nulls(count, field.type) for field in schema]
    return pa.table(found, schema=schema)
