"""What is said of images after their runs were sealed: trash, removals, scores, comparisons across runs."""

import hashlib
import json

import pytest

from stablenew import DatasetBuilder, RunRecorder, RunStore, RunVerifier
from stablenew.learning.dataset.reader import Dataset
from stablenew.store.seal import encode_seal
from tests import samples


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def build(store, folder):
    DatasetBuilder(store).build_learning_dataset(folder)
    return Dataset(folder)


def rows_of(dataset):
    return dataset.read_images().to_pylist()


def both_builds(store, tmp_path):
    """The images of a build on top of the last one; a build from nothing must give the same files."""
    again, anew = build(store, tmp_path / "again"), build(store, tmp_path / f"full-{len(list(tmp_path.iterdir()))}")
    assert again.ledger.digest == anew.ledger.digest
    assert [part.digest for part in again.parts] == [part.digest for part in anew.parts]
    assert list(again.iter_findings()) == []
    return rows_of(again)


def test_trash_and_removals_are_columns_and_hide_no_row(store, tmp_path):
    run = samples.sealed_run(store, variants=3)
    both_builds(store, tmp_path)
    outputs = [output for _, output in run.iter_outputs()]
    samples.add_event(run, "trash", image_id=outputs[0].digest, present=True)
    samples.add_event(run, "trash", image_id=outputs[1].digest, present=True)
    samples.add_event(
        run, "trash", image_id=outputs[1].digest, present=False, rater="bob", at="2026-11-23T08:00:00.000Z-0000"
    )
    fields = {"sha256": "0" * 64, "size_bytes": outputs[0].size_bytes, "reason": "trash emptied"}
    removal = samples.add_event(run, "remove", digest=outputs[0].digest, **fields)
    found = [(row["trashed"], row["removed"]) for row in both_builds(store, tmp_path)]
    assert found == [(True, True), (False, False), (False, False)]
    samples.add_event(run, "retract", event_ids=[removal.id], at="2026-11-24T08:00:00.000Z-0000")
    found = [(row["trashed"], row["removed"]) for row in both_builds(store, tmp_path)]
    assert found == [(True, False), (False, False), (False, False)]


@pytest.mark.heavy
def test_scores_that_come_later_are_metrics_and_the_newest_counts(store, tmp_path):
    writer = store.create(samples.metadata())
    image = samples.build_image(samples.png(), variant=0, stage="txt2img", number=0)
    writer.write_output(image.data, variant=0, stage="txt2img", number=0, media_type="image/png")
    recorded = [{"metric": "aesthetic", "value": 4.0}, {"metric": "sharpness", "value": 0.5}]
    writer.append_record(samples.record(writer.run_id, 0, [image.reference], metrics=recorded))
    samples.write_variant(writer, 1)
    run = writer.seal(samples.metadata(status="completed", record_count=2, output_count=2))

    def metrics():
        rows = both_builds(store, tmp_path)
        return [{entry["name"]: entry["value"] for entry in row["metrics"] or ()} for row in rows]

    assert metrics() == [{"aesthetic": 4.0, "sharpness": 0.5}, {}]
    second = [output.digest for _, output in run.iter_outputs()][1]
    samples.add_scores(run, (image.reference.digest, "aesthetic", 6.0), (second, "aesthetic", 5.0))
    assert metrics() == [{"aesthetic": 6.0, "sharpness": 0.5}, {"aesthetic": 5.0}]
    samples.add_scores(run, (image.reference.digest, "aesthetic", 1.0), at="2026-11-21T00:00:00.000Z", replica="third")
    assert metrics() == [{"aesthetic": 6.0, "sharpness": 0.5}, {"aesthetic": 5.0}]
    samples.add_scores(run, (None, "safe", 1.0), at="2026-11-23T00:00:00.000Z")
    assert metrics() == [{"aesthetic": 6.0, "safe": 1.0, "sharpness": 0.5}, {"aesthetic": 5.0, "safe": 1.0}]
    for path in run.path.glob("metrics.*"):
        path.unlink()
    assert metrics() == [{"aesthetic": 4.0, "sharpness": 0.5}, {}]


def test_runs_with_later_scores_stand_beside_runs_that_recorded_their_own(store, tmp_path):
    for number in range(2):
        with RunRecorder(store) as recorder:
            made = recorder.log(samples.png(b"%d" % number), prompt="a mill", metrics={"aesthetic": 4.0 + number})
    samples.add_scores(recorder.run, (made.outputs[0].digest, "sharpness", 0.5))
    rows = rows_of(build(store, tmp_path / "dataset"))
    metrics = [{entry["name"]: entry["value"] for entry in row["metrics"]} for row in rows]
    assert sorted(metrics, key=len) == [{"aesthetic": 4.0}, {"aesthetic": 5.0, "sharpness": 0.5}]


