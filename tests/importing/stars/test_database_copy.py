"""Copies of other programs' databases: theirs is never touched, and what is no database is said to be none."""

import contextlib
import sqlite3

import pytest

from stablenew.errors import ConfigError
from stablenew.importing.stars.database_copy import is_database, open_copy


@pytest.fixture
def path(tmp_path):
    """A database with a table of two rows, one of them with bytes that are no text."""
    path = tmp_path / "theirs.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute('CREATE TABLE "Image"(Id INTEGER, Path TEXT, Rating INTEGER)')
        database.execute("INSERT INTO Image VALUES (1, 'a.png', 5), (2, CAST(x'ff2e706e67' AS TEXT), NULL)")
        database.commit()
    return path


def test_rows_have_the_wanted_columns_and_none_where_this_version_lacks_them(path):
    with open_copy(path) as database:
        rows = list(database.select("Image", ["Rating", "Id", "Favorite"], '"Id" > 0'))
        assert rows == [{"Rating": 5, "Id": 1, "Favorite": None}, {"Rating": None, "Id": 2, "Favorite": None}]
        assert [row["Id"] for row in database.rows("SELECT Id FROM Image ORDER BY Id DESC")] == [2, 1]
        assert database.path == path


def test_it_is_known_which_tables_and_columns_there_are(path):
    with open_copy(path) as database:
        assert database.columns("Image") == {"Id", "Path", "Rating"}
        assert database.columns("Missing") == frozenset()
        assert database.has("Image")
        assert database.has("Image", "Id", "Path")
        assert not database.has("Image", "Id", "Favorite")
        assert not database.has("Missing")


def test_text_that_is_none_comes_as_the_bytes_of_a_path_do(path):
    with open_copy(path) as database:
        assert [row["Path"] for row in database.rows("SELECT Path FROM Image")] == ["a.png", "\udcff.png"]


def test_what_its_program_has_not_merged_yet_is_in_the_copy(path):
    with contextlib.closing(sqlite3.connect(path)) as theirs:
        theirs.execute("PRAGMA journal_mode=WAL")
        theirs.execute("INSERT INTO Image VALUES (3, 'c.png', 1)")
        theirs.commit()
        with open_copy(path) as database:
            assert [row["Id"] for row in database.rows("SELECT Id FROM Image")] == [1, 2, 3]


def test_theirs_is_neither_written_nor_locked(path):
    before, status = path.read_bytes(), path.stat()
    with open_copy(path) as database:
        with pytest.raises(ConfigError, match="cannot be read as a database"), open_copy(path) as second:
            second.rows("DELETE FROM Image")
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as theirs:
            theirs.execute("BEGIN EXCLUSIVE")
            assert len(list(database.select("Image", ["Id"]))) == 2
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert sorted(file.name for file in path.parent.iterdir()) == ["theirs.db"]


@pytest.mark.parametrize("damage", [b"no database at all", b"SQLite format 3\0" + bytes(200)], ids=["text", "head"])
def test_what_is_no_database_is_named(path, damage):
    path.write_bytes(damage)
    with pytest.raises(ConfigError, match="theirs.db cannot be read as a database"), open_copy(path):
        pass


def test_an_empty_file_is_a_database_without_tables(path):
    path.write_bytes(b"")
    with open_copy(path) as database:
        assert database.columns("Image") == frozenset()


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be"), open_copy(tmp_path / "gone.db"):
        pass
    with pytest.raises(ConfigError, match="cannot be copied"), open_copy(tmp_path):
        pass


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"SQLite format 3\0more", True), (b"SQLite format 3", False), (b"", False), (b"x" * 99, False)],
)
def test_a_database_is_known_by_its_head(tmp_path, data, expected):
    path = tmp_path / "file"
    path.write_bytes(data)
    assert is_database(path) == expected
    assert not is_database(tmp_path / "gone")
    assert not is_database(tmp_path)
