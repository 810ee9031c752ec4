"""The columns of an index: what a refresh takes in is what reading everything gives."""

import numpy as np
import pytest

from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.columns.table_columns import LABEL_TYPES, OPINION_TYPES, ROW_TYPES, RUN_TYPES, TAG_TYPES
from stablenew.index.asking.index_reader import IndexReader
from tests.index.entries import CLOCK, START_MS, image, opinion, run, tag, variant

LATER = CLOCK.replace("2026", "2027")


@pytest.fixture
def table(filled):
    """A table of three runs with opinions, up to date."""
    filled.put(
        run(1, variant(image(1), image(2)), variant(image(3)), said=[opinion(image(1), 4)], packs=("A\0a",)),
        run(2, variant(image(4)), variant(), tags=[tag(image(4), "keeper")]),
        run(3, variant(image(1), image(5)), said=[opinion(image(1), 2, rater="you", at=LATER)]),
    )
    table = ColumnTable(IndexReader(filled.reader.path))
    assert table.refresh()
    return table


def contents(table):
    """What is in a table, whichever rows and slots it has got for it."""
    runs = table.runs["id"][table.run_order]
    shown = {"order": runs.tolist(), "runs": [table.runs[name][table.run_order].tolist() for name in RUN_TYPES]}
    order = table.row_order
    shown["rows"] = [table.rows[name][order].tolist() for name in (*ROW_TYPES, "lag", "seed_high", "seed_low")]
    shown["of"] = table.runs["id"][table.rows["run"][order]].tolist()
    for name, types in (("labels", LABEL_TYPES), ("opinions", OPINION_TYPES), ("tags", TAG_TYPES)):
        shown[name] = sorted(zip(*(getattr(table, name)[column].tolist() for column in types), strict=True), key=repr)
    rated = np.flatnonzero(~np.isnan(table.image_ratings))
    shown["ratings"] = dict(zip(rated.tolist(), table.image_ratings[rated].tolist(), strict=True))
    return repr(shown | {"trash": np.flatnonzero(table.is_trashed).tolist()})


def read_anew(table):
    """The same, of a table that reads the whole index."""
    table._path.unlink(missing_ok=True)
    fresh = ColumnTable(table._reader)
    fresh.refresh()
    return contents(fresh)


