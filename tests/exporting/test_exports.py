"""Sidecars, captions and the backup of feedback, from a store with images in their place and in runs."""

import json
import re
import shutil

import pytest

from stablenew import FeedbackManager, JobHistory, RunStore
from stablenew.errors import ConfigError
from stablenew.exporting.caption_export import CaptionOptions, build_caption, export_captions
from stablenew.exporting.feedback_backup import restore_backup, write_backup
from stablenew.exporting.image_places import ImagePlaces
from stablenew.exporting.xmp_export import export_sidecars
from stablenew.image_metadata.xmp_opinions import read_opinion
from stablenew.importing.importer import Importer
from stablenew.importing.stars.image_finder import ImageFinder
from stablenew.importing.stars.star_import import StarImport
from stablenew.importing.stars.star_sources import read_stars
from stablenew.store.local_state import state_folder
from tests.importing.images import fill


@pytest.fixture
def outputs(store, tmp_path):
    fill(tmp_path / "outputs" / "day", 4)
    Importer(store).run(tmp_path / "outputs")
    rate(store, {0: 5, 1: 3, 2: 1})
    return tmp_path / "outputs" / "day"


def rate(store, stars, **said):
    for run in store.iter_runs():
        for record, output in run.iter_outputs():
            if record.actual.seed in stars:
                FeedbackManager(store, rater="anna").record_feedback(
                    run.run_id, output.digest, stars[record.actual.seed], **said
                )


def find(store, query=""):
    history = JobHistory(store.root, rater="anna")
    history.refresh(is_patient=True)
    try:
        return history.find_images(query, limit=100).rows
    finally:
        history.close()


def export(store, folder=None, query=""):
    return export_sidecars(ImagePlaces(store), find(store, query), folder)


def test_sidecars_beside_the_images_leave_the_images_alone(store, outputs):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in outputs.iterdir()}
    report = export(store)
    assert len(report.written) == 4
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before
    said = read_opinion((outputs / "00000-0.png.xmp").read_text())
    assert said.rating == 5
    assert "a quiet harbour at dawn" in (outputs / "00000-0.png.xmp").read_text()
    again = export(store)
    assert (again.written, again.unchanged) == ([], 4)


def test_a_folder_of_sidecars_has_the_paths_of_the_images(store, outputs, tmp_path):
    export(store, tmp_path / "sidecars", "rating:5")
    assert [path.relative_to(tmp_path / "sidecars").as_posix() for path in (tmp_path / "sidecars").rglob("*.xmp")] == [
        "day/00000-0.png.xmp"
    ]


def test_a_sidecar_of_another_program_is_kept_as_a_copy(store, outputs):
    theirs = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    theirs += '<rdf:Description rdf:about="" xmlns:z="http://z/" z:of="them"/></rdf:RDF></x:xmpmeta>'
    (outputs / "00000-0.xmp").write_text(theirs)
    report = export(store, query="rating:5")
    assert report.written == [str(outputs / "00000-0.xmp")], "a sidecar that is there is used, by either name"
    assert (outputs / "00000-0.xmp.backup").read_text() == theirs
    assert 'z:of="them"' in (outputs / "00000-0.xmp").read_text()
    rate(store, {0: 2})
    assert export(store, query="rating:2").backups == [], "what we wrote alone needs no copy"


def test_a_sidecar_that_cannot_be_read_is_left_alone(store, outputs):
    (outputs / "00000-0.png.xmp").write_bytes(b"\xff\xfe broken")
    (outputs / "00001-1.png.xmp").write_text("<broken")
    report = export(store)
    assert len(report.problems) == 2
    assert (outputs / "00000-0.png.xmp").read_bytes() == b"\xff\xfe broken"
    assert (outputs / "00001-1.png.xmp").read_text() == "<broken"
    assert len(report.written) == 2, "the others are written"


def test_images_in_runs_have_no_folder_to_write_beside(tmp_path, outputs):
    copied = RunStore(tmp_path / "copied")
    Importer(copied, is_copied=True).run(outputs)
    report = export(copied)
    assert len(report.problems) == 4
    assert "held in its run" in report.problems[0][1]
    assert len(export(copied, tmp_path / "elsewhere").written) == 4