def batch(**fields):
    usual = {"kind": "stablenew.metric_batch", "schema_version": "1.0", "run_id": "sample-run", "replica": "x"}
    return json.dumps(usual | {"scored_at": "2026-11-22T00:00:00.000Z"} | fields).encode() + b"\n"


@pytest.mark.heavy
@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"[1]\n",
        batch(schema_version="2.0", scores=[{"metric": "a", "value": 1}]),
        batch(run_id="other", scores=[{"metric": "a", "value": 1}]),
        batch(scored_at="yesterday", scores=[{"metric": "a", "value": 1}]),
        batch(scores=[{"metric": "a", "value": True}, {"metric": "A b", "value": 1}, 7, {"value": 1}]),
        batch(scores=[{"metric": "a", "value": 1, "image_id": "x"}, {"metric": "a", "value": 10**400}]),
        batch(scores={"metric": "a", "value": 1}),
        b'{"kind":"stablenew.metric_batch",' + b"[" * 100_000 + b"\n",
    ],
)
def test_scores_that_are_none_hide_no_other(store, tmp_path, line):
    run = samples.sealed_run(store, variants=1)
    ((_, output),) = run.iter_outputs()
    (run.path / "metrics.broken.jsonl").write_bytes(line + b'{"kind":"torn')
    samples.add_scores(run, (output.digest, "aesthetic", 6.0))
    (row,) = rows_of(build(store, tmp_path / "dataset"))
    assert row["metrics"] == [{"name": "aesthetic", "value": 6.0}]


def test_a_comparison_across_runs_names_the_other_run(store, tmp_path):
    first, second = samples.sealed_run(store, "one"), samples.sealed_run(store, "two")
    winner, loser = (next(run.iter_outputs())[1].digest for run in (first, second))
    samples.add_event(first, "prefer", winner=winner, loser=loser, outcome="win", other_run_id="two", asked="hands")
    dataset = build(store, tmp_path / "dataset")
    (comparison,) = dataset.read_preferences().to_pylist()
    assert (comparison["run_id"], comparison["other_run_id"]) == ("one", "two")
    assert (comparison["winner"], comparison["loser"]) == (winner, loser)
    wins = {row["image_id"]: row["win_count"] for row in rows_of(dataset)}
    assert (wins[winner], wins[loser]) == (1, 0)


def test_opinions_that_were_taken_over_count_as_others(store, tmp_path):
    run = samples.sealed_run(store, variants=1)
    ((_, output),) = run.iter_outputs()
    samples.add_event(
        run, "rate", image_id=output.digest, rating=4, via="lightroom", replica="via-lightroom", rater="alice"
    )
    (row,) = rows_of(build(store, tmp_path / "dataset"))
    assert (row["rating"], row["rating_count"]) == (4.0, 1)


@pytest.mark.parametrize("document", ["run_metadata.json", "records.jsonl"])
def test_a_document_nested_too_deep_gets_one_verdict_from_all(store, tmp_path, document):
    deep = {}
    for _ in range(70):
        deep = {"a": deep}
    fields = {"ext": {"org.example": deep}}
    run = samples.sealed_run(store, "sound", variants=1)
    path = samples.sealed_run(store, "deep", variants=1).path / document
    path.chmod(0o644)
    path.write_bytes(json.dumps(json.loads(path.read_bytes()) | fields).encode() + b"\n")
    sums = {
        name: hashlib.sha256((path.parent / name).read_bytes()).hexdigest()
        for name in [
            "run_metadata.json",
            "records.jsonl",
            *(f"outputs/{x.name}" for x in (path.parent / "outputs").iterdir()),
        ]
    }
    (path.parent / "SHA256SUMS").chmod(0o644)
    (path.parent / "SHA256SUMS").write_bytes(encode_seal(sums))
    dataset = build(store, tmp_path / "dataset")
    assert {row["run_id"] for row in rows_of(dataset)} == {run.run_id}
    named = [*(left.run_id for left in dataset.ledger.left_out), *(one.run_id for one in dataset.ledger.problems)]
    assert named == ["deep"]
    codes = {finding.code for finding in RunVerifier(store.open("deep")).verify().findings}
    assert codes == (
        {"metadata-unreadable"}
        if document == "run_metadata.json"
        else {"record-unreadable", "output-unrecorded", "metadata-mismatch"}
    )
