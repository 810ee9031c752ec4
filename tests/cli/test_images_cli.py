"""`stablenew images` as a person or a script meets it."""

import json
import zipfile

import pytest

from stablenew import FeedbackManager, RunStore
from stablenew.formats.documents.feedback_input import FeedbackInput
from tests import forked_commands
from tests.index.test_image_queries import add_run


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = RunStore("runs")
    created = {"created_at": "2026-11-21T10:00:00.000Z"}
    images = add_run(store, "sweep", {"cfg_scale": 5.0, "seed": 7}, {"cfg_scale": 9.0, "seed": 7}, **created)
    for image, stars in zip(images, (3, 5), strict=True):
        FeedbackManager(store, rater="alice").record_feedback("sweep", image, stars)
    return store


@pytest.fixture
def cli():
    return forked_commands.call


def test_images_are_a_table_with_the_names_that_rate_takes(store, cli):
    lines = cli("images", "--sort", "best").stdout.splitlines()
    assert [line.split()[-2:] for line in lines[1:]] == [["sweep", "1/0"], ["sweep", "0/0"]]
    assert "★★★★★" in lines[1]
    assert "cfg_scale=9.0" in lines[1]
    cli("rate", "sweep", "0/0", "4", "--rater", "alice")
    assert "★★★★☆" in cli("images", "rating:4").stdout


def test_images_as_json_are_what_the_query_selects(store, cli):
    (image,) = json.loads(cli("--json", "images", "rating:5").stdout)
    assert (image["run_id"], image["name"], image["rating"]) == ("sweep", "1/0", 5.0)
    assert image["settings"] == {"cfg_scale": 9.0, "seed": 7}
    assert len(json.loads(cli("--json", "images", "--limit", "1").stdout)) == 1


def test_nothing_that_fits_is_said_so(store, cli):
    assert "No image fits rating:1" in cli("images", "rating:1").stdout
    assert "cannot sort images by 'size'" in cli("images", "--sort", "size", code=2).stderr


def test_an_export_copies_bytes_under_names_from_a_template(store, cli):
    cli("images", "rating:>=4", "--export", "keepers", "--name", "{date} {prompt:4} cfg {cfg_scale}", "--sidecar")
    (image,) = [output for _, output in store.open("sweep").iter_outputs()][1:]
    copied = store.root.parent / "keepers" / "2026-11-21 harb cfg 9.0.png"
    assert copied.read_bytes() == (store.open("sweep").path / image.path).read_bytes()
    assert json.loads(copied.with_suffix(".json").read_text())["digest"] == image.digest


def test_an_export_to_a_zip_numbers_equal_names_and_overwrites_nothing(store, cli, tmp_path):
    cli("images", "--export", "all.zip", "--name", "{seed}")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["7-2.png", "7.png"]
    assert "is there already" in cli("images", "--export", "all.zip", code=2).stderr


def test_an_image_that_is_gone_is_named_and_the_others_are_copied(store, cli, tmp_path):
    outputs = [output for _, output in store.open("sweep").iter_outputs()]
    (store.open("sweep").path / outputs[0].path).unlink()
    done = cli("images", "--export", "rest", code=1)
    assert "sweep 0/0" in done.stderr
    assert "1 image copied" in done.stdout


def test_a_field_that_no_image_has_is_refused(store, cli):
    done = cli("images", "--export", "out", "--name", "{moood}", code=2)
    assert "no image has a 'moood'" in done.stderr


def test_images_in_the_trash_are_left_out_and_counted(store, cli):
    first = json.loads(cli("--json", "images", "--sort", "oldest").stdout)[0]
    thrown = FeedbackInput.build(run_id="sweep", image_id=first["digest"], trashed=True)
    FeedbackManager(store, rater="alice").record_many([thrown])
    assert first["digest"] not in [image["digest"] for image in json.loads(cli("--json", "images").stdout)]
    assert "1 image in the trash left out" in cli("images").stdout
    (found,) = json.loads(cli("--json", "images", "is:trashed").stdout)
    assert found["digest"] == first["digest"]


def test_fields_lists_what_queries_can_ask_for_settings_of_this_store_included(store, cli):
    add_run(store, "own", {"churn": 3})
    names = json.loads(cli("--json", "images", "--fields").stdout)
    assert {"model", "rating", "settings.churn"} <= set(names)
    assert "did you mean settings.churn or run?" in cli("images", "chrun:3", code=2).stderr
    assert "`stablenew images --fields` lists" in cli("images", "zzz:3", code=2).stderr