def test_our_own_sidecars_are_recognized_and_those_that_somebody_changed_are_news(store, outputs):
    export(store)
    importing = StarImport(store, "anna")
    assert importing.run(read_stars(outputs), ImageFinder(store)).read == 0
    path = outputs / "00001-1.png.xmp"
    path.write_text(re.sub('xmp:Rating="3"', 'xmp:Rating="4"', path.read_text()).replace(
        'MetadataDate="2026', 'MetadataDate="2027'))  # fmt: skip
    report = importing.run(read_stars(outputs), ImageFinder(store))
    assert (report.read, report.matched) == (1, {"hash": 1})
    (image,) = [image for image in find(store) if image["settings"]["seed"] in (1, "1")]
    assert image["rating"] == 4


def test_captions_stand_beside_copies_in_folders_that_say_how_often(store, outputs, tmp_path):
    options = CaptionOptions(concept="harbour", repeats=2, by_stars=True, trigger="inkstyle")
    report = export_captions(ImagePlaces(store), find(store), tmp_path / "train", options)
    assert dict(report.folders) == {"10_harbour": 1, "6_harbour": 1, "2_harbour": 2}
    (image,) = (tmp_path / "train" / "10_harbour").glob("*.png")
    assert image.read_bytes() == (outputs / "00000-0.png").read_bytes()
    assert image.with_suffix(".txt").read_text() == "inkstyle, a quiet harbour at dawn"
    with pytest.raises(ConfigError, match="not empty"):
        export_captions(ImagePlaces(store), find(store), tmp_path / "train", options)
    with pytest.raises(ConfigError, match="concept"):
        export_captions(ImagePlaces(store), [], tmp_path / "other", CaptionOptions(concept="../x"))


@pytest.mark.parametrize(
    ("prompt", "caption"),
    [
        ("(a quay:1.2), ((fog)), <lora:ink:0.7> [rain]", "a quay, fog, rain"),
        ("a cat \\(anime\\),\n dusk,, ", "a cat (anime), dusk"),
        ("((deep:1.1) water:0.8)", "deep water"),
        ("", ""),
    ],
)
def test_a_caption_is_the_prompt_without_its_syntax(prompt, caption):
    assert build_caption(prompt) == caption


def test_an_image_that_is_gone_is_named_and_stops_no_other(store, outputs, tmp_path):
    (outputs / "00002-2.png").unlink()
    report = export_captions(ImagePlaces(store), find(store), tmp_path / "train", CaptionOptions())
    assert sum(report.folders.values()) == 3
    assert "00002-2.png" in report.problems[0]


def test_a_backup_brings_everything_back_once(store, outputs, tmp_path):
    rate(store, {0: 4}, notes="hands", tags=["quay"])
    before = {run.run_id: FeedbackManager(store).read(run.run_id).events for run in store.iter_runs()}
    report = write_backup(store, tmp_path / "said.jsonl")
    assert report.events == sum(map(len, before.values()))
    for path in store.root.rglob("feedback*"):
        path.unlink()
    shutil.rmtree(state_folder() / "journal")
    assert all(not FeedbackManager(store).read(run_id).events for run_id in before)
    restored = restore_backup(store, tmp_path / "said.jsonl")
    assert (restored.events, restored.known) == (report.events, 0)
    assert {run.run_id: FeedbackManager(store).read(run.run_id).events for run in store.iter_runs()} == before
    assert restore_backup(store, tmp_path / "said.jsonl").events == 0


def test_a_backup_names_runs_that_are_not_here_and_lines_that_are_damaged(store, outputs, tmp_path):
    write_backup(store, tmp_path / "said.jsonl")
    head, *lines = (tmp_path / "said.jsonl").read_text().splitlines()
    other = json.loads(lines[0]) | {"run_id": "20200101-000000-000-aaaaaaaaaa"}
    forged = json.loads(lines[0])
    forged["events"][0]["rating"] = 0
    (tmp_path / "said.jsonl").write_text("\n".join([head, "{", json.dumps(other), json.dumps(forged), ""]))
    report = restore_backup(store, tmp_path / "said.jsonl")
    assert report.missing == [other["run_id"]]
    assert ":2: " in report.problems[0]
    assert len(report.problems) == 2
    with pytest.raises(ConfigError, match="not a backup"):
        restore_backup(store, outputs / "00000-0.png")
