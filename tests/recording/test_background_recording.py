"""A run that is written while it is made: in order, together where it comes fast, and without holding anybody up."""

import errno
import logging
import os
import threading
import time

import pytest

from stablenew import RunStore, RunVerifier
from stablenew.disk import group_sync
from stablenew.errors import WriteFailed
from stablenew.recording import background_recording
from stablenew.recording.background_recording import BackgroundRecording
from stablenew.recording.image_content import build_image
from stablenew.recording.new_run import RunDescription, build_source
from stablenew.recording.recording_session import RecordingSession
from stablenew.recording.side_channel import SideChannel
from tests.samples import png, record

PATIENCE = 60


@pytest.fixture
def channel():
    return SideChannel("recording")


@pytest.fixture
def recording(store):
    return RecordingSession(store, RunDescription("sample-run", config={}, source=build_source(engine="test")))


@pytest.fixture
def disk(monkeypatch):
    """A disk that answers only while it is `set`."""
    answers = threading.Event()
    fsync = os.fsync

    def patient(descriptor):
        assert answers.wait(PATIENCE)
        fsync(descriptor)

    monkeypatch.setattr(group_sync.os, "fsync", patient)
    yield answers
    answers.set()


def variant(index, data=None):
    image = build_image(data or png(b"%d" % index), variant=index, stage="txt2img", number=0)
    return record("sample-run", index, [image.reference]), [image]


def settled(queue):
    """Which variants the disk has taken or refused lately."""
    return [(one.record.variant.index, one.is_recorded) for one in queue.pop_settled()]


def test_variants_are_recorded_in_order_and_the_run_is_sealed(recording, channel):
    queue = BackgroundRecording(recording, channel)
    for index in range(5):
        queue.add_variant(*variant(index))
    run = queue.finish("completed")
    assert [one.variant.index for one in run.iter_records()] == [0, 1, 2, 3, 4]
    assert settled(queue) == [(index, True) for index in range(5)]
    assert settled(queue) == []
    assert RunVerifier(run, deep=True).verify().findings == ()
    assert (run.metadata.record_count, run.metadata.output_count) == (5, 5)
    assert channel.failure is None


def test_nobody_waits_for_a_slow_disk_until_the_end(recording, channel, disk, store):
    queue = BackgroundRecording(recording, channel)
    for index in range(4):
        queue.add_variant(*variant(index))
    assert settled(queue) == []
    assert not (store.root / "sample-run").exists()
    disk.set()
    assert queue.finish("completed").metadata.record_count == 4


def test_what_came_while_the_disk_was_busy_is_written_together(recording, channel, disk, monkeypatch):
    sizes = []
    add_variants = RecordingSession.add_variants
    monkeypatch.setattr(
        RecordingSession, "add_variants", lambda self, many: sizes.append(len(many)) or add_variants(self, many)
    )
    queue = BackgroundRecording(recording, channel)
    for index in range(6):
        queue.add_variant(*variant(index))
    disk.set()
    assert len(list(queue.finish("completed").iter_records())) == 6
    assert sizes == [6]


def test_more_images_than_may_wait_in_memory_have_to(recording, channel, disk, monkeypatch):
    monkeypatch.setattr(background_recording, "MOST_BYTES", 100_000)
    queue = BackgroundRecording(recording, channel)
    added = []

    def make():
        for index in range(6):
            queue.add_variant(*variant(index, png(os.urandom(60_000))))
            added.append(index)

    maker = threading.Thread(target=make)
    maker.start()
    until = time.monotonic() + PATIENCE
    while len(added) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    maker.join(0.3)
    assert added == [0, 1]  # the second was let in while there was room
    disk.set()
    maker.join(PATIENCE)
    assert len(list(queue.finish("completed").iter_records())) == 6


def test_a_variant_that_cannot_be_written_spoils_no_other(recording, channel, caplog):
    queue = BackgroundRecording(recording, channel)
    lost, images = variant(1)
    queue.add_variant(*variant(0))
    queue.add_variant(lost, [images[0].without_data()])
    queue.add_variant(record("another-run", 2), [])
    queue.add_variant(*variant(3))
    run = queue.finish("completed")
    assert [one.variant.index for one in run.iter_records()] == [0, 3]
    assert settled(queue) == [(0, True), (1, False), (2, False), (3, True)]
    said = {one.index: one.reason for one in run.metadata.unrecorded}
    assert "not in memory any more" in said[1]
    assert "found one of another-run" in said[2]
    assert [one.levelno for one in caplog.records] == [logging.ERROR]
    assert channel.failure_count == 2
    assert RunVerifier(run).verify().is_ok


def test_after_a_failed_fsync_of_records_nothing_more_is_appended(recording, channel, monkeypatch, store):
    fsync = os.fsync

    def refuse(descriptor):
        if os.path.samestat(os.fstat(descriptor), (store.root / "sample-run" / "records.jsonl").stat()):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    queue = BackgroundRecording(recording, channel)
    queue.add_variant(*variant(0))
    while not settled(queue):
        threading.Event().wait(0.01)
    monkeypatch.setattr(group_sync.os, "fsync", refuse)
    for index in range(1, 4):
        queue.add_variant(*variant(index))
    with pytest.raises(WriteFailed):
        queue.finish("completed")
    monkeypatch.undo()
    assert settled(queue) == [(index, False) for index in range(1, 4)]
    assert "disk failed" in str(channel.failure)
    assert not (store.root / "sample-run" / "SHA256SUMS").exists()


def test_a_run_that_cannot_begin_is_said_once_and_costs_no_memory(tmp_path, channel, caplog):
    (tmp_path / "file").write_text("no folder")
    recording = RecordingSession(
        RunStore(tmp_path / "file"), RunDescription("sample-run", config={}, source=build_source())
    )
    queue = BackgroundRecording(recording, channel)
    for index in range(3):
        queue.add_variant(*variant(index))
    assert queue.finish("completed") is None
    assert (queue.run, queue._waiting_bytes) == (None, 0)
    assert settled(queue) == [(index, False) for index in range(3)]
    assert "expected a folder of runs" in caplog.text
    assert channel.failure_count == 1
