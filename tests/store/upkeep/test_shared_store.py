"""A store that a program of an early version and this one shared by sync, as both left it: nothing of either is wrong.

`old-run` and the schemas were written by the early program. `new-run`, the trash, a removal, later scores, a comparison
across runs and a rating taken over from elsewhere are of this one. Then the early program rated both runs, which folded
their states. The output of `new-run` was removed on purpose.
"""

import json
import zipfile
from pathlib import Path

import jsonschema
import pytest

from stablenew import DatasetBuilder, FeedbackManager, JobHistory, RunRecorder, RunStore, RunVerifier
from stablenew.learning.dataset.reader import Dataset
from stablenew.store.upkeep.run_repair import repair_run
from stablenew.store.upkeep.store_files import verify_store_files
from stablenew.store.upkeep.store_merge import ADDED, UNCHANGED, merge_stores
from tests import samples


@pytest.fixture
def store(tmp_path):
    with zipfile.ZipFile(Path(__file__).with_name("shared_store.zip")) as archive:
        archive.extractall(tmp_path / "shared")
    for path in (tmp_path / "shared").glob("*/outputs"):
        path.mkdir(exist_ok=True)
    return RunStore(tmp_path / "shared")


def findings(store):
    return {
        (run.run_id, one.code) for run in store.iter_runs() for one in RunVerifier(run, deep=True).verify().findings
    }


def only_image(store, run_id):
    return next(store.open(run_id).iter_outputs())[1].digest


def test_what_either_wrote_is_sound(store):
    assert findings(store) == {("new-run", "output-removed")}
    assert [run.state for run in store.iter_runs()] == ["sealed", "sealed"]
    report = verify_store_files(store.root)
    assert {finding.code for finding in report.findings} == {"store-differs", "store-incomplete"}
    assert report.is_ok
    assert [repair_run(run).actions for run in store.iter_runs()] == [[], []]


def test_every_reader_has_what_either_said(store, tmp_path):
    stars = {
        (image, rater): said["rating"] for (image, rater), said in FeedbackManager(store).opinions("old-run").items()
    }
    image = only_image(store, "old-run")
    assert stars == {(image, "alice"): 4, (image, "root"): 2}
    history = JobHistory(store.root)
    history.refresh(is_patient=True)
    assert {row["run_id"] for row in history.page("rating:>0").rows} == {"old-run", "new-run"}
    history.close()
    DatasetBuilder(store).build_learning_dataset(tmp_path / "dataset")
    dataset = Dataset(tmp_path / "dataset")
    rows = {row["run_id"]: row for row in dataset.read_images().to_pylist()}
    assert [(rows[run]["trashed"], rows[run]["removed"]) for run in ("old-run", "new-run")] == [
        (True, False),
        (True, True),
    ]
    assert rows["old-run"]["metrics"] == [{"name": "aesthetic", "value": 6.5}]
    assert {row["other_run_id"] for row in dataset.read_preferences().to_pylist()} == {"elsewhere"}


def test_a_store_of_one_s_own_takes_all_of_it_once(store, tmp_path):
    ours = RunStore(tmp_path / "ours")
    assert {item.outcome for item in merge_stores(ours, store).items} == {ADDED}
    assert {item.outcome for item in merge_stores(ours, store).items} == {UNCHANGED}
    assert findings(ours) == {("new-run", "output-removed")}


def test_a_state_that_leaves_out_what_its_writer_knew_is_still_stale(store):
    path = store.root / "old-run" / "feedback.json"
    document = json.loads(path.read_bytes())
    document["state"]["preferences"] = []
    path.write_text(json.dumps(document))
    assert ("old-run", "feedback-stale") in findings(store)


def test_what_this_program_writes_fits_the_schemas_that_the_early_one_brought(store):
    """All but an output outside the run, which the early program refuses and says so."""
    with RunRecorder(store.root, config={"a": 1}, run_id="newest") as recorder:
        settings = {"steps": "30", "guidance_scale": 7, "own": True}
        recorder.record_variant(prompt="a cat", images=[samples.png()], settings=settings, metrics={"aesthetic": 5})
    run = store.open("newest")
    image = only_image(store, "newest")
    FeedbackManager(store, rater="me").record_feedback("newest", image, 4, tags=["keeper"])
    samples.add_event(run, "trash", image_id=image, present=True)
    samples.add_event(run, "rate", image_id=image, rating=1, via="lightroom", replica="via-lightroom")
    samples.add_event(run, "prefer", winner=image, loser=samples.digest_of(1), outcome="win", other_run_id="old-run")
    samples.add_event(run, "remove", digest=image, sha256="0" * 64, size_bytes=1, reason="trash emptied")
    documents = {
        "run_metadata": [(run.path / "run_metadata.json").read_bytes()],
        "learning_record": (run.path / "records.jsonl").read_bytes().splitlines(),
        "feedback": [(run.path / "feedback.json").read_bytes()],
        "feedback_event": [line for log in run.path.glob("feedback.*.jsonl") for line in log.read_bytes().splitlines()],
    }
    for name, found in documents.items():
        schema = json.loads((store.root / ".stablenew" / "schemas" / "v1" / f"{name}.schema.json").read_bytes())
        for document in found:
            jsonschema.Draft202012Validator(schema).validate(json.loads(document))
    assert len(documents["feedback_event"]) >= 6
