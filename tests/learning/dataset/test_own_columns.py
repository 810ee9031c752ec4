"""Columns that only one dataset has: typed where values agree, equal in every part however the dataset is built."""

import json

import pytest
from pyarrow import dataset as arrow_dataset

from stablenew import FeedbackManager, RunRecorder
from stablenew.learning.dataset import own_columns, state
from stablenew.learning.dataset.own_columns import choose_own_columns, merge_kinds
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.dataset.source import folder_scan
from stablenew.learning.dataset_builder import DatasetBuilder
from tests import samples


def record(store, run_id, settings, **options):
    with RunRecorder(store.root, run_id=run_id) as run:
        run.record_variant(prompt="a harbour", images=[samples.png(run_id.encode())], settings=settings, **options)


def build(store, folder, **options):
    DatasetBuilder(store).build_learning_dataset(folder, **options)
    return Dataset(folder)


def names_of(dataset):
    return [column.name for column in dataset.columns if column.name.startswith(("setting_", "metric_"))]


def test_every_scalar_is_in_the_list_and_has_a_column_where_values_agree(store, tmp_path):
    record(store, "run-1", {"guidance_scale": 6, "rescale": 0.5, "tiled": True, "mode": "fast", "mixed": 1, "count": 3})
    record(store, "run-2", {"cfg": 8, "rescale": 1, "tiled": False, "mode": 'a "b"', "mixed": "two", "count": 2**70})
    dataset = build(store, tmp_path / "ds")
    rows = dataset.read_images().to_pylist()
    assert [row["cfg_scale"] for row in rows] == [6.0, 8.0]
    assert names_of(dataset) == ["setting_mode", "setting_rescale", "setting_tiled"]
    assert [row["setting_rescale"] for row in rows] == [0.5, 1.0]
    assert [row["setting_tiled"] for row in rows] == [True, False]
    assert [row["setting_mode"] for row in rows] == ["fast", 'a "b"']
    lists = [{entry["name"]: json.loads(entry["value"]) for entry in row["settings"]} for row in rows]
    assert [settings["mixed"] for settings in lists] == [1, "two"]
    assert int(lists[1]["count"]) == 2**70


@pytest.mark.heavy
def test_all_parts_have_the_same_columns_however_they_were_built(store, tmp_path, monkeypatch):
    monkeypatch.setattr(state, "_FEWEST_RUNS", 2)
    monkeypatch.setattr(state, "_MOST_RUNS", 3)
    monkeypatch.setattr(folder_scan, "YOUNG_NS", -1)
    for number in range(6):
        record(store, f"run-{number}", {"steps": 10 + number} | ({"rescale": 0.5} if number == 5 else {}))
    build(store, tmp_path / "ds")
    record(store, "run-6", {"rescale": 2, "tile": 64})
    FeedbackManager(store, rater="alice").record_feedback("run-0", "0/0", 4)
    again, full = build(store, tmp_path / "ds"), build(store, tmp_path / "full")
    assert len(again.parts) > 1
    assert again.read_images().equals(full.read_images())
    assert [part.digest for part in again.parts] == [part.digest for part in full.parts]
    assert not list(again.iter_findings())
    table = arrow_dataset.dataset(tmp_path / "ds" / "images", format="parquet").to_table()
    assert table["setting_rescale"].to_pylist() == [None] * 5 + [0.5, 2.0]
    assert table["setting_tile"].to_pylist() == [None] * 6 + [64]


def test_metrics_that_records_hold_are_columns(store, tmp_path):
    writer = store.create(samples.metadata("run-1"))
    outputs = []
    for number in range(2):
        image = samples.build_image(samples.png(b"%d" % number), variant=0, stage="txt2img", number=number)
        writer.write_output(image.data, variant=0, stage="txt2img", number=number, media_type="image/png")
        outputs.append(image.reference.to_dict())
    metrics = [
        {"metric": "aesthetic", "value": 5},
        {"metric": "seconds", "value": 2},
        {"metric": "aesthetic", "value": 6.5, "image_id": outputs[1]["digest"]},
        {"metric": "clip", "value": 0.25, "scorer": "vit-l", "image_id": outputs[0]["digest"]},
    ]
    fields = samples.record("run-1", 0, []).to_dict() | {"outputs": outputs, "metrics": metrics}
    writer.append_record(type(samples.record("run-1", 0, [])).from_dict(fields))
    writer.seal(samples.metadata("run-1", status="completed", record_count=1, output_count=2))
    rows = build(store, tmp_path / "ds").read_images().to_pylist()
    assert [(row["metric_aesthetic"], row["metric_seconds"]) for row in rows] == [(5.0, 2.0), (6.5, 2.0)]
    assert [row["metric_clip (vit-l)"] for row in rows] == [0.25, None]


def test_metrics_given_while_recording_are_columns(store, tmp_path):
    record(store, "run-1", {"steps": 9}, metrics={"aesthetic": 6.1})
    assert build(store, tmp_path / "ds").read_images()["metric_aesthetic"].to_pylist() == [6.1]


@pytest.mark.parametrize(
    ("kinds", "merged"),
    [
        (["integer", "integer"], "integer"),
        (["integer", "number"], "number"),
        (["text", "integer"], "mixed"),
        (["boolean", "integer"], "mixed"),
        (["mixed", "number"], "mixed"),
    ],
)
def test_kinds_are_merged_alike_in_any_order(kinds, merged):
    parts = [{"setting_a": (kind, 1)} for kind in kinds]
    assert merge_kinds(parts) == merge_kinds(parts[::-1]) == {"setting_a": (merged, 2)}


def test_of_too_many_the_columns_of_most_images_are_chosen(monkeypatch):
    monkeypatch.setattr(own_columns, "MOST_OWN_COLUMNS", 2)
    kinds = {
        "setting_a": ("text", 1),
        "setting_b": ("number", 3),
        "setting_c": ("integer", 2),
        "setting_d": ("mixed", 9),
    }
    assert [column.name for column in choose_own_columns(kinds)] == ["setting_b", "setting_c"]
