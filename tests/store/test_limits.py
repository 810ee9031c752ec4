"""Limits are the same for whoever writes and whoever reads: what is sealed here can be read here."""

import pytest

from stablenew import FeedbackManager, JobHistory, RunRecorder, RunStore, RunVerifier
from stablenew.errors import InvalidDocument, WriteFailed
from stablenew.formats.strict_json import MAX_BYTES
from stablenew.store import run_writer
from stablenew.store.feedback import feedback_log
from stablenew.store.upkeep.run_repair import repair_run
from tests.samples import metadata, png, record, sealed_run, write_variant

MEGABYTE = 1_000_000


def check_whole(root, run_id, records):
    """Everybody reads the run."""
    run = RunStore(root).open(run_id)
    assert RunVerifier(run, deep=True).verify().findings == ()
    assert run.state == "sealed"
    assert len(list(run.iter_records())) == records
    history = JobHistory(root)
    history.refresh()
    (row,) = history.recent(9).rows
    assert (row["status"], row["problem"]) == ("completed", None)


@pytest.mark.parametrize("megabytes", [17, 40])
def test_a_config_with_an_image_in_it_is_recorded_and_read(tmp_path, megabytes):
    with RunRecorder(tmp_path, config={"init_image": "A" * megabytes * MEGABYTE}) as recorder:
        recorder.record_variant(prompt="x", images=[png()])
    assert recorder.failure is None
    check_whole(tmp_path, recorder.run_id, 1)


def test_a_record_with_a_workflow_of_many_megabytes_is_recorded_and_read(tmp_path):
    with RunRecorder(tmp_path) as recorder:
        assert recorder.record_variant(prompt="p" * 30 * MEGABYTE, images=[png(b"1")]) is not None
        assert recorder.record_variant(prompt="short", images=[png(b"2")]) is not None
    check_whole(tmp_path, recorder.run_id, 2)


def test_a_record_that_no_reader_takes_is_refused_and_the_run_stays_whole(store):
    writer = store.create(metadata())
    write_variant(writer)
    long = record(index=1, prompt={"positive": "p" * MAX_BYTES})
    with pytest.raises(InvalidDocument, match="expected at most 67,108,864 bytes for a record"):
        writer.append_record(long)
    write_variant(writer, 2)
    run = writer.seal(metadata(status="completed", record_count=2, output_count=2))
    assert RunVerifier(run).verify().findings == ()


def test_metadata_that_no_reader_takes_is_refused_before_there_is_a_run(store):
    with pytest.raises(InvalidDocument, match="run's metadata"):
        store.create(metadata(one_click_action="x" * MAX_BYTES))
    assert [path.name for path in store.root.iterdir()] == [".stablenew"]


def test_paths_of_very_many_outputs_give_way_to_the_rest(store, monkeypatch):
    """They are in the records as well, so a run of any length can be sealed, by its writer or by repair."""
    stages = [{"name": "txt2img", "outputs": [f"outputs/{n:06}-txt2img-0.3f9a1c2b4d5e.png" for n in range(100)]}]
    monkeypatch.setattr(run_writer, "MAX_METADATA_BYTES", 2000)
    writer = store.create(metadata())
    write_variant(writer)
    run = writer.seal(metadata(status="completed", record_count=1, output_count=1, stages=stages))
    assert run.metadata.stages is None
    assert run.metadata.record_count == 1
    assert RunVerifier(run).verify().findings == ()
    cut_off = store.create(metadata("cut-off"))
    for index in range(20):
        write_variant(cut_off, index)
    cut_off.abandon()
    repair_run(store.open("cut-off"), force=True)
    assert RunVerifier(store.open("cut-off")).verify().findings == ()


def test_records_beyond_what_readers_take_are_refused(store, monkeypatch):
    writer = store.create(metadata())
    write_variant(writer)
    monkeypatch.setattr(run_writer, "MAX_RECORDS_BYTES", 1500)
    with pytest.raises(WriteFailed, match="start a new run"):
        for index in range(1, 5):
            write_variant(writer, index)
    count = writer.record_count
    run = writer.seal(metadata(status="completed", record_count=count))
    assert len(list(run.iter_records())) == count >= 1


@pytest.mark.heavy
def test_feedback_longer_than_other_documents_is_read_and_not_set_aside(store):
    run = sealed_run(store)
    manager = FeedbackManager(store)
    manager.record_feedback("sample-run", "0/0", 3)
    path = run.path / "feedback.json"
    more = b"".join(b', "org.example.%d": "%b"' % (number, b"x" * 24 * MEGABYTE) for number in range(3))
    path.write_bytes(path.read_bytes().rstrip().removesuffix(b"}") + more + b"}")
    manager.record_feedback("sample-run", "1/0", 4)
    assert path.stat().st_size > 70 * MEGABYTE
    assert len(manager.opinions("sample-run")) == 2
    assert not list(run.path.glob("damaged-*"))
    assert RunVerifier(run, deep=True).verify().findings == ()


def test_feedback_that_no_reader_would_take_is_refused(store, monkeypatch):
    sealed_run(store)
    manager = FeedbackManager(store)
    manager.record_feedback("sample-run", "0/0", 3)
    monkeypatch.setattr(feedback_log, "MAX_FEEDBACK_BYTES", 900)
    with pytest.raises(WriteFailed, match="no reader takes more than 900"):
        for _ in range(9):
            manager.record_feedback("sample-run", "1/0", 4)
    assert manager.opinions("sample-run")
