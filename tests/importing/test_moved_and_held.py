"""Images in place that move are found again; they can be taken into the store, and copies are told from originals."""

import io
import shutil
import threading
import time

import pytest
from PIL import Image, ImageFilter

from stablenew import FeedbackManager, JobHistory, RunStore, RunVerifier
from stablenew.disk.file_clone import can_clone
from stablenew.errors import ConfigError, OutputNotFound
from stablenew.importing.folder_watch import FolderWatch
from stablenew.importing.holding import hold_images
from stablenew.importing.importer import Importer
from stablenew.importing.pixel_index import PixelIndex, update_beside
from stablenew.store.output_access import IN_PLACE, MISSING, open_output, place_of
from stablenew.store.source_roots import SourceRoots
from tests import samples
from tests.importing.images import fill, make_png


def outputs_of(store):
    return [(run, output) for run in store.iter_runs() for _, output in run.iter_outputs()]


def codes(store, *, deep=False):
    return sorted(
        finding.code for run in store.iter_runs() for finding in RunVerifier(run, deep=deep).verify().findings
    )


def count_images(store):
    history = JobHistory(store.root)
    history.refresh(is_patient=True)
    try:
        return history.count_images()
    finally:
        history.close()


def test_files_that_were_renamed_and_moved_are_found_by_the_next_import(store, tmp_path):
    first, second, third = fill(tmp_path / "outputs", 3)
    Importer(store).run(tmp_path / "outputs")
    data = first.read_bytes()
    (tmp_path / "outputs" / "best").mkdir()
    first.rename(tmp_path / "outputs" / "best" / "keeper.png")
    second.rename(tmp_path / "outputs" / "renamed.png")
    assert codes(store) == ["origin-missing", "origin-missing"]
    Importer(store).run(tmp_path / "outputs")
    assert codes(store, deep=True) == ["origin-moved", "origin-moved"]
    assert {place_of(run, output) for run, output in outputs_of(store)} == {IN_PLACE}
    (moved,) = [pair for pair in outputs_of(store) if pair[1].origin.name == first.name]
    with open_output(*moved) as file:
        assert file.read() == data
    assert third.exists()


def test_a_file_that_moved_into_another_source_is_found(store, tmp_path):
    (path,) = fill(tmp_path / "one", 1)
    fill(tmp_path / "two", 1, first=9)
    Importer(store).run(tmp_path / "one")
    shutil.move(path, tmp_path / "two" / "x.png")
    Importer(store).run(tmp_path / "two")
    assert {place_of(run, output) for run, output in outputs_of(store)} == {IN_PLACE}


def test_where_a_file_was_found_again_it_is_checked_again(store, tmp_path):
    (path,) = fill(tmp_path / "outputs", 1)
    Importer(store).run(tmp_path / "outputs")
    path.rename(tmp_path / "outputs" / "moved.png")
    Importer(store).run(tmp_path / "outputs")
    (tmp_path / "outputs" / "moved.png").write_bytes(make_png(99))
    (pair,) = outputs_of(store)
    with pytest.raises(OutputNotFound):
        open_output(*pair)
    assert place_of(*pair) == MISSING


def test_a_watch_notices_where_a_file_went(store, tmp_path):
    (path,) = fill(tmp_path / "outputs", 1)
    stop = threading.Event()
    thread = threading.Thread(target=FolderWatch(Importer(store), tmp_path / "outputs").run, args=(stop,))
    thread.start()
    try:
        until = time.monotonic() + 60
        while not outputs_of(store):
            assert time.monotonic() < until
            time.sleep(0.02)
        path.rename(tmp_path / "outputs" / "other.png")
        (pair,) = outputs_of(store)
        while place_of(*pair) != IN_PLACE:
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join()


def test_held_images_no_longer_need_their_folder(store, tmp_path):
    fill(tmp_path / "outputs", 4)
    long = {"workflow": "x" * 10_000}
    (tmp_path / "outputs" / "long.png").write_bytes(make_png(50, extra=long))
    Importer(store).run(tmp_path / "outputs")
    digests = [output.digest for _, output in outputs_of(store)]
    (run, output), *_ = outputs_of(store)
    FeedbackManager(store, rater="anna").record_feedback(run.run_id, output.digest, 5)
    report = hold_images(store, digests)
    assert (report.held, report.already, report.problems) == (5, 0, [])
    assert hold_images(store, digests).already == 5
    shutil.rmtree(tmp_path / "outputs")
    assert count_images(store) == 5, "each is one image, in two runs"
    for run_id in report.run_ids:
        held = store.open(run_id)
        assert RunVerifier(held, deep=True).verify().findings == ()
        assert {record.actual.steps for record in held.iter_records()} == {20}
    history = JobHistory(store.root)
    history.refresh(is_patient=True)
    assert history.count_images("rating:5") == 1
    history.close()


def test_holding_names_what_is_gone_and_holds_the_rest(store, tmp_path):
    path, _ = fill(tmp_path / "outputs", 2)
    Importer(store).run(tmp_path / "outputs")
    path.unlink()
    report = hold_images(store, [output.digest for _, output in outputs_of(store)])
    assert (report.held, len(report.problems)) == (1, 1)


