"""An image in several runs: its rows say the same, wherever it was said, and one of them is the first."""

import random
import shutil
import sys
import time

import pytest

from stablenew import DatasetBuilder, FeedbackManager, RunStore
from stablenew.formats.documents.feedback_input import FeedbackInput
from stablenew.learning.dataset import build as dataset_build
from stablenew.learning.dataset import state, tables
from stablenew.learning.dataset.parts.executor import LocalExecutor
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.dataset.source import folder_scan
from stablenew.learning.dataset.split_plan import SplitPlan
from stablenew.recording.image_content import build_image
from tests import samples
from tests.profiles import by_profile

TICK = 0.05
"""Longer than a tick of the file system's clock."""


@pytest.fixture(autouse=True)
def _many_parts_and_settled_folders(monkeypatch):
    monkeypatch.setattr(state, "_FEWEST_RUNS", 2)
    monkeypatch.setattr(state, "_MOST_RUNS", 3)
    monkeypatch.setattr(tables, "_FEWEST_ROWS", 4)
    monkeypatch.setattr(folder_scan, "YOUNG_NS", -1)
    assert dataset_build.__name__ in sys.modules, "else another process would look at the folders"


def add_run(store, run_id, images, prompt="harbour"):
    """A sealed run; `images` say what its pictures hold. Returns their digests."""
    writer = store.create(samples.metadata(run_id))
    digests = []
    for number, content in enumerate(images):
        image = build_image(samples.png(content.encode()), variant=number, stage="txt2img", number=0)
        writer.write_output(image.data, variant=number, stage="txt2img", number=0, media_type="image/png")
        reference = image.reference.model_copy(update={"role": "final"})
        writer.append_record(samples.record(run_id, number, [reference], prompt={"positive": f"{prompt} {content}"}))
        digests.append(image.reference.digest)
    count = len(images)
    writer.seal(samples.metadata(run_id, status="completed", record_count=count, output_count=count))
    return digests


def build(store, folder, **options):
    DatasetBuilder(store, executor=LocalExecutor(1)).build_learning_dataset(folder, **options)
    return {(row["run_id"], row["image_id"]): row for row in Dataset(folder).read_images().to_pylist()}


def content(folder):
    ledger = Dataset(folder).ledger.to_dict()
    files = {path.name: path.read_bytes() for path in [*folder.glob("images/*"), *folder.glob("*.parquet")]}
    return {name: value for name, value in ledger.items() if name not in ("built_at", "source")}, files


def test_stars_in_another_run_of_the_same_image_stand_in_all_its_rows(tmp_path):
    store = RunStore(tmp_path / "runs")
    shared, _ = add_run(store, "a-recorded", ["shared", "own"])
    add_run(store, "z-imported", ["shared", "shared too"])
    FeedbackManager(store, rater="anna").record_feedback("z-imported", shared, 2, tags=["keep"], notes="hands wrong")
    FeedbackManager(store, rater="bob").record_feedback("a-recorded", shared, 3, flag="pick")
    FeedbackManager(store, rater="anna").record_feedback("a-recorded", shared, 5)
    found = build(store, tmp_path / "ds")
    first, copy = found["a-recorded", shared], found["z-imported", shared]
    for row in (first, copy):
        assert row["rating"] == 4
        assert [(one["rater"], one["rating"]) for one in row["ratings"]] == [("anna", 5), ("bob", 3)]
        assert [(one["rater"], one["rating"]) for one in row["earlier_ratings"]] == [("anna", 2)]
        assert (row["tags"], row["notes"], row["pick_count"]) == (["keep"], ["hands wrong"], 1)
    assert (first["copy_of"], copy["copy_of"]) == (None, "a-recorded")
    assert [row["copy_of"] for key, row in found.items() if key[1] != shared] == [None, None]
    assert Dataset(tmp_path / "ds").ledger.counts.images_rated == 2


def test_what_was_taken_back_counts_nowhere(tmp_path):
    store = RunStore(tmp_path / "runs")
    (image,) = add_run(store, "a", ["shared"])
    add_run(store, "z", ["shared"])
    manager = FeedbackManager(store, rater="anna")
    manager.record_feedback("a", image, 4)
    manager.record_feedback("z", image, 1, tags=["bad"])
    manager.undo("z")
    assert [row["rating"] for row in build(store, tmp_path / "ds").values()] == [4, 4]
    manager.record_many([FeedbackInput.build(run_id="z", image_id=image, trashed=True)])
    assert all(row["trashed"] for row in build(store, tmp_path / "ds").values())
    shutil.rmtree(store.root / "z")
    ((row),) = build(store, tmp_path / "ds").values()
    assert (row["rating"], row["trashed"], row["copy_of"], row["tags"]) == (4, False, None, [])


