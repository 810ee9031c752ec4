"""Stars of other programs come home: to the right image, once, and a later word of one's own goes on to count."""

import io
import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from PIL import Image

from stablenew import FeedbackManager, RunStore
from stablenew.errors import ConfigError
from stablenew.importing.importer import Importer
from stablenew.importing.stars.image_finder import ImageFinder
from stablenew.importing.stars.star_import import StarImport
from stablenew.importing.stars.star_sources import read_stars
from tests.importing.images import fill, make_png
from tests.importing.stars import databases

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmp:CreatorTool="Adobe Photoshop Lightroom Classic 13.1" xmp:Rating="{rating}" xmp:Label="{label}"
 xmp:MetadataDate="2024-05-06T07:08:09+02:00"><dc:subject><rdf:Bag><rdf:li>quay</rdf:li></rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


@pytest.fixture
def images(store, tmp_path):
    """Ten images that are in the store, in their place."""
    paths = fill(tmp_path / "outputs", 10)
    Importer(store).run(tmp_path / "outputs")
    return paths


def take(store, source, **options):
    moved = options.pop("moved", ())
    return StarImport(store, "anna", **options).run(read_stars(source), ImageFinder(store, moved))


def opinions(store):
    """What everybody thinks now, by the number that makes the image."""
    found = {}
    for run in store.iter_runs():
        seeds = {output.digest: record.actual.seed for record, output in run.iter_outputs()}
        for (digest, rater), opinion in FeedbackManager(store).opinions(run.run_id).items():
            found[seeds[digest], rater] = opinion
    return found


def ratings(store):
    return {seed: opinion["rating"] for (seed, _), opinion in opinions(store).items() if "rating" in opinion}


STARS = {number: number % 5 + 1 for number in range(10)}


def rated(images):
    return {path: STARS[number] for number, path in enumerate(images)}


MAKERS = {
    "diffusion-toolkit": databases.diffusion_toolkit,
    "infinite-image-browsing": databases.infinite_image_browsing,
    "images-browser": databases.images_browser,
    "smart-gallery": databases.smart_gallery,
    "majoor": databases.majoor,
}


@pytest.mark.parametrize("program", MAKERS)
def test_the_stars_of_a_program_reach_their_images_with_their_time(store, images, tmp_path, program):
    source = MAKERS[program](tmp_path / "other" / "some name.db", rated(images))
    before = databases.long_ago(source)[:2]
    report = take(store, source)
    assert (report.written, report.matched, report.via) == (10, {"path": 10}, {program: 10})
    assert ratings(store) == STARS
    events = [event for run in store.iter_runs() for event in FeedbackManager(store).read(run.run_id).events]
    assert {event.via for event in events} == {program}
    assert {event.replica for event in events} == {f"via-{program}"}
    assert {event.clock[:4] for event in events} <= {"2023", "2024", "2026"}
    assert databases.long_ago(source)[:2] == before
    assert sorted(path.name for path in source.parent.iterdir()) == ["some name.db"], "no lock, no journal"


@pytest.mark.parametrize("program", MAKERS)
def test_a_second_time_there_is_nothing_new(store, images, tmp_path, program):
    source = MAKERS[program](tmp_path / "other.db", rated(images))
    take(store, source)
    again = take(store, source)
    assert (again.written, again.events, again.unchanged) == (0, 0, 10)


def test_ticks_of_net_are_local_time(store, images, tmp_path):
    take(store, databases.diffusion_toolkit(tmp_path / "x.db", rated(images[:1])))
    (event,) = [event for run in store.iter_runs() for event in FeedbackManager(store).read(run.run_id).events]
    assert event.clock == "2023-11-14T22:13:20.000Z-0000"


def test_marks_that_are_no_stars_come_too(store, images, tmp_path):
    take(store, databases.infinite_image_browsing(tmp_path / "iib.db", {images[0]: 5, images[1]: 2}))
    take(store, databases.smart_gallery(tmp_path / "smart.db", {images[2]: 1, images[3]: 5}))
    take(store, databases.majoor(tmp_path / "assets.sqlite", {images[4]: 5}))
    found = {seed: opinion for (seed, _), opinion in opinions(store).items()}
    assert (found[0]["flag"], found[0]["tags"]) == ("pick", ["harbour"])
    assert "tags" not in found[1], "what the program tagged by itself is no opinion"
    assert (found[2]["flag"], found[3]["flag"]) == ("reject", "pick")
    assert found[4]["tags"] == ["quay"]


def test_a_star_of_invokeai_is_a_pick(store, tmp_path):
    paths = fill(tmp_path / "invokeai" / "outputs" / "images", 3)
    Importer(store).run(tmp_path / "invokeai" / "outputs" / "images")
    databases.invokeai(tmp_path / "invokeai", [path.name for path in paths[:2]])
    report = take(store, tmp_path / "invokeai")
    assert (report.written, report.matched) == (2, {"path": 2})
    assert {seed: opinion["flag"] for (seed, _), opinion in opinions(store).items()} == {0: "pick", 1: "pick"}