def test_linking_is_refused_where_bytes_cannot_be_shared_and_says_why(store, tmp_path):
    (path,) = fill(tmp_path / "outputs", 1)
    if can_clone(path, store.root):
        Importer(store, is_copied=True, is_linked=True).run(tmp_path / "outputs")
        assert codes(store, deep=True) == []
        return
    with pytest.raises(ConfigError, match="read-only"):
        Importer(store, is_copied=True, is_linked=True).run(tmp_path / "outputs")
    assert outputs_of(store) == []


def rewrite(data, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def pattern(number, size=(160, 120)):
    """A picture with some shapes in it, of its own metadata."""
    noise = Image.frombytes("L", (5, 4), bytes((number * 89 + index * index * 37) % 256 for index in range(20)))
    picture = noise.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.SMOOTH).convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.heavy
def test_a_lossless_copy_is_the_same_picture_and_a_lossy_one_a_candidate(store, tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for number in range(6):
        (outputs / f"{number}.png").write_bytes(pattern(number))
    (outputs / "stripped.png").write_bytes(rewrite(pattern(0), compress_level=1))
    (outputs / "lossless.webp").write_bytes(rewrite(pattern(1), "WEBP", lossless=True))
    (outputs / "lossy.jpg").write_bytes(rewrite(pattern(2), "JPEG", quality=70))
    (outputs / "smaller.png").write_bytes(pattern(3, (80, 60)))
    Importer(store, takes_all=True).run(outputs)
    names = {output.digest: output.origin.name for _, output in outputs_of(store)}
    with PixelIndex(store) as pixels:
        assert pixels.update() == 10
        assert pixels.update() == 0, "it goes on where it was"
        same = [{names[digest] for digest in group} for group in pixels.copies()]
        alike = [{names[first], names[second]} for first, second, _ in pixels.alike()]
    assert sorted(map(sorted, same)) == [["0.png", "stripped.png"], ["1.png", "lossless.webp"]]
    assert {"2.png", "lossy.jpg"} in alike
    assert {"3.png", "smaller.png"} in alike


def test_pixels_are_worked_out_by_a_process_of_its_own(store, tmp_path):
    fill(tmp_path / "outputs", 3)
    Importer(store).run(tmp_path / "outputs")
    update_beside(store)
    until = time.monotonic() + 60
    with PixelIndex(store) as pixels:
        while list(pixels.missing()):
            assert time.monotonic() < until
            time.sleep(0.1)
        assert pixels.update() == 0


@pytest.mark.heavy
def test_an_image_that_cannot_be_decoded_stops_no_other_and_is_not_tried_for_ever(store, tmp_path):
    outputs = tmp_path / "outputs"
    fill(outputs, 2)
    (outputs / "broken.png").write_bytes(make_png(7)[:-40] + b"IEND" + bytes(8))
    Importer(store, takes_all=True).run(outputs)
    with PixelIndex(store) as pixels:
        assert pixels.update() == 3
        assert pixels.update() == 0


def test_what_a_recorder_has_recorded_is_not_taken_again_by_a_watch(store, tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    stop = threading.Event()
    thread = threading.Thread(target=FolderWatch(Importer(store), outputs).run, args=(stop,))
    thread.start()
    try:
        writer = store.create(samples.metadata("recorded"))
        data = make_png(5)
        samples.write_variant(writer, 0, data)
        writer.seal(samples.metadata("recorded", status="completed", record_count=1, output_count=1))
        (outputs / "5.png").write_bytes(data)
        (outputs / "6.png").write_bytes(make_png(6))
        until = time.monotonic() + 60
        while len(outputs_of(store)) < 2:
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(0.5)
    finally:
        stop.set()
        thread.join()
    assert len(outputs_of(store)) == 2
    assert count_images(store) == 2


def test_an_image_that_was_taken_before_the_recorder_wrote_it_is_one_image(store, tmp_path):
    (path,) = fill(tmp_path / "outputs", 1, first=5)
    Importer(store).run(tmp_path / "outputs")
    writer = store.create(samples.metadata("recorded"))
    samples.write_variant(writer, 0, path.read_bytes())
    writer.seal(samples.metadata("recorded", status="completed", record_count=1, output_count=1))
    assert count_images(store) == 1


def test_a_store_that_was_synced_finds_its_images_on_a_share_mounted_elsewhere(store, tmp_path, monkeypatch):
    fill(tmp_path / "share" / "outputs", 3)
    Importer(store).run(tmp_path / "share" / "outputs")
    (root,) = SourceRoots(store.root).list()
    shutil.copytree(store.root, tmp_path / "second" / "runs")
    (tmp_path / "share").rename(tmp_path / "mounted")
    monkeypatch.setenv("STABLENEW_STATE_DIR", str(tmp_path / "second" / "state"))
    elsewhere = RunStore(tmp_path / "second" / "runs")
    assert {place_of(run, output) for run, output in outputs_of(elsewhere)} == {MISSING}
    assert codes(elsewhere) == ["origin-elsewhere"]
    run, output = outputs_of(elsewhere)[0]
    FeedbackManager(elsewhere, rater="anna").record_feedback(run.run_id, output.digest, 4)
    SourceRoots(elsewhere.root).move(root.id, tmp_path / "mounted" / "outputs")
    assert {place_of(run, output) for run, output in outputs_of(elsewhere)} == {IN_PLACE}
    for path in run.path.glob("feedback*"):  # a sync brings what was said there home
        shutil.copy(path, store.root / run.run_id / path.name)
    monkeypatch.undo()
    assert FeedbackManager(store).state(run.run_id).images[output.digest]["anna"].rating == 4
