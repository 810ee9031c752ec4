"""What the reader of an index looks up: words, runs, images, changes; and an index that comes, goes and is replaced."""

import contextlib

import pytest

from stablenew.errors import CacheFailed
from stablenew.formats.query_language import Pattern
from stablenew.index.asking.index_reader import PATH_COLUMNS, IndexReader
from stablenew.index.index_file import delete_index
from tests.index.entries import Filled, image, opinion, run, score, variant


def patterns(*texts):
    return [Pattern(text) for text in texts]


def words(reader, *texts):
    return sorted(reader.name(number) for number in reader.find_names(patterns(*texts)))


@pytest.fixture
def reader(filled):
    filled.put(
        run(1, variant(image(1), model="Dreamshaper XL", sampler="Euler a"), packs=("Boats\0harbour",)),
        run(2, variant(image(2), image(3), others={"s_churn": 0.5}, model="dreamshaper_8")),
    )
    return filled.reader


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["dreamshaper*"], ["Dreamshaper XL", "dreamshaper_8"]),
        (["DREAMSHAPER_8"], ["dreamshaper_8"]),
        (["dreamshaper"], []),
        (["euler ?", "nothing"], ["Euler a"]),
        (["boats"], ["Boats\0harbour"]),
        (["Harbour"], ["Boats\0harbour"]),
        (["boats*harbour"], []),
        ([], []),
    ],
)
def test_words_match_whole_whatever_their_case_and_a_pack_by_its_name_or_id(reader, asked, expected):
    assert words(reader, *asked) == expected


def test_words_that_come_later_are_found_too(filled, reader):
    assert words(reader, "new*") == []
    filled.put(run(3, variant(model="newest")))
    assert words(reader, "new*") == ["newest"]
    assert reader.name_or_none(None) is None
    assert [reader.name(number) for number, _ in reader.names()] == [text for _, text in reader.names()]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["run-1"], ["run-1"]),
        (["RUN"], ["run-1", "run-2"]),
        (["*-2"], ["run-2"]),
        (["r?n-1"], ["run-1"]),
        (["un-1"], []),
        (["rün"], []),
        (["run-1", "*1"], ["run-1"]),
        (["%"], []),
        (["_un"], []),
    ],
)
def test_a_run_is_found_by_how_its_id_begins_each_once(reader, asked, expected):
    found = reader.find_runs(patterns(*asked))
    assert sorted(reader.run_id_of(number) for number in found) == expected


def test_a_run_and_its_id_lead_to_each_other(reader):
    number = reader.id_of("run-2")
    assert reader.run_id_of(number) == "run-2"
    assert reader.run_ids([number, 12345]) == ["run-2"]
    assert reader.id_of("run-") is None
    assert reader.run_id_of(number + 1) is None


@pytest.mark.parametrize("length", [1, 2, 9, 10, 11, 32])
def test_an_image_is_found_by_as_much_of_its_digest_as_is_given(reader, length):
    digits = image(1).removeprefix("xxh128:")[:length]
    expected = [number for number in (1, 2, 3) if image(number).removeprefix("xxh128:").startswith(digits)]
    for text in (digits, digits.upper(), f"xxh128:{digits}", f"{digits}*"):
        assert len(reader.find_images(Pattern(text))) == len(expected)
    assert len(reader.find_images(Pattern(image(1)))) == 1


@pytest.mark.parametrize("text", ["", "*", "xyz", "xxh128:", "a*b", "?", "f" * 33])
def test_what_begins_no_digest_finds_no_image(reader, text):
    assert reader.find_images(Pattern(text)) == []


def test_families_are_the_settings_without_columns_and_the_scores_that_stand(filled, reader):
    assert reader.family_names() == ["settings.s_churn"]
    filled.put(run(3, variant(image(4)), scores=[score(image(4), "metric.sharpness", 1.0)]))
    assert reader.family_names() == ["settings.s_churn", "metric.sharpness"]
    filled.remove(3)
    assert reader.family_names() == ["settings.s_churn"]


def test_an_aspect_that_was_taken_back_is_no_family(filled):
    filled.put(run(1, variant(image(1)), scores=[score(image(1), "aspect.hands", None, source="me")]))
    assert filled.reader.family_names() == []