CHANGES = {
    "a run is added": lambda filled: filled.put(run(4, variant(image(6)), said=[opinion(image(4), 5)])),
    "a run is removed": lambda filled: filled.remove(1),
    "the first and last are removed": lambda filled: filled.remove(1, 3),
    "a run grows": lambda filled: filled.put(run(2, variant(image(4)), variant(image(7)), variant(image(8)))),
    "a word is last elsewhere": lambda filled: filled.put(
        run(3, variant(image(1), image(5)), said=[opinion(image(1), 5, rater="me", at=LATER)])
    ),
    "all is taken back": lambda filled: filled.put(run(1, variant(image(1), image(2)), variant(image(3)))),
    "an image is thrown away": lambda filled: filled.put(
        run(2, variant(image(4)), variant(), trash=[(image(4), CLOCK, True)])
    ),
    "a tag is taken off": lambda filled: filled.put(
        run(2, variant(image(4)), variant(), tags=[tag(image(4), "keeper", is_there=False)])
    ),
    "all are removed": lambda filled: filled.remove(1, 2, 3),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_refresh_takes_in_is_what_reading_everything_gives(filled, table, change):
    change(filled)
    assert table.refresh()
    assert not table.refresh()
    assert table.touched_runs is not None, "it was to be patched"
    assert contents(table) == read_anew(table)


@pytest.mark.parametrize(
    "words",
    [
        {"said": [opinion(image(5), 5)]},
        {"tags": [tag(image(5), "keeper")]},
        {"trash": [(image(5), CLOCK, True)]},
    ],
    ids=lambda words: next(iter(words)),
)
def test_words_of_one_run_about_an_image_of_another_come_and_go(filled, table, words):
    for run_or_none in (run(7, variant(), **words), run(7, variant()), run(7, variant(), **words), None):
        _ = filled.put(run_or_none) if run_or_none else filled.remove(7)
        table.refresh()
        assert contents(table) == read_anew(table)


def test_changes_that_follow_each_other_are_taken_in_one_by_one_or_together(filled, table):
    for number, change in enumerate(CHANGES.values()):
        change(filled)
        if number % 3:
            table.refresh()
            assert contents(table) == read_anew(table)


def test_a_saved_table_is_taken_up_and_brought_up_to_date(filled, table):
    filled.put(run(9, variant(image(9)), said=[opinion(image(2), 1)]))
    again = ColumnTable(table._reader)
    again.refresh()
    assert again.touched_runs, "it was loaded and patched"
    assert contents(again) == read_anew(table)


@pytest.mark.parametrize("damage", [b"", b"no zip", b"PK\x03\x04" + bytes(500)], ids=["empty", "text", "torn"])
def test_a_damaged_table_is_read_from_the_index(table, damage):
    table._path.write_bytes(damage)
    again = ColumnTable(table._reader)
    again.refresh()
    assert again.touched_runs is None
    assert contents(again) == contents(table)


def test_a_table_cut_anywhere_is_read_from_the_index(table):
    whole, expected = table._path.read_bytes(), contents(table)
    for length in range(0, len(whole), len(whole) // 23):
        table._path.write_bytes(whole[:length])
        again = ColumnTable(table._reader)
        again.refresh()
        assert contents(again) == expected


def test_a_table_of_another_index_is_not_taken_for_this_one(filled, table, tmp_path):
    saved, expected = table._path.read_bytes(), contents(table)
    filled.index._connection.execute("UPDATE meta SET value = 'another' WHERE key = 'token'")
    table._path.write_bytes(saved)
    again = ColumnTable(table._reader)
    again.refresh()
    assert again.touched_runs is None
    assert contents(again) == expected


def test_a_change_that_is_no_longer_told_of_has_everything_read(filled, table):
    filled.put(run(4, variant(image(6))), run(5, variant()))
    filled.index._connection.execute("DELETE FROM change WHERE run_id <> 'run-5'")
    table.refresh()
    assert table.touched_runs is None
    assert contents(table) == read_anew(table)


def test_only_new_opinions_leave_every_row_where_it_was(filled, table):
    order = table.row_order
    filled.put(run(1, variant(image(1), image(2)), variant(image(3)), said=[opinion(image(3), 5)], packs=("A\0a",)))
    table.refresh()
    assert table.has_only_new_opinions
    assert table.row_order is order
    assert len(table.touched_runs) == 1
    assert set(filled.digests(np.flatnonzero(np.isin(table.rows["image"], table.touched_images)))) >= {image(3)}


def test_a_changed_run_is_said_to_have_changed(filled, table):
    assert not table.has_only_new_opinions, "everything was read"
    filled.put(run(2, variant(image(8))))
    table.refresh()
    assert not table.has_only_new_opinions
    assert table.changed_runs == table.touched_runs != set()


def test_rows_stand_by_time_and_imported_images_where_they_were_made(filled):
    filled.put(
        run(1, variant(image(1))),
        run(2, variant(image(2), made_ms=START_MS), variant(image(3), made_ms=START_MS + 10**9)),
        run(3, variant(image(4), image(5))),
    )
    assert filled.digests(filled.table.row_order) == [image(number) for number in (2, 1, 4, 5, 3)]
    times = filled.table.times(filled.table.row_order)
    assert times.tolist() == sorted(times.tolist())
    assert len(filled.table.late_rows) == 2


@pytest.mark.parametrize(
    ("own", "asked", "expected"), [(640, 512, 640), (None, 512, 512), (512, 512, 512), (640, None, 640)]
)
def test_an_image_is_as_wide_as_itself_or_as_was_asked_for_where_that_is_not_known(filled, own, asked, expected):
    filled.put(run(1, variant(image(1), width=asked, image_width=own)))
    assert filled.table.rows["width"].tolist() == [expected]


def test_rows_of_variants_are_found_by_run_and_position(filled, table):
    first, second = table.sorted_ids[[0, 1]]
    runs, positions = np.array([first, first, first, second, 12345]), np.array([0, 1, 2, 1, 0])
    firsts, ends = table.variant_rows(runs, positions)
    spans = [table.rows["position"][start:end].tolist() for start, end in zip(firsts, ends, strict=True)]
    assert spans == [[0, 0], [1], [], [1], []]


def test_images_that_several_runs_hold_are_marked_and_dead_rows_count_no_more(filled, table):
    assert table.has_shared_images
    filled.remove(3)
    table.refresh()
    assert not table.has_shared_images
    assert table.rows_of(table.sorted_ids).tolist() == table.row_order.tolist()


@pytest.mark.parametrize("places", [None, [5, 0, 3]])
def test_what_images_have_is_looked_up_by_row_and_rows_without_image_have_the_default(table, places):
    images = table.rows["image"] if places is None else table.rows["image"][places]
    values = np.arange(4, dtype=np.float32) * 10
    found = table.by_row(values, -5, None if places is None else np.array(places))
    assert found.tolist() == [values[one] if 0 < one < 4 else -5 for one in images.tolist()]


def test_a_picture_stands_for_its_copies(filled, table):
    ids = [filled.id_of(image(number)) for number in (1, 4)]
    filled.put(run(4, variant(image(9)), tags=[tag(image(number), "copy:x") for number in (1, 4)]))
    filled.index.link_pictures()
    table.refresh()
    images = np.array([*ids, 77])
    assert table.pictures_of(images).tolist() == [min(ids), min(ids), 77]
    assert table.with_copies(np.array([min(ids)])).tolist() == sorted(ids)
    assert contents(table) == read_anew(table)
