import shutil
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablenew import FeedbackManager, RunStore, RunVerifier, merge_stores
from stablenew.errors import NotAStore
from stablenew.store.upkeep.run_archive import open_archive
from stablenew.store.upkeep.store_files import verify_store_files
from tests.samples import metadata, sealed_run, write_variant


@pytest.fixture
def theirs(tmp_path):
    return RunStore(tmp_path / "theirs")


def outcomes(report):
    return {item.run_id: item.outcome for item in report.items}


def contents(store):
    return {path.relative_to(store.root): path.read_bytes() for path in store.root.rglob("*") if path.is_file()}


def rate(store, run_id, rating, rater="alice", replica="r1", image="0/0"):
    FeedbackManager(store, rater=rater, replica=replica).record_feedback(run_id, image, rating)


def states(store):
    return {run.run_id: FeedbackManager(store).state(run.run_id) for run in store.iter_runs()}


def check_whole(store):
    assert all(RunVerifier(run).verify().is_ok for run in store.iter_runs())
    assert not list(store.root.glob(".*.tmp"))


def test_new_runs_come_over_whole_with_their_feedback(store, theirs):
    sealed_run(theirs, "a")
    rate(theirs, "a", 4)
    assert outcomes(merge_stores(store, theirs)) == {"a": "added"}
    assert store.open("a").digest == theirs.open("a").digest
    assert states(store) == states(theirs)
    check_whole(store)
    assert verify_store_files(store.root).is_ok


def test_twice_is_the_same_as_once(store, theirs):
    sealed_run(theirs, "a")
    rate(theirs, "a", 4)
    merge_stores(store, theirs)
    before = contents(store)
    assert outcomes(merge_stores(store, theirs)) == {"a": "unchanged"}
    assert contents(store) == before


def test_feedback_flows_both_ways_and_ends_equal(store, theirs):
    sealed_run(theirs, "a")
    merge_stores(store, theirs)
    rate(theirs, "a", 2, "alice", "far")
    rate(store, "a", 5, "bob", "near")
    assert outcomes(merge_stores(store, theirs)) == {"a": "feedback"}
    assert merge_stores(theirs, store).items[0].new_events == 1
    assert states(store) == states(theirs)
    (opinions,) = states(store)["a"].images.values()
    assert {rater: one.rating for rater, one in opinions.items()} == {"alice": 2, "bob": 5}


def test_a_dry_run_says_the_same_and_does_nothing(store, theirs):
    sealed_run(theirs, "a")
    sealed_run(theirs, "b")
    rate(theirs, "a", 4)
    report = merge_stores(store, theirs, dry_run=True)
    assert outcomes(report) == {"a": "added", "b": "added"}
    assert report.items[0].new_events == 1
    assert not store.root.exists()


def test_two_sealed_runs_of_one_id_that_differ_are_both_kept(store, theirs):
    sealed_run(store, "a", variants=1)
    sealed_run(theirs, "a", variants=2)
    rate(theirs, "a", 3)
    before = store.open("a").digest
    report = merge_stores(store, theirs)
    assert outcomes(report) == {"a": "divergent"}
    assert not report.is_complete
    assert store.open("a").digest == before
    (kept,) = (store.root / ".stablenew" / "divergent").iterdir()
    assert (kept / "SHA256SUMS").read_bytes() == (theirs.root / "a" / "SHA256SUMS").read_bytes()
    assert len(FeedbackManager(store).read("a").events) == 1
    once = contents(store)
    merge_stores(store, theirs)
    assert contents(store) == once


def test_a_half_synced_run_is_completed(store, theirs):
    sealed_run(theirs, "a")
    shutil.copytree(theirs.root / "a", store.root / "a")
    output = next(theirs.open("a").iter_outputs())[1]
    (store.root / "a" / output.path).unlink()
    assert outcomes(merge_stores(store, theirs)) == {"a": "completed"}
    check_whole(store)


