"""From what other programs know of an image to the image in the store, and never to a wrong one."""

import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from stablenew.importing.pixel_facts import describe_outputs
from stablenew.importing.pixel_index import PixelIndex
from stablenew.importing.stars.foreign_opinion import ForeignOpinion
from stablenew.importing.stars.image_finder import BY_BYTES, BY_HASH, BY_PATH, BY_PIXELS, ImageFinder
from stablenew.recording.image_content import build_image
from tests import samples


@pytest.fixture
def run(store):
    """A run of two images whose SHA-256 is known."""
    writer = store.create(samples.metadata("run"))
    for index in range(2):
        image = build_image(samples.png(colour=(index, 9, 9)), variant=index, stage="txt2img", number=0)
        writer.write_output(image.data, variant=index, stage="txt2img", number=0, media_type="image/png")
        known = {"sha256": hashlib.sha256(image.data).hexdigest()}
        writer.append_record(samples.record("run", index, [image.reference.model_copy(update=known)]))
    return writer.seal(samples.metadata("run", status="completed", record_count=2, output_count=2))


@pytest.fixture
def find(store, run):
    """What is found by facts of an image, as its number in the run and by what; None where nothing is."""
    finder = ImageFinder(store, moved=[("D:\\Art", os.fspath(run.path)), ("/old/", os.fspath(run.path))])
    numbers = {output.digest: number for number, (_, output) in enumerate(run.iter_outputs())}

    def find(path="elsewhere/x.png", **said):
        match = finder.find(ForeignOpinion(os.fspath(path), "x", **said), lambda: pixels)
        return match and (numbers[match.image.digest], match.by)

    find.finder = finder
    with PixelIndex(store) as pixels:
        digests = [output.digest for _, output in run.iter_outputs()]
        found = describe_outputs(store.root, run.run_id, digests)
        pixels._connection.executemany("INSERT INTO pixels VALUES (?, ?, ?, ?)", found)
        yield find


@pytest.fixture
def outputs(run):
    return [output for _, output in run.iter_outputs()]


def test_an_image_is_found_where_it_lies(find, run, outputs):
    for number, output in enumerate(outputs):
        path = run.path / output.path
        assert find(path) == (number, BY_PATH)
        assert find(path.parent / ".." / "outputs" / path.name) == (number, BY_PATH)


def test_a_hash_finds_an_image_wherever_it_is_said_to_lie(find, outputs):
    assert find(sha256=outputs[1].sha256) == (1, BY_HASH)
    assert find(digest=outputs[0].digest) == (0, BY_HASH)
    assert find(sha256="0" * 64) is find(digest="xxh128:" + "0" * 32) is None


def test_a_hash_of_our_own_counts_more_than_the_path(find, run, outputs):
    assert find(run.path / outputs[0].path, digest=outputs[1].digest) == (1, BY_HASH)


def test_another_image_at_the_path_is_not_given_the_words(find, run, outputs):
    path = run.path / outputs[0].path
    assert find(path, sha256="0" * 64) == (0, BY_BYTES), "the file that is there now is ours"
    path.chmod(0o644)
    path.write_bytes(samples.png(colour=(7, 7, 7)))
    assert find(path) is None
    path.write_bytes((run.path / outputs[1].path).read_bytes())
    assert find(path) == (1, BY_BYTES)


@pytest.mark.parametrize("folder", ["D:\\art\\outputs\\", "d:/ART/outputs/", "/old/outputs/", "/old//outputs/./"])
def test_a_folder_of_another_machine_is_looked_for_where_it_is_now(find, outputs, folder):
    assert find(folder + Path(outputs[1].path).name) == (1, BY_PATH)


@pytest.mark.parametrize("folder", ["/older/outputs/", "D:\\Artist\\outputs\\", "/"])
def test_a_folder_that_only_begins_alike_is_another_one(find, outputs, folder):
    assert find(folder + Path(outputs[1].path).name) is None


def test_an_image_that_is_gone_is_found_by_its_path_if_nothing_speaks_against_it(find, run, outputs):
    path = run.path / outputs[0].path
    path.chmod(0o644)
    path.unlink()
    assert find(path) == find(path, size_bytes=outputs[0].size_bytes) == (0, BY_PATH)
    assert find(path, size_bytes=outputs[0].size_bytes + 1) is None
    assert find(path, sha256="0" * 64) is None


@pytest.mark.parametrize(
    "path", ["", ".", "/", "\0", "a\0b.png", "x" * 10_000, "\udcff", "C:", "C:\\", "//server/x"], ids=ascii
)
def test_a_path_that_no_file_can_have_finds_nothing(find, path):
    assert find(path) is None


def test_a_file_that_was_moved_and_stripped_is_found_by_its_pixels(find, run, outputs, tmp_path):
    stripped = tmp_path / "stripped.webp"
    with Image.open(run.path / outputs[1].path) as image:
        image.save(stripped, lossless=True)
    assert find(stripped) == (1, BY_PIXELS)


def test_images_of_that_name_and_size_are_suggested(find, outputs):
    name, size = Path(outputs[0].path).name, outputs[0].size_bytes
    suggest = find.finder.suggest
    assert [image.digest for image in suggest(ForeignOpinion(f"/x/{name.upper()}", "x", size_bytes=size))] == [
        outputs[0].digest
    ]
    assert suggest(ForeignOpinion(f"/x/{name}", "x")) == suggest(ForeignOpinion(f"/x/{name}", "x", size_bytes=1)) == []
    assert find.finder.image_count == 2


def test_of_an_image_in_several_runs_the_oldest_is_told(store):
    data = samples.png(b"same")
    for run_id in ("20261110-000000-000-aaaaaaaaaa", "20261109-000000-000-aaaaaaaaaa"):
        writer = store.create(samples.metadata(run_id, created_at=f"2026-11-{run_id[6:8]}T00:00:00.000Z"))
        record = samples.write_variant(writer, 0, data)
        writer.abandon()
    match = ImageFinder(store).find(ForeignOpinion("x", "x", digest=record.outputs[0].digest), None)
    assert match.image.run_id == "20261109-000000-000-aaaaaaaaaa"
