"""Eagle's libraries and lists as they are found on disks: what fits is taken over, and nothing odd stops the rest."""

import json
from datetime import UTC, datetime

import pytest

from stablenew.importing.stars.files_with_stars import read_eagle, read_eagle_list

NEW_YEAR_MS = 1_704_067_200_000
ENTRY = {"name": "a harbour", "ext": "png", "star": 4, "lastModified": NEW_YEAR_MS, "size": 123}


def short(value):
    return repr(value)[:20]


def eagle(folder, entry):
    path = folder / "x.info" / "metadata.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(entry if isinstance(entry, str) else json.dumps(entry))
    return list(read_eagle(path))


def eagle_list(folder, value):
    path = folder / "list.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return list(read_eagle_list(path))


def test_an_entry_is_what_eagle_says_of_the_image_beside_it(tmp_path):
    (found,) = eagle(tmp_path, ENTRY | {"tags": ["sea", "", 7, None], "annotation": "keep"})
    assert found.path == str(tmp_path / "x.info" / "a harbour.png")
    assert (found.rating, found.tags, found.note, found.size_bytes) == (4, ("sea",), "keep", 123)
    assert found.said_at == datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("star", [0, 6, -1, 2.5, "4", None, True, [], 10**400], ids=short)
def test_what_is_no_number_of_stars_is_no_rating(tmp_path, star):
    (found,) = eagle(tmp_path, ENTRY | {"star": star})
    assert found.rating is None


@pytest.mark.parametrize("at", [0, -5, "x", None, 1e300, 10**400, [], True, {}], ids=short)
def test_what_is_no_time_is_none(tmp_path, at):
    (found,) = eagle(tmp_path, ENTRY | {"lastModified": at})
    assert found.said_at is None or found.said_at.year == 1970


@pytest.mark.parametrize(
    "field", [{"tags": "sea"}, {"tags": {"a": 1}}, {"annotation": 7}, {"annotation": "  "}, {"size": "9"}, {"ext": 5}]
)
def test_a_field_of_another_type_is_left_out_and_the_stars_stay(tmp_path, field):
    (found,) = eagle(tmp_path, {**ENTRY, **field})
    assert (found.rating, found.tags, found.note) == (4, (), None)


@pytest.mark.parametrize(
    "entry", ["", "{", "[]", "7", "null", "[" * 100_000, {}, {"name": 7}, ENTRY | {"isDeleted": True}]
)
def test_what_is_no_entry_or_deleted_gives_nothing(tmp_path, entry):
    assert eagle(tmp_path, entry) == []


def test_a_library_without_the_file_gives_nothing(tmp_path):
    assert list(read_eagle(tmp_path / "gone.json")) == []
    assert list(read_eagle_list(tmp_path / "gone.json")) == []


@pytest.mark.parametrize(
    "wrap", [lambda entries: entries, lambda entries: {"data": entries}, lambda entries: {"items": entries}]
)
def test_a_list_may_stand_alone_or_in_an_answer(tmp_path, wrap):
    entries = [ENTRY, "odd", None, {"star": 5}, {"path": "sub/b.jpg", "rating": 2}, {"filePath": "c.jpg", "star": 3}]
    found = eagle_list(tmp_path, wrap(entries))
    assert [(one.path, one.rating) for one in found] == [
        (str(tmp_path / "a harbour.png"), 4), (str(tmp_path / "sub" / "b.jpg"), 2), (str(tmp_path / "c.jpg"), 3),
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["", "{", "7", "null", {}, {"data": 7}, {"data": {}}, "[" * 100_000, [[], 5]])
def test_another_json_is_no_list(tmp_path, value):
    assert eagle_list(tmp_path, value) == []