def test_a_later_word_of_ones_own_goes_on_to_count(store, images, tmp_path):
    (run,) = store.iter_runs()
    digest = next(output.digest for record, output in run.iter_outputs() if record.actual.seed == 3)
    FeedbackManager(store, rater="anna").record_feedback(run.run_id, digest, 0)
    report = take(store, databases.majoor(tmp_path / "m.db", rated(images)))
    assert report.older == 1
    assert ratings(store) == {**STARS, 3: 0}


def test_a_program_that_only_changed_its_time_says_nothing_new(store, images, tmp_path):
    source = databases.majoor(tmp_path / "m.db", rated(images))
    take(store, source)
    with closing(sqlite3.connect(source)) as database:
        database.execute("UPDATE assets SET updated_at = '2026-10-10 10:10:10'")
        database.execute("UPDATE asset_metadata SET rating = 5 WHERE asset_id = 1")
        database.commit()
    assert take(store, source).written == 1
    assert ratings(store)[0] == 5


def test_two_machines_that_take_the_same_over_say_it_once(store, images, tmp_path):
    source = databases.images_browser(tmp_path / "wib.sqlite3", rated(images))
    shutil.copytree(store.root, tmp_path / "second")
    take(store, source)
    elsewhere = RunStore(tmp_path / "second")
    finder = ImageFinder(elsewhere, [(str(tmp_path / "outputs"), str(tmp_path / "outputs"))])
    assert finder.image_count == 10
    (run,) = store.iter_runs()
    (other,) = elsewhere.iter_runs()
    before = {event.id for event in FeedbackManager(store).read(run.run_id).events}
    for path in images:  # the roots of a store are this machine's: there its bytes are what tells
        assert path.exists()
    take(elsewhere, source)
    assert {event.id for event in FeedbackManager(elsewhere).read(other.run_id).events} == before


def test_images_that_moved_are_found_by_the_hash_that_the_database_has(store, images, tmp_path):
    stars = rated(images)
    gone = {tmp_path / "long gone" / path.name: rating for path, rating in stars.items()}
    hashes = {there: databases.sha256(path) for there, path in zip(gone, images, strict=True)}
    report = take(store, databases.diffusion_toolkit(tmp_path / "d.db", gone, hashes=hashes))
    assert report.matched == {"hash": 10}
    assert ratings(store) == STARS


@pytest.mark.heavy
def test_images_that_moved_are_found_by_the_hash_of_their_pixels(store, images, tmp_path):
    stars = rated(images)
    gone = {tmp_path / "long gone" / path.name: rating for path, rating in stars.items()}
    pixels = {there: databases.sha512_of_pixels(path.read_bytes()) for there, path in zip(gone, images, strict=True)}
    report = take(store, databases.images_browser(tmp_path / "w.db", gone, pixels=pixels))
    assert report.matched == {"pixels": 10}
    assert ratings(store) == STARS


@pytest.mark.heavy
def test_files_that_were_renamed_and_stripped_are_found_by_bytes_and_by_pixels(store, images, tmp_path):
    (tmp_path / "sorted").mkdir()
    stars = {}
    for number, path in enumerate(images):
        there = tmp_path / "sorted" / f"best {number}.png"
        if number % 2:
            Image.open(io.BytesIO(path.read_bytes())).save(there, "PNG", compress_level=1)
        else:
            path.rename(there)
        stars[there] = STARS[number]
    report = take(store, databases.infinite_image_browsing(tmp_path / "iib.db", stars))
    assert report.matched == {"bytes": 5, "pixels": 5}
    assert ratings(store) == STARS


def test_another_image_at_the_same_path_is_not_given_the_star(store, images, tmp_path):
    size = images[0].stat().st_size
    other = make_png(77)
    images[0].write_bytes(other + bytes(max(0, size - len(other))))
    os.truncate(images[0], size)
    hashes = {images[1]: "0" * 64}
    report = take(store, databases.diffusion_toolkit(tmp_path / "d.db", rated(images[:2]), hashes=hashes))
    assert 0 not in ratings(store)
    assert {missing.said.path for missing in report.unmatched} == {str(images[0])}


def test_what_is_not_found_is_listed_with_what_it_may_be(store, images, tmp_path):
    there = tmp_path / "nowhere" / images[4].name
    source = databases.smart_gallery(tmp_path / "s.db", {there: 4})
    with closing(sqlite3.connect(source)) as database:
        database.execute("UPDATE files SET size = ?", (images[4].stat().st_size,))
        database.commit()
    report = take(store, source)
    assert ratings(store) == {}
    (missing,) = report.to_dict()["unmatched"]
    assert (missing["path"], missing["rating"]) == (str(there), 4)
    assert [suggestion["name"] for suggestion in missing["suggestions"]] == [images[4].name]


