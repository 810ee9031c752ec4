"""The file of the index: where it lies, and which files are one that this program reads."""

import contextlib
import sqlite3
import stat
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import CacheFailed
from stablenew.index.index_file import (
    delete_index,
    index_folder,
    index_path,
    iter_id_lists,
    iter_parts,
    open_for_reading,
    open_for_writing,
    sqlite_errors,
)
from stablenew.index.index_schema import VERSION


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index" / "history.sqlite"


def fill(path, token):
    with contextlib.closing(open_for_writing(path)) as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('kept', ?)", (token,))


def kept(path):
    """What an index that is opened for writing has kept."""
    with contextlib.closing(open_for_writing(path)) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM meta WHERE key = 'kept'")]


def test_every_store_has_an_index_of_its_own_outside_of_it(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    assert index_folder(first) != index_folder(second)
    assert index_path(first).parent == index_folder(first)
    assert not index_path(first).is_relative_to(first)
    assert not index_path(first).exists()


def test_an_index_is_kept_from_one_opening_to_the_next(path):
    fill(path, "mine")
    assert kept(path) == ["mine"]


def spoil_version(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_version,
        lambda path: path.write_bytes(b"this is no database, but a text of more than a hundred bytes. " * 3),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:100] + bytes(8092)),
    ],
    ids=["another version", "a text", "empty", "a torn header"],
)
def test_what_is_no_index_of_this_version_is_not_read_and_made_anew_for_writing(path, spoil):
    fill(path, "mine")
    spoil(path)
    assert open_for_reading(path) is None
    assert kept(path) == []
    with contextlib.closing(open_for_reading(path)) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchall() == [(0,)]


def test_reading_creates_no_file_and_changes_none(path):
    assert open_for_reading(path) is None
    assert not path.exists()
    fill(path, "mine")
    reading, refused = contextlib.closing(open_for_reading(path)), pytest.raises(sqlite3.OperationalError, match="only")
    with reading as connection, refused:
        connection.execute("DELETE FROM meta")


def test_a_reader_sees_what_is_written_beside_it(path):
    fill(path, "first")
    with contextlib.closing(open_for_reading(path)) as connection:
        fill(path, "second")
        assert connection.execute("SELECT value FROM meta WHERE key = 'kept'").fetchall() == [("second",)]


@pytest.mark.parametrize("name", ["a b", "100%", "what?", "ru#n", "ü"])
def test_a_folder_may_have_any_name(tmp_path, name):
    path = tmp_path / name / "history.sqlite"
    fill(path, "mine")
    with contextlib.closing(open_for_reading(path)) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'kept'").fetchall() == [("mine",)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_nobody_else_may_look_into_the_folder_of_an_index(path):
    open_for_writing(path).close()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_index_is_deleted_with_its_side_files_also_when_it_is_gone(path):
    connection = open_for_writing(path)
    assert {file.name for file in path.parent.iterdir()} > {path.name}
    delete_index(path)
    assert list(path.parent.iterdir()) == []
    delete_index(path)
    connection.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (sqlite3.OperationalError("database or disk is full"), "cannot be used: database or disk is full; free some"),
        (sqlite3.DatabaseError("malformed"), "is damaged: malformed; `stablenew index rebuild` recreates it"),
    ],
)
def test_an_error_of_sqlite_names_the_file_and_the_way_out(path, error, words):
    with pytest.raises(CacheFailed, match=words) as caught, sqlite_errors(path):
        raise error
    assert str(path) in str(caught.value)
    assert caught.value.__cause__ is error


def test_other_errors_pass_as_they_are(path):
    with pytest.raises(KeyError), sqlite_errors(path):
        raise KeyError


@given(st.integers(0, 1_700))
def test_parts_are_the_list_again_and_none_is_longer_than_500(count):
    parts = list(iter_parts(range(count)))
    assert [value for part in parts for value in part] == list(range(count))
    assert all(0 < len(part) <= 500 for part in parts)


def test_ids_are_written_with_commas_and_no_ids_are_no_statement():
    assert list(iter_id_lists([3, 1, 2])) == ["3,1,2"]
    assert list(iter_id_lists([])) == []
    assert [text.count(",") for text in iter_id_lists(range(501))] == [499, 0]
