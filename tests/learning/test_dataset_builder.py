"""A dataset: the same for the same runs however it is built, and an account of what is not in it."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq

from stablenew import FeedbackManager, RunStore, merge_stores
from stablenew.errors import ConfigError, NotADataset
from stablenew.formats.documents.dataset_ledger import DatasetLedger
from stablenew.learning.dataset import assembly, state, tables
from stablenew.learning.dataset import build as dataset_build
from stablenew.learning.dataset.columns import COLUMNS
from stablenew.learning.dataset.parts import executor, joining
from stablenew.learning.dataset.parts.executor import LocalExecutor
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.dataset.source import folder_scan
from stablenew.learning.dataset_builder import DatasetBuilder
from tests import samples
from tests.index.stores import add_run, make_store
from tests.profiles import by_profile


@pytest.fixture(autouse=True)
def _short_ranges(monkeypatch):
    """Several parts also of few runs, and several groups of rows."""
    monkeypatch.setattr(state, "_FEWEST_RUNS", 4)
    monkeypatch.setattr(state, "_MOST_RUNS", 9)
    monkeypatch.setattr(tables, "_FEWEST_ROWS", 15)


def build(store, folder, **options):
    return DatasetBuilder(store).build_learning_dataset(folder, **options)


def rows(folder):
    return Dataset(folder).read_images().to_pylist()


@pytest.fixture
def _settled(monkeypatch):
    """Take every folder as one that last changed long ago: what changed lately is always read again."""
    monkeypatch.setattr(folder_scan, "YOUNG_NS", -1)
    assert dataset_build.__name__ in sys.modules, "else another process would look at the folders"


def content(folder):
    ledger = Dataset(folder).ledger.to_dict()
    kept = {name: value for name, value in ledger.items() if name not in ("built_at", "source", "files")}
    return kept, rows(folder), Dataset(folder).read_preferences().to_pylist()


@pytest.mark.heavy
def test_the_ledger_accounts_for_every_run_and_record(tmp_path):
    store = make_store(tmp_path / "runs", 5, count=60)
    ledger = build(store, tmp_path / "ds")
    counts = ledger.counts
    assert counts.runs_seen == 60 == counts.runs_joined + counts.runs_left_out
    assert counts.runs_left_out == len(ledger.left_out) == sum(ledger.left_out_by_reason.values()) > 3
    records = [run.read_records() for run in store.iter_runs() if run.run_id not in {x.run_id for x in ledger.left_out}]
    assert counts.records == sum(len(found) for found, _ in records)
    found = rows(tmp_path / "ds")
    assert counts.images == len(found) == sum(len(one.outputs) for some, _ in records for one in some)
    assert counts.images_rated == sum(row["rating"] is not None for row in found) > 5
    assert sum(ledger.split_counts.to_dict().values()) == counts.images
    assert [one.name for one in ledger.columns] == [*(one.name for one in COLUMNS), "metric_aesthetic"]
    seen = Dataset(tmp_path / "ds").read_runs()["run_id"].to_pylist()
    assert seen == sorted(run.run_id for run in store.iter_runs())
    assert not list(Dataset(tmp_path / "ds").iter_findings())


@pytest.mark.heavy
def test_rows_stand_in_the_order_of_runs_and_variants(tmp_path):
    store = make_store(tmp_path / "runs", 6, count=60)
    build(store, tmp_path / "ds")
    keys = [(row["run_id"], row["variant"]) for row in rows(tmp_path / "ds")]
    assert keys == sorted(keys)
    assert len(list((tmp_path / "ds" / "images").iterdir())) > 3


@pytest.mark.heavy
@settings(
    max_examples=by_profile(few=3, quick=4, ci=5, nightly=40),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32))
def test_any_order_any_split_over_machines_any_copy_by_sync_gives_the_same_dataset(tmp_path_factory, seed):
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("order")
    store = make_store(folder / "runs", seed, count=20)
    expected = build(store, folder / "ds")
    shuffled, machines = RunStore(folder / "shuffled"), [RunStore(folder / "a"), RunStore(folder / "b")]
    for one in [shuffled, *machines]:
        one.prepare()
    runs = sorted(run.path for run in store.iter_runs())
    chance.shuffle(runs)
    for path in runs:
        shutil.copytree(path, shuffled.root / path.name)
        for machine in chance.choice([machines, machines[:1], machines[1:]]):
            shutil.copytree(path, machine.root / path.name)
        for name in [one.name for one in path.glob("feedback.*.jsonl")] * chance.randrange(2):
            copy = f"feedback.{chance.choice(['sync-conflict-20261121-081203-MFDHANR', '(conflicted copy)'])}.jsonl"
            shutil.copy(path / name, shuffled.root / path.name / copy)
    assert build(shuffled, folder / "ds2").digest == expected.digest
    merge_stores(machines[0], machines[1])
    taken = [run.run_id for run in machines[0].iter_runs()]  # a merge takes no damaged run
    assert build(machines[0], folder / "ds3").digest == build(store, folder / "ds4", run_ids=taken).digest
    assert rows(folder / "ds2") == rows(folder / "ds")


@pytest.mark.heavy
def test_workers_give_what_one_process_gives(tmp_path, monkeypatch):
    store = make_store(tmp_path / "runs", 7, count=60)
    build(store, tmp_path / "one")
    monkeypatch.setattr(executor, "WORTH_PROCESSES", 1)
    heard = []
    ledger = build(store, tmp_path / "two", progress=lambda done, total: heard.append((done, total)))
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert heard[0] == (0, 60)
    assert heard[-1] == (60, 60)
    assert (
        ledger.digest == DatasetBuilder(store, executor=LocalExecutor(3)).build_learning_dataset(tmp_path / "3").digest
    )


class Counting:
    """An executor that says which runs it was given."""

    def __init__(self):
        self.run_ids = []

    def iter_parts(self, source, tasks, plan):
        self.run_ids += [run_id for task in tasks for run_id in task.changed]
        return LocalExecutor(1).iter_parts(source, tasks, plan)


@pytest.mark.heavy
@pytest.mark.usefixtures("_settled")
def test_a_second_build_reads_only_what_changed_and_equals_a_full_one(tmp_path):
    store = make_store(tmp_path / "runs", 8, count=60)
    build(store, tmp_path / "ds")
    time.sleep(0.05)  # longer than a tick of the file system's clock
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "ds" / "images").iterdir()}
    first = next(run for run in store.iter_runs() if run.is_sealed and list(run.iter_outputs()))
    FeedbackManager(store, rater="carl").record_feedback(first.run_id, None, 5)
    add_run(store, "20261119-000000-000-bbbbbbbbbb", random.Random(1))
    shutil.rmtree(next(run.path for run in list(store.iter_runs())[20:]))
    counting = Counting()
    again = DatasetBuilder(store, executor=counting).build_learning_dataset(tmp_path / "ds")
    full = build(store, tmp_path / "full")
    assert content(tmp_path / "ds") == content(tmp_path / "full")
    assert again.digest == full.digest
    assert 0 < len(counting.run_ids) < 25
    parts = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "ds" / "images").iterdir()}
    assert sum(kept.get(name) == written for name, written in parts.items()) > len(kept) / 3
    assert parts.keys() == {path.name for path in (tmp_path / "full" / "images").iterdir()}


@pytest.mark.heavy
@pytest.mark.usefixtures("_settled")
@pytest.mark.parametrize("seed", range(by_profile(few=1, quick=2, ci=2, nightly=8)))
def test_builds_one_after_the_other_read_what_changed_and_equal_full_ones_byte_for_byte(tmp_path, seed):
    chance = random.Random(seed)
    store = make_store(tmp_path / "runs", seed, count=50)
    build(store, tmp_path / "ds")
    for number in range(4):
        time.sleep(0.05)  # longer than a tick of the file system's clock
        changed = change_some(store, chance, number)
        counting = Counting()
        DatasetBuilder(store, executor=counting).build_learning_dataset(tmp_path / "ds")
        build(store, tmp_path / "full", is_incremental=False)
        assert content(tmp_path / "ds") == content(tmp_path / "full")
        assert changed <= set(counting.run_ids)
        assert len(counting.run_ids) < 35, "runs that did not change were read again"
        assert file_bytes(tmp_path / "ds") == file_bytes(tmp_path / "full")
        assert not list(Dataset(tmp_path / "ds").iter_findings())


@pytest.mark.heavy
@pytest.mark.usefixtures("_settled")
def test_documents_are_not_parsed_again_where_only_feedback_came(tmp_path, monkeypatch):
    store = make_store(tmp_path / "runs", 9, count=60)
    build(store, tmp_path / "ds")
    time.sleep(0.05)  # longer than a tick of the file system's clock
    whole = [
        run
        for run in store.iter_runs()
        if run.is_sealed
        and list(run.iter_outputs())
        and not run.read_records()[1]
        and not any(run.path.glob("metrics*"))
    ]
    manager = FeedbackManager(store, rater="carl")
    for run in whole:
        manager.record_feedback(run.run_id, next(output.digest for _, output in run.iter_outputs()), 4)
    parsed = []
    read = joining.read_run_tables
    monkeypatch.setattr(joining, "read_run_tables", lambda runs: parsed.extend(runs) or read(runs))
    counting = Counting()
    DatasetBuilder(store, executor=counting).build_learning_dataset(tmp_path / "ds")
    assert {run.run_id for run in whole} <= set(counting.run_ids), "they are read, and checked against their seals"
    assert not {run.run_id for run in whole} & {run.run_id for run in parsed}
    build(store, tmp_path / "full")
    assert content(tmp_path / "ds") == content(tmp_path / "full")
    assert file_bytes(tmp_path / "ds") == file_bytes(tmp_path / "full")


def change_some(store, chance, number):
    """Rate, add, remove and damage runs; the ids of those that are there and have to be read again."""
    runs = list(store.iter_runs())
    manager = FeedbackManager(store, rater="carl")
    spoiled, removed, *rated = chance.sample(runs, 5)
    for run in rated:
        manager.record_feedback(run.run_id, None, chance.randrange(6))
    metadata = spoiled.path / "run_metadata.json"
    metadata.chmod(0o600)
    (spoiled.path / "spoiled").write_bytes(metadata.read_bytes() + b" ")
    (spoiled.path / "spoiled").replace(metadata)
    shutil.rmtree(removed.path)
    added = f"2026111{chance.randrange(10)}-000000-000-{number}bbbbbbbbb"
    add_run(store, added, chance)
    return {added, spoiled.run_id, *(run.run_id for run in rated)}


def part_bytes(folder):
    return {path.name: path.read_bytes() for path in (folder / "images").iterdir()}


def file_bytes(folder):
    return part_bytes(folder) | {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


@pytest.mark.heavy
@pytest.mark.usefixtures("_settled")
def test_no_row_is_taken_from_a_part_that_is_not_what_was_written(tmp_path):
    store = make_store(tmp_path / "runs", 11, count=30)
    build(store, tmp_path / "ds")
    for path in (tmp_path / "ds" / "images").iterdir():
        data = path.read_bytes()
        place = data.index(b"harbour") if b"harbour" in data else len(data) // 2
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    time.sleep(0.05)
    manager = FeedbackManager(store, rater="carl")
    for run in store.iter_runs():
        if run.is_sealed and next(run.iter_outputs(), None):
            manager.record_feedback(run.run_id, None, 5)
            break
    build(store, tmp_path / "ds")
    build(store, tmp_path / "full")
    found, expected = part_bytes(tmp_path / "ds"), part_bytes(tmp_path / "full")
    assert found.keys() == expected.keys()
    assert sum(found[name] == expected[name] for name in found) == 1, "the part that was made anew is whole again"
    assert len(list(Dataset(tmp_path / "ds").iter_findings())) == len(found) - 1


@pytest.mark.heavy
@pytest.mark.usefixtures("_settled")
@pytest.mark.parametrize("damage", ["state", "splits", "ties", "part", "runs", "everything"])
def test_what_the_last_build_left_is_used_only_where_it_is_whole(tmp_path, damage):
    store = make_store(tmp_path / "runs", 9, count=40)
    build(store, tmp_path / "ds")
    expected = content(tmp_path / "ds")
    folder = tmp_path / "ds"
    victims = {
        "state": [folder / ".build" / "state.json"],
        "splits": [folder / ".build" / "splits"],
        "ties": list((folder / ".build").glob("*.ties.arrow"))[:2],
        "part": list((folder / "images").glob("*"))[:1],
        "runs": list(folder.glob("runs.*")),
        "everything": [path for path in folder.rglob("*") if path.is_file()],
    }[damage]
    for path in victims:
        path.write_bytes(path.read_bytes()[:-9])
    build(store, folder)
    assert content(folder) == expected
    assert not list(Dataset(folder).iter_findings())


@pytest.mark.heavy
@pytest.mark.usefixtures("_settled")
def test_ties_that_cannot_be_read_are_found_in_the_images_again(tmp_path):
    store = make_store(tmp_path / "runs", 9, count=40)
    build(store, tmp_path / "ds")
    for path in (tmp_path / "ds" / ".build").glob("*.ties.arrow"):
        path.write_bytes(path.read_bytes()[:-9])
    add_run(store, "20261119-000000-000-bbbbbbbbbb", random.Random(1))
    build(store, tmp_path / "ds")
    build(store, tmp_path / "full")
    assert content(tmp_path / "ds") == content(tmp_path / "full")
    assert file_bytes(tmp_path / "ds") == file_bytes(tmp_path / "full")


@pytest.mark.heavy
@pytest.mark.usefixtures("_settled")
def test_splits_are_settled_again_only_where_ties_may_have_changed(tmp_path, monkeypatch):
    settled = []
    resolve = assembly.resolve_splits
    monkeypatch.setattr(assembly, "resolve_splits", lambda ties: settled.append(len(ties)) or resolve(ties))
    store = make_store(tmp_path / "runs", 9, count=40)
    build(store, tmp_path / "ds")
    rated = next(run for run in store.iter_runs() if run.is_sealed and list(run.iter_outputs()))
    FeedbackManager(store, rater="carl").record_feedback(rated.run_id, None, 4)
    build(store, tmp_path / "ds")
    assert len(settled) == 1
    shutil.rmtree(rated.path)
    build(store, tmp_path / "ds")
    assert len(settled) == 2
    build(store, tmp_path / "full")
    assert content(tmp_path / "ds") == content(tmp_path / "full")


def test_a_change_in_the_very_moment_of_the_build_is_not_missed(tmp_path):
    store = make_store(tmp_path / "runs", 10, count=10)
    for run in store.iter_runs():
        for path in (*run.path.iterdir(), run.path):
            os.utime(path, (time.time() + 60,) * 2)  # so that they are young also on a slow machine
    build(store, tmp_path / "ds")
    counting = Counting()
    DatasetBuilder(store, executor=counting).build_learning_dataset(tmp_path / "ds")
    assert len(counting.run_ids) == 10, "folders that changed within the last two seconds are read again"


@pytest.mark.heavy
def test_a_build_that_is_killed_leaves_the_old_dataset_whole(tmp_path):
    store = make_store(tmp_path / "runs", 11, count=60)
    build(store, tmp_path / "ds")
    expected = content(tmp_path / "ds")
    chance = random.Random(1)
    for number in range(by_profile(few=5, quick=10, ci=12, nightly=50)):
        FeedbackManager(store, rater=f"r{number}").record_feedback(
            next(run.run_id for run in store.iter_runs() if run.is_sealed), None, number % 6
        )
        code = "import sys; from stablenew.learning.dataset_builder import DatasetBuilder as B; print(flush=True); "
        code += "B(sys.argv[1]).build_learning_dataset(sys.argv[2])"
        command = [sys.executable, "-c", code, store.root, tmp_path / "ds"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(chance.random() * 0.25)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not list(Dataset(tmp_path / "ds").iter_findings())
    build(store, tmp_path / "ds")
    build(store, tmp_path / "full")
    assert content(tmp_path / "ds") == content(tmp_path / "full") != expected


def test_only_the_runs_of_a_query_are_joined_and_the_others_counted(tmp_path):
    store = make_store(tmp_path / "runs", 12, count=30)
    chosen = [run.run_id for run in store.iter_runs() if run.is_sealed][:5]
    ledger = build(store, tmp_path / "ds", run_ids=chosen, query="model:x")
    assert ledger.source.query == "model:x"
    assert ledger.left_out_by_reason["not_in_query"] == 25
    assert {row["run_id"] for row in rows(tmp_path / "ds")} <= set(chosen)
    assert all(one.reason != "not_in_query" for one in ledger.left_out)
    named = Dataset(tmp_path / "ds").read_runs().to_pylist()
    assert len(named) == 30


@pytest.mark.heavy
def test_a_build_by_a_process_that_has_yet_to_import_everything_is_the_same(tmp_path):
    store = make_store(tmp_path / "runs", 13, count=30)
    code = "import sys; from stablenew import DatasetBuilder as B; B(sys.argv[1]).build_learning_dataset(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, store.root, tmp_path / "fresh"], check=True)
    build(store, tmp_path / "ds")
    assert content(tmp_path / "fresh") == content(tmp_path / "ds")


def test_an_empty_store_gives_an_empty_dataset(tmp_path):
    ledger = build(RunStore(tmp_path / "runs"), tmp_path / "ds")
    assert ledger.counts.images == 0
    assert Dataset(tmp_path / "ds").read_images().num_rows == 0
    assert Dataset(tmp_path / "ds").read_images().schema.names == [one.name for one in COLUMNS]


def test_the_digest_says_whether_anything_changed(tmp_path, store):
    samples.sealed_run(store, "one")
    before = build(store, tmp_path / "ds").digest
    assert build(store, tmp_path / "ds").digest == before
    FeedbackManager(store, rater="anna").record_feedback("one", "0/0", 3)
    rated = build(store, tmp_path / "ds").digest
    assert rated != before
    FeedbackManager(store, rater="anna").undo("one")
    assert build(store, tmp_path / "ds").digest not in (before, rated), "what was said and taken back was said"


def test_what_the_folder_does_not_hold_as_built_is_found(tmp_path, store):
    samples.sealed_run(store, "one")
    build(store, tmp_path / "ds", formats=["csv"])
    part = next((tmp_path / "ds" / "images").iterdir())
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    (tmp_path / "ds" / "images.csv").unlink()
    (table,) = (tmp_path / "ds").glob("runs.*")
    runs = pq.read_table(table)
    pq.write_table(runs.set_column(3, "digest", pa.array(["sha256:0"] * len(runs))), table)
    found = list(Dataset(tmp_path / "ds").iter_findings())
    assert [finding.partition(":")[0] for finding in found] == [
        f"images/{part.name}", table.name, "images.csv", table.name,
    ]  # fmt: skip


def test_a_folder_without_a_dataset_says_so(tmp_path):
    with pytest.raises(NotADataset, match="stablenew dataset build"):
        Dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(NotADataset, match=r"dataset\.json"):
        Dataset(tmp_path)
    with pytest.raises(ConfigError, match="parquet, jsonl"):
        build(RunStore(tmp_path), tmp_path, formats=["tfrecord"])


def test_the_ledger_is_a_valid_document(tmp_path):
    from jsonschema import Draft202012Validator

    store = make_store(tmp_path / "runs", 13, count=20)
    build(store, tmp_path / "ds", formats=["jsonl"])
    document = json.loads((tmp_path / "ds" / "dataset.json").read_bytes())
    schema = json.loads((Path(__file__).parents[2] / "schemas/v1/dataset.schema.json").read_bytes())
    Draft202012Validator(schema).validate(document)
    assert DatasetLedger.from_dict(document).to_dict() == document


@pytest.mark.heavy
def test_runs_and_feedback_can_be_collected_as_models(tmp_path):
    store = make_store(tmp_path / "runs", 14, count=30)
    builder = DatasetBuilder(store)
    ledger = build(store, tmp_path / "ds")
    collected = {run.metadata.run_id: run for run in builder.collect_runs()}
    assert sum(len(run.records) for run in collected.values()) >= ledger.counts.records
    feedback = dict(builder.collect_feedback())
    assert {row["run_id"] for row in rows(tmp_path / "ds") if row["rating"] is not None} <= feedback.keys()


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are named by /proc")
def test_whatever_the_ledger_names_is_on_the_disk_before_it_and_old_files_go_after_it(tmp_path, monkeypatch):
    store = make_store(tmp_path / "runs", 31, count=30)
    folder = tmp_path / "new" / "ds"
    events = []
    fsync, rename, unlink = os.fsync, os.replace, os.unlink

    def note(kind, path, act, *arguments):
        act(*arguments)
        events.append((kind, os.path.relpath(path, folder)))

    monkeypatch.setattr(os, "fsync", lambda fd: note("sync", Path(f"/proc/self/fd/{fd}").readlink(), fsync, fd))
    monkeypatch.setattr(os, "replace", lambda a, b: note("name", os.fspath(b), rename, a, b))
    monkeypatch.setattr(os, "unlink", lambda a, **more: note("gone", os.fspath(a), lambda: unlink(a, **more)))
    for formats in (["csv", "imagefolder"], ["jsonl"]):
        events.clear()
        build(store, folder, formats=formats)
        first = rows(folder)[0]
        named = [place for place, event in enumerate(events) if event == ("name", "dataset.json")]
        for file in Dataset(folder).ledger.files:
            written = [place for place, event in enumerate(events) if event == ("name", file.path)]
            if written:  # else it is the last build's, which made it durable
                content = events.index(("sync", file.path), written[-1])
                name = events.index(("sync", str(Path(file.path).parent)), content)
                assert name < named[-1]
        assert ("sync", ".") in events[named[-1] :], "the ledger's own name is on the disk"
        for place, event in enumerate(events):
            assert event[0] != "gone" or event[1].startswith(".build") or place > named[-1]
        FeedbackManager(store, rater="dora").record_feedback(first["run_id"], first["image_id"], 5)


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes")
def test_folders_whose_names_are_not_unicode_hold_stores_and_datasets(tmp_path):
    odd = tmp_path / os.fsdecode(b"disk\xff")
    odd.mkdir()
    store = make_store(odd / "runs", 33, count=20)
    ledger = build(store, odd / "ds", formats=["csv", "imagefolder"])
    assert ledger.source.location.endswith("disk\\udcff/runs")
    assert build(store, odd / "ds").digest == ledger.digest
    assert not list(Dataset(odd / "ds").iter_findings())
