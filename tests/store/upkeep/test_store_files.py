"""The store's own files are judged by what they mean, and mended where they are damaged."""

import json
import shutil

import pytest

from stablenew import RunStore
from stablenew.errors import NotAStore
from stablenew.store.upkeep.run_repair import repair_store
from stablenew.store.upkeep.store_files import verify_store_files
from stablenew.store.upkeep.store_merge import merge_stores
from tests.samples import sealed_run

SCHEMA = "schemas/v1/feedback.schema.json"


@pytest.fixture
def marker(store):
    sealed_run(store)
    return store.root / ".stablenew"


def found(store):
    report = verify_store_files(store.root)
    return [(finding.code, finding.path) for finding in report.findings], report.is_ok


def test_what_this_version_writes_has_no_findings(store, marker):
    assert found(store) == ([], True)


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"stablenew.store","schema_version":"1.0"}',
        '{"schema_version": "1.0",\n  "kind": "stablenew.store", "ext": {"org.example": 1}, "later": true}',
        '{"kind":"stablenew.store","schema_version":"1.7","features":["x"]}',
    ],
    ids=["minified", "extended", "newer minor version"],
)
def test_a_store_of_another_program_or_a_newer_minor_version_is_fine(store, marker, text):
    (marker / "store.json").write_text(text)
    (marker / "README.md").write_text("another page")
    shutil.rmtree(marker / "schemas")
    codes, is_ok = found(store)
    assert is_ok
    assert {code for code, _ in codes} <= {"store-incomplete"}
    assert store.prepare() is None
    assert (marker / "store.json").read_text() == text


def test_a_later_major_version_is_named_and_left_alone(store, marker):
    (marker / "store.json").write_text('{"kind":"stablenew.store","schema_version":"2.0"}')
    assert found(store) == ([("newer-format", "store.json")], False)
    assert repair_store(store).actions == []


@pytest.mark.parametrize("junk", ["", "{", '{"kind":"something else","schema_version":"1.0"}', '"\\ud800"'])
def test_a_damaged_marker_is_an_error_that_repair_mends(store, marker, junk):
    (marker / "store.json").write_text(junk)
    codes, is_ok = found(store)
    assert (codes, is_ok) == ([("store-changed", "store.json")], False)
    assert [action.path for action in repair_store(store, dry_run=True).actions] == [".stablenew/store.json"]
    assert (marker / "store.json").read_text() == junk
    assert [action.path for action in repair_store(store).actions] == [".stablenew/store.json"]
    assert found(store) == ([], True)


def test_schemas_are_compared_by_meaning_and_mended(store, marker):
    schema = json.loads((marker / SCHEMA).read_bytes())
    (marker / SCHEMA).write_text(json.dumps(schema))
    assert found(store) == ([], True)
    (marker / SCHEMA).write_text(json.dumps(schema | {"title": "changed"}))
    (marker / "README.md").unlink()
    assert found(store) == ([("store-differs", SCHEMA), ("store-incomplete", "README.md")], True)
    assert len(repair_store(store).actions) == 2
    assert found(store) == ([], True)
    assert repair_store(store).actions == []


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b"{}", b'{"$id": "https://other.example/schema.json"}', b"\xff"])
def test_a_schema_that_is_none_of_this_name_is_an_error_that_repair_mends(store, marker, junk):
    (marker / SCHEMA).write_bytes(junk)
    assert found(store) == ([("store-changed", SCHEMA)], False)
    assert len(repair_store(store).actions) == 1
    assert found(store) == ([], True)


def test_a_link_in_place_of_a_file_is_not_followed_and_not_written_through(store, marker, tmp_path):
    (tmp_path / "elsewhere").write_text("mine")
    (marker / SCHEMA).unlink()
    (marker / SCHEMA).symlink_to(tmp_path / "elsewhere")
    assert found(store) == ([("store-changed", SCHEMA)], False)
    repair_store(store)
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_a_folder_that_is_no_store_is_not_taken_for_an_empty_one(tmp_path, store, marker):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"x")
    for place, message in (
        (tmp_path / "runz", "found none"),
        (tmp_path / "photos", "found no run in it"),
        (store.root / "sample-run", "it is a run; give the folder it is in"),
    ):
        with pytest.raises(NotAStore, match=message):
            RunStore(place).check_exists()
        with pytest.raises(NotAStore, match=message):
            merge_stores(store, RunStore(place))
    store.check_exists()
    shutil.rmtree(marker)
    store.check_exists()


def test_merging_a_store_without_runs_is_told(tmp_path, store):
    empty = RunStore(tmp_path / "empty")
    empty.prepare()
    empty.check_exists()
    with pytest.raises(NotAStore, match="found no run in it"):
        merge_stores(store, empty)