def test_a_run_that_came_without_its_outputs_folder_is_completed(store, theirs):
    sealed_run(theirs, "a")
    shutil.copytree(theirs.root / "a", store.root / "a")
    shutil.rmtree(store.root / "a" / "outputs")
    assert outcomes(merge_stores(store, theirs)) == {"a": "completed"}
    assert store.open("a").state == "sealed"
    check_whole(store)


def test_a_file_that_came_only_in_part_is_completed(store, theirs):
    sealed_run(theirs, "a")
    shutil.copytree(theirs.root / "a", store.root / "a")
    path = store.root / "a" / next(theirs.open("a").iter_outputs())[1].path
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:20])
    assert store.open("a").state == "incomplete"
    assert outcomes(merge_stores(store, theirs)) == {"a": "completed"}
    assert store.open("a").state == "sealed"
    check_whole(store)


def test_a_run_that_was_cut_off_here_is_completed_from_there(store, theirs):
    writer = theirs.create(metadata("a"))
    write_variant(writer, 0)
    shutil.copytree(writer.path, store.root / "a")
    write_variant(writer, 1)
    writer.seal(metadata("a", status="completed", record_count=2, output_count=2))
    assert outcomes(merge_stores(store, theirs)) == {"a": "completed"}
    assert store.open("a").digest == theirs.open("a").digest
    check_whole(store)


def test_an_unsealed_run_that_is_another_one_stays(store, theirs):
    writer = store.create(metadata("a"))
    write_variant(writer, 0, data=None)
    write_variant(writer, 1)
    write_variant(writer, 2)
    writer.abandon()
    sealed_run(theirs, "a", variants=1)
    before = (store.root / "a" / "records.jsonl").read_bytes()
    assert outcomes(merge_stores(store, theirs)) == {"a": "divergent"}
    assert (store.root / "a" / "records.jsonl").read_bytes() == before


def test_runs_that_are_unfinished_or_damaged_there_are_not_taken(store, theirs):
    sealed_run(theirs, "good")
    sealed_run(theirs, "damaged")
    theirs.create(metadata("open")).abandon()
    path = theirs.root / "damaged" / "records.jsonl"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"dawn", b"dusk"))
    report = merge_stores(store, theirs)
    assert outcomes(report) == {"good": "added", "damaged": "skipped", "open": "skipped"}
    assert "records.jsonl was changed" in report.items[0].message
    assert [run.run_id for run in store.iter_runs()] == ["good"]


def test_links_in_the_other_store_are_not_followed(store, theirs, tmp_path):
    sealed_run(theirs, "a")
    output = next(theirs.open("a").iter_outputs())[1]
    path = theirs.root / "a" / output.path
    shutil.move(path, tmp_path / "secret")
    path.symlink_to(tmp_path / "secret")
    assert outcomes(merge_stores(store, theirs)) == {"a": "skipped"}


def test_a_store_that_is_none_is_a_clear_error(store, tmp_path):
    with pytest.raises(NotAStore, match="found none"):
        merge_stores(store, RunStore(tmp_path / "gone"))


@pytest.mark.parametrize("shape", ["folder", "deep", "flat"])
def test_a_zip_is_merged_whatever_its_shape(store, theirs, tmp_path, shape):
    run = sealed_run(theirs, "a")
    rate(theirs, "a", 4)
    prefix = {"folder": "a/", "deep": "backup/2026/a/", "flat": ""}[shape]
    with zipfile.ZipFile(tmp_path / "runs.zip", "w") as archive:
        for path in run.path.rglob("*"):
            if path.is_file():
                archive.write(path, prefix + path.relative_to(run.path).as_posix())
    with open_archive(tmp_path / "runs.zip") as opened:
        assert outcomes(merge_stores(store, opened)) == {"a": "added"}
        folder = opened.root
    assert not folder.exists()
    assert states(store) == states(theirs)
    check_whole(store)