def test_a_rating_in_another_run_makes_only_the_parts_again_whose_rows_change(tmp_path):
    store = RunStore(tmp_path / "runs")
    (shared,) = add_run(store, "a", ["shared"])
    for letter in "bcdefghijklmn":
        add_run(store, letter, [letter])
    _, other = add_run(store, "z", ["shared", "other"])
    build(store, tmp_path / "ds")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "ds" / "images").iterdir()}
    time.sleep(TICK)
    FeedbackManager(store, rater="anna").record_feedback("z", shared, 4)
    assert build(store, tmp_path / "ds")["a", shared]["rating"] == 4
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "ds" / "images").iterdir()}
    kept = {name for name in before if after.get(name) == before[name]}
    assert len(before) - len(kept) == 2, "the part of the run where it was said, and that of the other run"
    time.sleep(TICK)
    FeedbackManager(store, rater="anna").record_feedback("z", other, 2)
    build(store, tmp_path / "ds")
    last = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "ds" / "images").iterdir()}
    assert sum(last.get(name) != written for name, written in after.items()) == 1, "no row of the other part changed"


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(by_profile(few=2, quick=3, ci=3, nightly=12)))
def test_builds_one_after_the_other_equal_full_ones_byte_for_byte(tmp_path, seed):
    chance = random.Random(seed)
    store = RunStore(tmp_path / "runs")
    held = {}
    for number in range(14):
        names = chance.sample("abcdefgh", 2)
        held[f"run-{number:02}"] = add_run(store, f"run-{number:02}", names, prompt=chance.choice(["harbour", "boat"]))
    build(store, tmp_path / "ds")
    for step in range(6):
        time.sleep(TICK)
        for _ in range(chance.randrange(1, 4)):
            run_id = chance.choice(sorted(held))
            manager = FeedbackManager(store, rater=chance.choice(("anna", "bob")))
            manager.record_feedback(run_id, chance.choice([*held[run_id], None]), chance.randrange(6), tags=["t"])
            if chance.random() < 0.3:
                manager.undo(run_id)
        if chance.random() < 0.5:
            gone = chance.choice(sorted(held))
            shutil.rmtree(store.root / gone)
            del held[gone]
        if chance.random() < 0.5:
            held[f"run-5{step}"] = add_run(store, f"run-5{step}", chance.sample("abcdefghxyz", 2))
        build(store, tmp_path / "ds")
        build(store, tmp_path / "full", is_incremental=False)
        assert content(tmp_path / "ds") == content(tmp_path / "full")
        assert not list(Dataset(tmp_path / "ds").iter_findings())


def test_the_same_bytes_never_stand_in_two_splits(tmp_path):
    store = RunStore(tmp_path / "runs")
    for number in range(12):
        add_run(store, f"run-{number:02}", ["shared", f"own {number}"], prompt=f"prompt {number}")
    rows = build(store, tmp_path / "ds", split=SplitPlan(0.4, 0.3, 0.3, by=("prompt",)))
    assert len({row["split"] for row in rows.values()} - {None}) == 3
    shared = [row["split"] for row in rows.values() if row["copy_of"] or row["prompt"].endswith("shared")]
    assert len(shared) == 12
    assert len(set(shared) - {None}) == 1


def of_some(held, run_ids):
    """A build of some runs, which hears what the others say of their images."""
    return {"run_ids": run_ids, "elsewhere": {run_id: held[run_id] for run_id in held.keys() - set(run_ids)}}


SAID = ("rating", "ratings", "tags", "notes", "pick_count", "trashed", "earlier_ratings")


def test_what_runs_outside_the_query_say_of_its_images_counts_and_has_no_row(tmp_path):
    store = RunStore(tmp_path / "runs")
    held = {"a": add_run(store, "a", ["shared", "own"]), "z": add_run(store, "z", ["shared", "other"])}
    shared = held["a"][0]
    FeedbackManager(store, rater="anna").record_feedback("z", shared, 5, tags=["keep"])
    (first, second) = build(store, tmp_path / "ds", **of_some(held, ["a"])).values()
    assert (first["run_id"], first["rating"], first["tags"], first["copy_of"]) == ("a", 5, ["keep"], None)
    assert (second["run_id"], second["rating"]) == ("a", None)
    before = Dataset(tmp_path / "ds").ledger.digest
    time.sleep(TICK)
    FeedbackManager(store, rater="anna").record_feedback("z", shared, 2)
    assert build(store, tmp_path / "ds", **of_some(held, ["a"]))["a", shared]["rating"] == 2
    assert Dataset(tmp_path / "ds").ledger.digest != before
    assert build(store, tmp_path / "ds", run_ids=["a"])["a", shared]["rating"] is None
    assert build(store, tmp_path / "ds", **of_some(held, ["a"]))["a", shared]["rating"] == 2


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(3))
def test_builds_of_some_runs_one_after_the_other_say_what_a_build_of_all_runs_says(tmp_path, seed):
    chance = random.Random(seed)
    store = RunStore(tmp_path / "runs")
    held = {f"run-{number:02}": add_run(store, f"run-{number:02}", chance.sample("abcdef", 2)) for number in range(9)}
    chosen = sorted(held)[:6]
    for _ in range(6):
        for _ in range(2):
            run_id = chance.choice(sorted(held))
            manager = FeedbackManager(store, rater=chance.choice(("anna", "bob")))
            manager.record_feedback(run_id, chance.choice(held[run_id]), chance.randrange(6), tags=["t"])
        if chance.random() < 0.5:
            chosen = sorted(chance.sample(sorted(held), 6))
        found = build(store, tmp_path / "ds", **of_some(held, chosen))
        whole = build(store, tmp_path / "whole")
        for key, row in found.items():
            assert {name: row[name] for name in SAID} == {name: whole[key][name] for name in SAID}
        build(store, tmp_path / "full", is_incremental=False, **of_some(held, chosen))
        assert content(tmp_path / "ds") == content(tmp_path / "full")
        time.sleep(TICK)