def test_a_folder_of_another_machine_can_be_mapped(store, images, tmp_path):
    stars = {f"D:\\Outputs\\{path.name}": rating for path, rating in rated(images).items()}
    source = databases.images_browser(tmp_path / "w.db", {})
    with closing(sqlite3.connect(source)) as database:
        database.executemany("INSERT INTO ranking(file, ranking) VALUES (?, ?)", list(stars.items()))
        database.commit()
    assert len(take(store, source).unmatched) == 10
    take(store, source, moved=[("d:/outputs", str(tmp_path / "outputs"))])
    assert ratings(store) == STARS


def test_a_dry_run_writes_nothing(store, images, tmp_path):
    report = take(store, databases.majoor(tmp_path / "m.db", rated(images)), is_dry_run=True)
    assert report.written == 10
    assert ratings(store) == {}


def test_sidecars_are_read_in_both_forms_of_their_name(store, images):
    images[0].with_name(f"{images[0].name}.xmp").write_text(PACKET.format(rating=4, label="Red"))
    images[1].with_suffix(".xmp").write_text(PACKET.format(rating=-1, label=""))
    images[2].with_suffix(".xmp").write_text(PACKET.format(rating=0, label=""))
    images[3].with_suffix(".xmp").write_text("<x:xmpmeta broken")
    report = take(store, images[0].parent)
    found = {seed: opinion for (seed, _), opinion in opinions(store).items()}
    assert found[0] == {
        **found[0],
        "rating": 4,
        "tags": ["label:red", "quay"],
        "rated_at": "2024-05-06T05:08:09.000Z-0000",
    }
    assert found[1]["flag"] == "reject"
    assert "rating" not in found[1]
    assert "rating" not in found[2], "unrated is not zero"
    assert report.via == {"lightroom": 3}
    assert 3 not in found


@pytest.mark.heavy
def test_stars_inside_of_images_are_read(store, images, tmp_path):
    text = images[5].read_bytes()
    (tmp_path / "edited").mkdir()
    info = {"XML:com.adobe.xmp": PACKET.format(rating=5, label="")}
    (tmp_path / "edited" / "with stars.png").write_bytes(make_png(5, extra=info))
    assert (tmp_path / "edited" / "with stars.png").read_bytes() != text
    report = take(store, tmp_path / "edited")
    assert report.matched == {"pixels": 1}
    assert ratings(store) == {5: 5}


def test_an_eagle_library_is_read(store, images, tmp_path):
    for number, path in enumerate(images[:3]):
        folder = tmp_path / "my.library" / "images" / f"ID{number}.info"
        folder.mkdir(parents=True)
        shutil.copy(path, folder / "picture.png")
        entry = {"id": f"ID{number}", "name": "picture", "ext": "png", "tags": ["ink"], "star": number + 1,
                 "annotation": "hands", "lastModified": 1_700_000_000_000, "isDeleted": number == 2}  # fmt: skip
        (folder / "metadata.json").write_text(json.dumps(entry))
    report = take(store, tmp_path / "my.library")
    assert report.matched == {"bytes": 2}
    found = {seed: opinion for (seed, _), opinion in opinions(store).items()}
    assert {seed: opinion["rating"] for seed, opinion in found.items()} == {0: 1, 1: 2}
    assert found[0]["tags"] == ["ink"]
    assert found[0]["notes"][0]["text"] == "hands"


def test_a_database_that_is_being_written_is_read_with_what_is_not_merged_yet(store, images, tmp_path):
    source = databases.majoor(tmp_path / "m.db", rated(images))
    with closing(sqlite3.connect(source)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("UPDATE asset_metadata SET rating = 3")
        database.commit()
        database.execute("BEGIN IMMEDIATE")  # its program holds the lock
        database.execute("UPDATE asset_metadata SET rating = 1")
        take(store, source)
        database.execute("ROLLBACK")
    assert set(ratings(store).values()) == {3}


@pytest.mark.parametrize("data", [b"", b"hello", b"SQLite format 3\0" + b"x" * 200])
def test_what_is_no_source_is_refused_with_a_reason(store, images, tmp_path, data):
    (tmp_path / "thing.db").write_bytes(data)
    with pytest.raises(ConfigError, match=r"thing\.db"):
        take(store, tmp_path / "thing.db")


def test_a_database_of_another_program_names_those_that_are_known(store, images, tmp_path):
    databases.write(tmp_path / "other.db", "CREATE TABLE notes(id)", {})
    with pytest.raises(ConfigError, match="infinite-image-browsing"):
        take(store, tmp_path / "other.db")


@pytest.mark.heavy
def test_of_several_images_with_the_same_pixels_only_one_of_the_same_name_is_meant(store, tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for seed in (1, 257):  # the same colour
        (outputs / f"{seed}.png").write_bytes(make_png(seed))
    Importer(store).run(outputs)
    (tmp_path / "other").mkdir()
    bare = Image.open(io.BytesIO(make_png(1))).convert("RGB")
    for name in ("257.png", "unknown.png"):
        bare.save(tmp_path / "other" / name, compress_level=1)
    stars = {tmp_path / "other" / "257.png": 5, tmp_path / "other" / "unknown.png": 1}
    report = take(store, databases.smart_gallery(tmp_path / "s.db", stars))
    assert ratings(store) == {257: 5}
    assert len(report.unmatched) == 1
