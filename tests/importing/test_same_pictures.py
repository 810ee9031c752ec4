"""Files with the same pixels are one picture in history: one row, with all places, and one fold of what was said."""

import contextlib

import pytest
from PIL import Image

from stablenew import FeedbackManager, JobHistory, RunStore, RunVerifier
from stablenew.controller.app_controller import AppController
from stablenew.controller.light_table.trash import TrashCan
from stablenew.exporting.image_places import ImagePlaces
from stablenew.exporting.xmp_export import export_sidecars
from stablenew.formats.documents.feedback_input import FeedbackInput
from stablenew.image_metadata.xmp_opinions import read_opinion
from stablenew.importing.importer import Importer
from stablenew.importing.pixel_index import PixelIndex
from stablenew.index.index_schema import COPY_PREFIX
from stablenew.store.output_access import open_output
from tests.importing.images import make_pictured_png
from tests.importing.test_moved_and_held import outputs_of, pattern, rewrite


@contextlib.contextmanager
def history_of(store, **options):
    history = JobHistory(store.root, **options)
    try:
        history.refresh()
        yield history
    finally:
        history.close()


def work_out_pixels(store):
    with PixelIndex(store) as pixels:
        pixels.update(processes=1)


def digests_by_name(store):
    return {output.origin.name: (run.run_id, output.digest) for run, output in outputs_of(store)}


@pytest.fixture
def copies(store: RunStore, tmp_path):
    """A picture with its settings, a stripped and a lossless copy, and another picture; by file name."""
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    first = make_pictured_png(1)
    (outputs / "first.png").write_bytes(first)
    Importer(store).run(outputs)
    (outputs / "stripped.png").write_bytes(rewrite(first, compress_level=1))
    (outputs / "lossless.webp").write_bytes(rewrite(first, "WEBP", lossless=True))
    (outputs / "other.png").write_bytes(make_pictured_png(2))
    Importer(store, takes_all=True).run(outputs)
    return digests_by_name(store)


def test_copies_are_one_row_that_shows_how_it_was_made_and_all_its_places(store, copies):
    with history_of(store) as history:
        assert history.count_images() == 4
    work_out_pixels(store)
    with history_of(store) as history:
        assert history.count_images() == 2
        rows = {row["digest"]: row for row in history.search_images()}
        row = rows[copies["first.png"][1]]
        assert row["settings"]["steps"] == 20
        named = {copies[name][1] for name in ("first.png", "stripped.png", "lossless.webp")}
        assert {place["digest"] for place in row["places"]} == named
        assert list(map(set, history.copies())) == [named]
        assert [found["id"] for found in history.image_rows([row["id"]])] == [row["id"]]
        snapshot = history.image_snapshot()
        assert sorted(snapshot.images.tolist()) == sorted(found["id"] for found in rows.values())
        for digest in named:
            assert history.count_images(f"digest:{digest}") == 1
        assert len(set(history.image_ids(named).values())) == 1
        assert sorted(history.digests(f"digest:{row['digest']}")) == sorted(named)
    originals = [RunVerifier(run, deep=True).verify().findings for run in store.iter_runs()]
    assert originals == [()] * len(originals), "no original and no record changed"


def test_what_was_said_of_any_copy_is_said_of_the_picture(store, copies):
    feedback = FeedbackManager(store, rater="anna")
    feedback.record_feedback(*copies["first.png"], 2)
    work_out_pixels(store)
    with history_of(store, rater="anna") as history:
        assert history.count_images("rating:2") == 1
        feedback.record_feedback(*copies["stripped.png"], 5)
        FeedbackManager(store, rater="ben").record_feedback(*copies["lossless.webp"], 4)
        run_id, digest = copies["lossless.webp"]
        said = FeedbackInput.build(run_id=run_id, image_id=digest, tags=["quay"], notes="good light")
        feedback.record_many([said])
        history.refresh()
        (row,) = history.search_images("rating:4.5")
        assert (row["mine"], row["ratings"], row["rater_count"]) == (5, {"anna": 5, "ben": 4}, 2)
        assert row["tags"] == ["quay"]
        assert history.count_images("rating:2") == 0
        for query in ("mine:5", "tag:quay", 'note:"good light"', "rater:ben", "noted:yes"):
            assert [found["id"] for found in history.search_images(query)] == [row["id"]], query
        assert list(map(tuple, history.image_facets()["rating"])) == [(5.0, 1)]


def test_the_trash_takes_a_picture_and_gives_it_back(store, copies):
    work_out_pixels(store)
    feedback = FeedbackManager(store, rater="anna")
    run_id, digest = copies["stripped.png"]
    feedback.record_many([FeedbackInput.build(run_id=run_id, image_id=digest, trashed=True)])
    with history_of(store) as history:
        assert (history.count_images("is:trashed"), history.count_images("-is:trashed")) == (1, 1)
        run_id, digest = copies["first.png"]
        feedback.record_many([FeedbackInput.build(run_id=run_id, image_id=digest, trashed=False)])
        history.refresh()
        assert history.count_images("is:trashed") == 0


