"""Where images were found after they were moved: this machine's notes, which cost nothing when they are lost."""

import base64
import os
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.documents.output_reference import Origin
from stablenew.store.local_state import state_folder
from stablenew.store.sources.moved_files import MovedFiles, origin_fields
from tests.samples import digest_of

IMAGE, OTHER = digest_of(1), digest_of(2)


@pytest.fixture
def moved(tmp_path):
    return MovedFiles(tmp_path / "runs")


def notes():
    return list((state_folder() / "sources").glob("*-moved.sqlite"))


def test_an_image_is_found_where_it_was_noted_last(moved):
    moved.note([(IMAGE, "pictures", "old/a.png"), (OTHER, "pictures", "b.png")])
    moved.note([(IMAGE, "backup", "neu/ä.png")])
    assert moved.find(IMAGE) == Origin(root="backup", path="neu/ä.png", name="ä.png")
    assert moved.find(OTHER).path == "b.png"
    assert moved.find(digest_of(3)) is None


def test_looking_and_noting_nothing_write_nothing(moved):
    assert moved.find(IMAGE) is None
    moved.note([])
    assert notes() == []


def test_each_store_has_notes_of_its_own(moved, tmp_path):
    moved.note([(IMAGE, "pictures", "a.png")])
    assert MovedFiles(tmp_path / "other").find(IMAGE) is None
    assert MovedFiles(tmp_path / "runs").find(IMAGE).path == "a.png"


def test_a_damaged_file_of_notes_is_replaced_by_the_next_note(moved):
    moved.note([(IMAGE, "pictures", "a.png")])
    (place,) = notes()
    place.write_bytes(b"no database" * 200)
    assert moved.find(IMAGE) is None
    moved.note([(OTHER, "pictures", "b.png")])
    assert moved.find(OTHER).path == "b.png"


def test_a_note_that_cannot_be_kept_harms_nobody(moved):
    state_folder().mkdir(parents=True)
    (state_folder() / "sources").write_text("a file in the place of the folder")
    moved.note([(IMAGE, "pictures", "a.png")])
    assert moved.find(IMAGE) is None


def test_a_database_that_is_in_use_is_waited_for(moved):
    moved.note([(IMAGE, "pictures", "a.png")])
    with sqlite3.connect(notes()[0]) as reader:
        reader.execute("SELECT * FROM moved").fetchall()
        assert moved.find(IMAGE).path == "a.png"


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"a/b.png", {"path": "a/b.png", "name": "b.png"}),
        ("ü/ä.png".encode(), {"path": "ü/ä.png", "name": "ä.png"}),
        (b"caf\xe9.png", {"path": "caf\ufffd.png", "name": "caf\ufffd.png", "path_bytes": "Y2Fm6S5wbmc="}),
        (b"a\nb.png", {"path": "a\ufffdb.png", "name": "a\ufffdb.png", "path_bytes": "YQpiLnBuZw=="}),
    ],
)
def test_a_path_that_is_no_text_keeps_its_bytes(raw, fields):
    assert origin_fields(raw) == fields


NAMES = st.binary(min_size=1, max_size=12).map(lambda name: name.replace(b"/", b"-").replace(b"\0", b"-"))


@given(st.lists(NAMES.filter(lambda name: name not in (b".", b"..")), min_size=1, max_size=3).map(b"/".join))
def test_every_path_that_a_file_can_have_is_an_origin_that_leads_back_to_it(raw):
    origin = Origin.model_validate({"root": "pictures", **origin_fields(raw)})
    given_back = base64.b64decode(origin.path_bytes) if origin.path_bytes else os.fsencode(origin.path)
    assert given_back == raw
