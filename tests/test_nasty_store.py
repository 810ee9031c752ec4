"""One bad file never hides the good ones: runs changed in nasty ways stop no reader of many runs."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from random import Random

import pytest

from stablenew import DatasetBuilder, FeedbackManager, JobHistory, LearningLog, RunStore, RunVerifier, merge_stores
from stablenew.store.seal import encode_seal
from stablenew.store.upkeep.run_repair import repair_run
from tests.mutations import mutated
from tests.samples import sealed_run

EXAMPLES = Path(__file__).parents[1] / "schemas" / "examples" / "v1.0" / "valid"
COUNT = 80
ODD_NUMBERS = ["1" + "0" * 30, "-1" + "0" * 30, str(2**63), "1e308"]


@pytest.fixture
def good(store):
    run = sealed_run(store, "good", variants=3)
    feedback = FeedbackManager(store, rater="alice", replica="r1")
    feedback.record_feedback("good", "0/0", 4)
    feedback.record_feedback("good", "1/0", 2)
    return run


def add_changed_run(good, run_id, rng):
    """A copy of a good run under another id, one of its documents changed; most are sealed again, as by a program that
    means it."""
    path = good.path.with_name(run_id)
    shutil.copytree(good.path, path)
    for file in (one for one in path.rglob("*") if one.is_file()):
        file.chmod(0o644)
        if ".json" in file.name:
            file.write_bytes(file.read_bytes().replace(b'"good"', f'"{run_id}"'.encode()))
    change_document(path, rng)
    if rng.random() < 0.8:
        sealed = [one for one in path.rglob("*") if one.is_file() and not one.name.startswith(("feedback", "SHA256"))]
        sums = {one.relative_to(path).as_posix(): hashlib.sha256(one.read_bytes()).hexdigest() for one in sealed}
        (path / "SHA256SUMS").write_bytes(encode_seal(sums))


def change_document(path, rng):
    file = rng.choice([*[path / "records.jsonl"] * 3, path / "run_metadata.json", *sorted(path.glob("feedback*"))])
    lines = file.read_bytes().splitlines() if file.suffix == ".jsonl" else [file.read_bytes()]
    examples = sorted(EXAMPLES.glob(f"{'learning_record' if file.stem == 'records' else file.stem}.*.json"))
    values = [json.loads(line) for line in lines]
    if examples and rng.random() < 0.5:
        values[0] = json.loads(rng.choice(examples).read_bytes()) | {"run_id": path.name}
    number = rng.randrange(len(values))
    values[number] = mutated(values[number], rng) if rng.random() < 0.5 else with_odd_number(values[number], rng)
    data = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    file.write_bytes(data if rng.random() < 0.9 else data[: rng.randrange(len(data))])


def with_odd_number(document, rng):
    """The document with one of its numbers beyond what a database, a column or a float holds."""
    text = json.dumps(document)
    places = [match.span() for match in re.finditer(r"(?<=: )-?[0-9.]+", text)] or [(0, len(text))]
    first, last = rng.choice(places)
    return json.loads(text[:first] + rng.choice(ODD_NUMBERS) + text[last:])


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(4))
def test_no_reader_of_many_runs_stops_at_a_bad_one(store, good, tmp_path, seed):
    rng = Random(seed)
    for number in range(COUNT):
        add_changed_run(good, f"changed-{number}", rng)
    run_ids = {run.run_id for run in store.iter_runs()}
    assert len(run_ids) == COUNT + 1
    history = JobHistory(store.root)
    history.refresh()
    assert {row["run_id"] for row in history.page("", limit=COUNT * 2).rows} == run_ids
    for query in ("rating:>=2", "steps:>=3", "seed:1..99", "cfg:1..9", "tag:*"):
        history.page(query, limit=10)
    history.close()
    ledger = DatasetBuilder(store).build_learning_dataset(tmp_path / "dataset")
    assert ledger.counts.runs_seen == COUNT + 1
    assert "good" in {record.run_id for record in LearningLog(store.root)}
    report = merge_stores(RunStore(tmp_path / "other"), store)
    assert {item.run_id for item in report.items} == run_ids
    for run in store.iter_runs():
        RunVerifier(run, deep=True).verify()
        repair_run(run, dry_run=True)
