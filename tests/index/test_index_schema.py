"""The tables of the index: a row, its SQL and its texts all follow from the columns."""

import contextlib
import sqlite3

import pytest

from stablenew.formats.settings import BY_NAME, INDEXED
from stablenew.index.index_schema import (
    CONTENT_TABLES,
    CREATE,
    FINISH,
    FULL_TEXT_TABLES,
    HASH_BITS,
    LARGEST_ID,
    MAX_MILLISECONDS,
    OPINION_TABLES,
    RUN,
    RUN_IS,
    VARIANT,
    Column,
    Table,
    first_id,
    setting_column,
)

TABLES = (RUN, *CONTENT_TABLES, *OPINION_TABLES)
SMALL = Table("small", (Column("a"), Column("b", "TEXT", "word"), Column("c", text="image")), "PRIMARY KEY(a)")


@pytest.fixture
def connection():
    """An empty index in memory."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(CREATE)
        yield connection


def test_a_row_has_the_order_of_the_columns_however_values_are_given():
    assert SMALL.row({"c": 3, "a": 1, "b": 2, "unknown": 9}) == (1, 2, 3)
    assert SMALL.row_of("c", "more", "b", "a")((3, 9, 2, 1)) == (1, 2, 3)


def test_a_row_without_a_value_for_a_column_is_refused():
    with pytest.raises(KeyError, match="'c'"):
        SMALL.row({"a": 1, "b": 2})
    with pytest.raises(ValueError, match="not in tuple"):
        SMALL.row_of("a", "b")


def test_columns_of_texts_and_images_are_known_by_their_place():
    assert SMALL.positions == {"a": 0, "b": 1, "c": 2}
    assert SMALL.texts == {1: "word", 2: "image"}
    assert SMALL.image_columns == ("c",)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_sqlite_has_the_columns_that_the_table_declares_and_takes_its_rows(connection, table):
    stored = [row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")]
    assert stored == list(table.positions)
    connection.execute(table.insert_sql, table.row(dict.fromkeys(table.positions, 7)))
    assert connection.execute(f"SELECT * FROM {table.name}").fetchone()[0] == 7
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(table.insert_sql, table.row(dict.fromkeys(table.positions, 7)))


def test_every_indexed_setting_has_a_column_in_the_order_of_the_settings():
    names = [name for name in VARIANT.positions if name in BY_NAME]
    assert names == [setting.name for setting in INDEXED]


@pytest.mark.parametrize(
    ("name", "sql", "text"),
    [("model", "INTEGER", "word"), ("steps", "INTEGER", None), ("cfg_scale", "REAL", None), ("seed", "", None)],
)
def test_a_setting_is_stored_by_its_type_and_a_seed_as_it_comes(name, sql, text):
    column = setting_column(BY_NAME[name])
    assert (column.name, column.sql, column.text) == (name, sql, text)


def test_an_index_may_be_finished_twice(connection):
    for _ in range(2):
        connection.executescript(FINISH)
    indexes = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    assert {"run_hot", "place_image"} <= indexes


def test_every_new_index_has_a_token_of_its_own(connection):
    with contextlib.closing(sqlite3.connect(":memory:")) as other:
        other.executescript(CREATE)
        tokens = [one.execute("SELECT value FROM meta WHERE key = 'token'").fetchone() for one in (connection, other)]
    assert tokens[0] != tokens[1]


@pytest.mark.parametrize("kind", FULL_TEXT_TABLES)
@pytest.mark.parametrize("word", ["cafe", "CAFÉ", "café", "Cafe\u0301"])
def test_full_text_knows_neither_case_nor_accents(connection, kind, word):
    table = FULL_TEXT_TABLES[kind]
    connection.execute(f"INSERT INTO {table}(rowid, body) VALUES (5, 'a Café at dawn')")
    found = connection.execute(f"SELECT rowid FROM {table} WHERE {table} MATCH ?", (f'"{word}"',)).fetchall()
    assert found == [(5,)]


def test_notes_and_tags_stand_where_the_last_word_says_so(connection):
    words = [(1, "x", True, True), (2, "x", False, True), (3, "x", True, False), (4, None, True, True)]
    for image, body, is_latest, is_present in words:
        common = {"run": 1, "image": image, "rater": 1, "name": 1, "clock": "", "is_latest": is_latest}
        note, tag = OPINION_TABLES[2], OPINION_TABLES[1]
        connection.execute(note.insert_sql, note.row(common | {"body": body}))
        connection.execute(tag.insert_sql, tag.row(common | {"is_present": is_present}))
    assert connection.execute("SELECT image FROM standing_note").fetchall() == [(1,), (3,)]
    assert connection.execute("SELECT image FROM standing_tag").fetchall() == [(1,), (4,)]


@pytest.mark.parametrize("run_id", ["run-1", "x", "20261122-080000-000-aaaaaaaaaa", "'; --", "ü" * 9])
def test_a_run_is_found_by_its_id_and_no_other_that_ends_alike(connection, run_id):
    values = dict.fromkeys(RUN.positions, 0)
    for number, name in enumerate([run_id, f"another-{run_id}"]):
        connection.execute(RUN.insert_sql, RUN.row(values | {"id": number, "run_id": name}))
    assert connection.execute(f"SELECT id FROM run WHERE {RUN_IS}", (run_id,)).fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("created_ms", "expected"),
    [(0, 0), (1, 1 << HASH_BITS), (-1, 0), (MAX_MILLISECONDS + 5, MAX_MILLISECONDS << HASH_BITS)],
)
def test_the_least_id_of_a_moment_stays_within_what_sqlite_counts(created_ms, expected):
    assert first_id(created_ms) == expected
    assert first_id(created_ms) | (1 << HASH_BITS) - 1 <= LARGEST_ID
