"""In which order a run's files and names are asked of the disk."""

import errno
import os

import pytest

from stablenew.disk import group_sync
from stablenew.disk.group_sync import perform
from stablenew.errors import RunExists, RunLocked
from stablenew.recording.image_content import build_image
from stablenew.recording.new_run import RunDescription, build_source
from stablenew.recording.recording_session import FinishedVariant, RecordingSession
from tests.samples import metadata, png, record


@pytest.fixture
def synced(monkeypatch):
    """The inodes that the disk was asked for, in order."""
    real, asked = os.fsync, []

    def fsync(descriptor):
        asked.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(group_sync.os, "fsync", fsync)
    return asked


def write(writer, number):
    data = png(b"%d" % number)
    return writer.write_output(data, variant=0, stage="txt2img", number=number, media_type="image/png")


def test_a_name_that_comes_while_its_folder_is_synced_is_synced_before_a_record(store, synced):
    writer = store.create(metadata())
    write(writer, 0)
    steps = writer.name_steps()
    next(steps)  # the store's folder
    next(steps)  # the folder of outputs: asked for, and not answered yet
    write(writer, 1)
    with pytest.raises(StopIteration):
        next(steps)
    synced.clear()
    perform(writer.name_steps())
    assert synced == [(writer.path / "outputs").stat().st_ino]
    synced.clear()
    perform(writer.name_steps())
    assert synced == []
    writer.abandon()


def test_the_stores_folder_is_synced_before_the_first_record(store, synced):
    recording = RecordingSession(
        store, RunDescription("sample-run", config={}, source=build_source(engine="test"))
    ).start()
    image = build_image(png(), variant=0, stage="txt2img", number=0)
    recording.add_variant(record("sample-run", 0, [image.reference]), [image])
    path = store.root / "sample-run"
    places = [store.root, path / "outputs", path / "records.jsonl"]
    order = [synced.index(place.stat().st_ino) for place in places]
    assert order == sorted(order)
    assert synced.index(next((path / "outputs").iterdir()).stat().st_ino) < order[1]
    recording.abandon()


def test_variants_count_for_nothing_when_the_name_of_their_run_may_be_lost(store, monkeypatch):
    recording = RecordingSession(
        store, RunDescription("sample-run", config={}, source=build_source(engine="test"))
    ).start()
    real, root = os.fsync, store.root.stat().st_ino

    def fsync(descriptor):
        if os.fstat(descriptor).st_ino == root:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(group_sync.os, "fsync", fsync)
    image = build_image(png(), variant=0, stage="txt2img", number=0)
    with pytest.raises(OSError, match="Input/output error"):
        recording.add_variants([FinishedVariant(record("sample-run", 0, [image.reference]), (image,))])
    assert not (store.root / "sample-run" / "records.jsonl").exists()
    monkeypatch.undo()
    assert [one.index for one in recording.finish("completed").metadata.unrecorded] == [0]


@pytest.mark.parametrize("rival", ["writing", "sealed"])
def test_whoever_comes_second_leaves_nothing_behind(store, rival):
    first = store.create(metadata())
    if rival == "sealed":
        first.seal(metadata(status="completed"))
    before = sorted(store.root.iterdir())
    with pytest.raises(RunLocked if rival == "writing" else RunExists):
        store.create(metadata())
    assert sorted(store.root.iterdir()) == before
    if rival == "writing":
        first.append_record(record())
        assert first.seal(metadata(status="completed")).state == "sealed"