def test_a_zip_cannot_write_outside_its_folder(store, theirs, tmp_path):
    run = sealed_run(theirs, "a")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        for path in run.path.rglob("*"):
            if path.is_file():
                archive.write(path, f"a/{path.relative_to(run.path).as_posix()}")
        for name in (
            "../../evil",
            "a/../../evil",
            "/tmp/evil",
            "a/outputs/../../../evil",
            "a/outputs/..\\evil",
            "a/.ssh/key",
        ):
            archive.writestr(name, b"evil")
    with open_archive(tmp_path / "evil.zip") as opened:
        assert not any(path.name in {"evil", "key", "..\\evil"} for path in opened.root.rglob("*"))
        merge_stores(store, opened)
    assert not list(tmp_path.rglob("*evil"))


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 18])
def test_a_file_that_is_no_zip_of_runs_is_a_clear_error(tmp_path, data):
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(NotAStore, match="expected a zip of runs"), open_archive(tmp_path / "a.zip"):
        pass


@pytest.mark.heavy
@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["rate", "undo", "merge"]), st.integers(0, 2), st.integers(0, 5)),
        max_size=12,
    )
)
def test_stores_converge_in_whatever_order_they_are_merged(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("stores")
    stores = [RunStore(folder / str(number)) for number in range(3)]
    for number, one in enumerate(stores):
        sealed_run(one, f"run-{number}", variants=1)
    for number, step, other, rating in steps:
        own = f"run-{number}"
        if step == "rate":
            rate(stores[number], own, rating, "alice", f"r{number}")
        elif step == "undo":
            FeedbackManager(stores[number], rater="alice", replica=f"r{number}").undo(own)
        elif number != other:
            merge_stores(stores[number], stores[other])
    for _ in range(2):
        for one in stores:
            for other in stores:
                if one is not other:
                    assert merge_stores(one, other).is_complete
    assert states(stores[0]) == states(stores[1]) == states(stores[2])
    assert len(states(stores[0])) == 3


@pytest.mark.parametrize("is_dry", [True, False])
def test_what_is_here_already_is_not_read_there_again(store, theirs, is_dry):
    run = sealed_run(theirs, "a")
    merge_stores(store, theirs)
    for path in run.path.rglob("*"):
        path.chmod(0o755)
    (run.path / "records.jsonl").write_bytes(b"x" * (run.path / "records.jsonl").stat().st_size)
    assert outcomes(merge_stores(store, theirs, dry_run=is_dry)) == {"a": "unchanged"}
    check_whole(store)


@pytest.mark.parametrize("is_dry", [True, False])
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_damage_there_never_comes_here(store, theirs, damage, is_dry):
    for name in ("new", "half"):
        run = sealed_run(theirs, name, variants=3)
        if name == "half":
            store.prepare()
            shutil.copytree(run.path, store.root / name)
            (store.root / name / "outputs").chmod(0o755)
            for output in list((store.root / name / "outputs").iterdir()):
                output.unlink()
        (output, *_) = sorted((run.path / "outputs").iterdir())
        output.chmod(0o644)
        if damage == "missing":
            output.unlink()
        else:
            output.write_bytes(b"other bytes")
    report = merge_stores(store, theirs, dry_run=is_dry)
    assert outcomes(report) == {"new": "skipped", "half": "skipped"}
    assert all("not what its seal says there: outputs/0000" in item.message for item in report.items)
    assert not (store.root / "new").exists()
    assert not list(store.root.rglob("*.tmp"))
    assert b"other bytes" not in contents(store).values()


def test_a_run_that_has_records_only_here_stays(store, theirs):
    writer = store.create(metadata("a"))
    write_variant(writer)
    writer.abandon()
    theirs.create(metadata("a")).seal(metadata("a", status="completed"))
    before = contents(store)
    assert outcomes(merge_stores(store, theirs)) == {"a": "divergent"}
    assert before.items() <= contents(store).items()