def test_an_open_history_follows_and_a_rebuilt_one_finds_the_same(store, copies):
    with history_of(store) as history:
        assert history.count_images("steps:20") == 2
        work_out_pixels(store)
        history.refresh()
        assert history.count_images() == 2
        expected = [row["digest"] for row in history.search_images()]
        history.keeper.rebuild()
        assert [row["digest"] for row in history.search_images()] == expected
    with history_of(store) as history:
        assert [row["digest"] for row in history.search_images()] == expected


def test_a_copy_that_comes_later_joins_its_picture(store, copies, tmp_path):
    work_out_pixels(store)
    late = tmp_path / "late"
    late.mkdir()
    (late / "late.png").write_bytes(rewrite(make_pictured_png(2), compress_level=2))
    Importer(store, takes_all=True).run(late)
    with history_of(store) as history:
        assert history.count_images() == 3
        work_out_pixels(store)
        history.refresh()
        assert history.count_images() == 2


def test_pictures_of_a_single_colour_stay_apart(store, tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for number in range(2):
        Image.new("RGB", (32, 32)).save(outputs / f"{number}.png", compress_level=number)
    Importer(store, takes_all=True).run(outputs)
    work_out_pixels(store)
    with history_of(store) as history:
        assert history.count_images() == 2, "black images are what failed, whatever was asked"


def test_a_person_joins_lossy_copies_and_parts_them_again(store, tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / "first.png").write_bytes(pattern(0))
    (outputs / "lossy.jpg").write_bytes(rewrite(pattern(0), "JPEG", quality=60))
    Importer(store, takes_all=True).run(outputs)
    work_out_pixels(store)
    feedback = FeedbackManager(store, rater="anna")
    says = [
        FeedbackInput.build(run_id=run_id, image_id=digest, tags=[f"{COPY_PREFIX}1"])
        for run_id, digest in digests_by_name(store).values()
    ]
    with history_of(store) as history:
        assert history.count_images() == 2
        feedback.record_many(says)
        history.refresh()
        assert history.count_images() == 1
        feedback.undo(says[0].run_id)
        history.refresh()
        assert history.count_images() == 2
        assert history.copies() == []


def test_sidecars_are_written_beside_all_files_of_a_picture(store, copies, tmp_path):
    work_out_pixels(store)
    FeedbackManager(store, rater="anna").record_feedback(*copies["stripped.png"], 5)
    with history_of(store, rater="anna") as history:
        report = export_sidecars(ImagePlaces(store), history.find_images("rating:5").rows, None)
    assert report.problems == []
    names = sorted(path.name for path in (tmp_path / "outputs").glob("*.xmp"))
    assert names == ["first.png.xmp", "lossless.webp.xmp", "stripped.png.xmp"]
    assert all(read_opinion(path.read_text()).rating == 5 for path in (tmp_path / "outputs").glob("*.xmp"))


def test_emptying_the_trash_removes_the_file_that_was_put_there_and_no_other(store, tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / "first.png").write_bytes(make_pictured_png(1))
    (outputs / "stripped.png").write_bytes(rewrite(make_pictured_png(1), compress_level=1))
    Importer(store, takes_all=True, is_copied=True).run(outputs)
    work_out_pixels(store)
    files = {output.size_bytes: (run.run_id, output.digest) for run, output in outputs_of(store)}
    first, stripped = (files[(outputs / name).stat().st_size] for name in ("first.png", "stripped.png"))
    feedback = FeedbackManager(store, rater="anna")
    with history_of(store, rater="anna") as history:
        trash = TrashCan(store, history, feedback)
        trash.add([stripped[1]])
        history.refresh()
        assert history.count_images("-is:trashed") == 0, "the picture is out of sight"
        (image,) = trash.iter_images()
        assert (image.digest, image.other_files) == (stripped[1], (first[1],))
        FeedbackManager(store, rater="ben").record_feedback(*first, 5)
        assert trash.choose()[0] == [], "somebody likes the picture"
        FeedbackManager(store, rater="ben").record_feedback(*first, 1)
        report = trash.empty(trash.choose()[0])
        assert (report.removed, report.problems) == ([stripped[1]], [])
        with open_output(*find_output(store, first[1])) as file:
            assert file.read() == (outputs / "first.png").read_bytes()
        trash.restore(trash.iter_images())
        history.refresh()
        assert history.count_images("-is:trashed") == 1


def find_output(store, digest):
    return next((run, output) for run, output in outputs_of(store) if output.digest == digest)


def test_a_dataset_of_everything_knows_the_copies_that_came_since_the_last_look_at_history(store, copies):
    work_out_pixels(store)
    controller = AppController(runs_dir=store.root)
    controller.datasets.open()
    (group,) = controller.history.copies()
    assert len(group) == 3
    controller.history.close()