def test_changing_the_list_of_families_changes_no_later_answer(reader):
    reader.family_names().append("mine")
    assert reader.family_names() == ["settings.s_churn"]


@pytest.mark.parametrize("is_ascending", [True, False])
def test_runs_come_by_time_in_pages_that_go_on_where_the_last_one_ended(filled, is_ascending):
    filled.put(*(run(number, variant()) for number in range(5)))
    found, after = [], None
    while page := filled.reader.all_ids(limit=2, after=after, is_ascending=is_ascending):
        found += page
        after = page[-1]
    runs = [filled.reader.run_id_of(number) for (number,) in found]
    assert runs == [f"run-{number}" for number in (range(5) if is_ascending else reversed(range(5)))]
    assert filled.reader.run_count() == 5


def test_changes_are_counted_and_told_in_order(filled):
    token, number = filled.reader.last_change()
    filled.put(run(1, variant()))
    filled.put(run(1, variant(), said=[opinion("", 4)]), run(2, variant()))
    filled.remove(1)
    assert filled.reader.last_change() == (token, number + 4)
    told = [(run_id, kind) for _, run_id, kind in filled.reader.changes_since(number)]
    changed = ("run-1", "run_changed")
    assert told == [("run-1", "run_added"), changed, ("run-2", "run_added"), ("run-1", "run_removed")]
    assert filled.reader.changes_since(number + 4) == []


def test_bodies_are_found_by_id_however_many(filled):
    filled.put(run(1, *(variant(prompt=f"prompt {number}") for number in range(600))))
    numbers = [row[0] for row in filled.reader.fetch("SELECT id FROM text")]
    found = filled.reader.bodies([*numbers, 10_000_000])
    assert sorted(found.values()) == sorted(f"prompt {number}" for number in range(600))
    assert filled.reader.bodies([]) == {}


def test_facts_about_the_index_have_a_default(filled):
    assert not filled.reader.is_complete
    assert filled.reader.get_meta("unknown", 7) == 7
    filled.index.set_meta(is_complete=1)
    assert filled.reader.is_complete


def test_a_snapshot_stays_as_it_is_while_runs_come(filled, reader):
    with reader.snapshot():
        assert reader.run_count() == 2
        filled.put(run(3, variant()))
        with reader.snapshot():
            assert reader.run_count() == 2
        assert reader.run_count() == 2
    assert reader.run_count() == 3


def test_where_no_index_is_nothing_is_found(tmp_path):
    reader = IndexReader(tmp_path / "none" / "history.sqlite")
    assert reader.fetch("SELECT 1") == reader.names() == reader.all_ids(limit=3) == reader.family_names() == []
    assert reader.run_count() == 0
    assert reader.last_change() == ("", 0)
    assert list(reader.iter_chunks("SELECT 1", 10)) == []
    with reader.snapshot() as connection:
        assert connection is None


@pytest.mark.parametrize("is_closed", [True, False])
def test_an_index_that_is_made_anew_under_the_same_name_has_its_own_words(filled, reader, tmp_path, is_closed):
    before = [text for _, text in reader.names()]
    if is_closed:
        reader.close()
        filled.close()
    delete_index(reader.path)
    with contextlib.closing(Filled(tmp_path)) as again:
        again.put(run(7, variant(model="other")))
        assert "other" in (names := [text for _, text in reader.names()])
        assert "Euler a" in before
        assert "Euler a" not in names
        assert words(reader, "euler a", "other") == ["other"]


def test_rows_come_in_chunks_in_order(reader):
    query = "SELECT value FROM json_each(?)"
    assert list(reader.iter_chunks(query, 2, ("[1,2,3]",))) == [[(1,), (2,)], [(3,)]]


def test_a_reader_that_was_closed_opens_again(reader):
    reader.close()
    reader.close()
    assert reader.run_count() == 2


def test_a_query_that_fails_is_a_failure_of_the_index(reader):
    with pytest.raises(CacheFailed, match="no such table: missing"):
        reader.fetch("SELECT * FROM missing")


def test_an_image_in_place_has_no_path_in_its_run(reader):
    query = (
        f"SELECT {PATH_COLUMNS} FROM place p JOIN variant v ON v.run = p.run AND v.position = p.position "
        "JOIN image i ON i.id = p.image"
    )
    assert {reader.path_of(row) for row in reader.fetch(query)} == {None}
