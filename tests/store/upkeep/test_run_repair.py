import os

import pytest

from stablenew import RunVerifier
from stablenew.errors import RunSealed, WriteFailed
from stablenew.store.local_state import host_id
from stablenew.store.run import Run
from stablenew.store.run_folder import INTERRUPTED
from stablenew.store.upkeep import run_repair
from stablenew.store.upkeep.run_repair import repair_or_explain, repair_run, repair_store
from tests.samples import metadata, png, sealed_run, write_variant


def here():
    return metadata(source={"name": "StableNew", "host_id": host_id()})


def interrupted(store, variants=2):
    writer = store.create(here())
    for index in range(variants):
        write_variant(writer, index)
    writer.abandon()
    return store.open("sample-run")


def codes(report):
    return [action.code for action in report.actions]


def test_an_interrupted_run_is_sealed_with_everything_whole(store):
    run = interrupted(store)
    before = [one.to_dict() for one in run.iter_records()]
    assert codes(repair_run(run)) == ["sealed"]
    run = store.open("sample-run")
    assert (run.state, run.status, run.metadata.record_count, run.metadata.output_count) == (
        "sealed",
        "interrupted",
        2,
        2,
    )
    assert [one.to_dict() for one in run.iter_records()] == before
    assert RunVerifier(run, deep=True).verify().findings == ()
    assert codes(repair_run(run)) == []


def test_a_torn_line_and_our_own_temporary_files_go_and_are_reported(store):
    run = interrupted(store)
    with (run.path / "records.jsonl").open("ab") as file:
        file.write(b'{"kind":"stablenew.learn')
    (run.path / "outputs" / ".0002-txt2img-0.0a1b2c3d.tmp").write_bytes(b"half")
    (run.path / ".run_metadata.json.0a1b2c3d.tmp").write_bytes(b"half")
    (run.path / ".syncthing.image.png.tmp").write_bytes(b"not ours")
    assert sorted(codes(repair_run(run))) == ["sealed", "temporary-removed", "temporary-removed", "torn-line-removed"]
    assert (run.path / ".syncthing.image.png.tmp").exists()
    report = RunVerifier(store.open("sample-run")).verify()
    assert [finding.code for finding in report.findings] == ["file-leftover"]
    assert store.open("sample-run").metadata.record_count == 2


def test_a_run_that_its_writer_seals_meanwhile_stays_as_it_is(store, monkeypatch):
    """Its writer ends between the look at the run and the lock."""
    writer = store.create(here())
    write_variant(writer)

    def seal_first(_):
        writer.seal(metadata(status="completed", record_count=1, output_count=1))
        return INTERRUPTED

    monkeypatch.setattr(Run, "state", property(seal_first))
    assert codes(repair_run(store.open("sample-run"))) == []
    monkeypatch.undo()
    run = store.open("sample-run")
    assert run.status == "completed"
    assert RunVerifier(run).verify().findings == ()


def test_a_run_that_cannot_be_repaired_says_why_and_stops_no_other(store, monkeypatch):
    run = interrupted(store)
    gone = store.root / "gone"
    assert [one.message for one in repair_or_explain(Run(gone)).actions] == ["the run is not there any more"]

    def refuse(*_):
        raise WriteFailed(28, "could not write: No space left on device", str(run.path / "SHA256SUMS"))

    monkeypatch.setattr(run_repair, "replace_then_write_once", refuse)
    report = repair_or_explain(run)
    assert codes(report) == ["sealed", "skipped"]
    assert "cannot be repaired: could not write: No space left on device" in report.actions[1].message


def test_a_whole_output_without_a_record_is_kept_and_sealed(store):
    writer = store.create(here())
    write_variant(writer)
    stored = writer.write_output(png(b"no record"), variant=1, stage="txt2img", number=0, media_type="image/png")
    writer.abandon()
    repair_run(store.open("sample-run"))
    run = store.open("sample-run")
    assert (run.path / stored.path).exists()
    assert [finding.code for finding in RunVerifier(run).verify().findings] == ["output-unrecorded"]


def test_a_dry_run_changes_nothing(store):
    run = interrupted(store)
    (run.path / ".run_metadata.json.0a1b2c3d.tmp").write_bytes(b"half")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert codes(repair_run(run, dry_run=True)) == ["temporary-removed", "sealed"]
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_run_that_is_being_written_is_left_alone(store):
    writer = store.create(here())
    write_variant(writer)
    assert codes(repair_run(writer.run)) == ["skipped"]
    writer.seal(metadata(status="completed"))
    with pytest.raises(RunSealed):
        write_variant(writer, 1)


def test_a_run_of_another_machine_is_finished_only_by_force(store):
    writer = store.create(metadata(source={"name": "StableNew", "host_id": "far"}))
    write_variant(writer)
    writer.abandon()
    run = store.open("sample-run")
    assert codes(repair_run(run)) == ["skipped"]
    assert not run.is_sealed
    assert codes(repair_run(run, force=True)) == ["sealed"]


def test_folders_that_never_became_runs_go(store):
    sealed_run(store)
    stale = store.root / ".20261121-071009-123-k3v9q2m4xw.0a1b2c3d.tmp"
    (stale / "outputs").mkdir(parents=True)
    (store.root / ".~tmp~").mkdir()
    assert codes(repair_store(store, dry_run=True)) == ["temporary-removed"]
    assert stale.exists()
    repair_store(store)
    assert sorted(os.listdir(store.root)) == [".stablenew", ".~tmp~", "sample-run"]


def test_repair_of_a_run_without_metadata_says_why_it_cannot(store):
    run = interrupted(store)
    (run.path / "run_metadata.json").unlink()
    report = repair_run(run, force=True)
    assert "metadata" in report.actions[-1].message
    assert not run.is_sealed
