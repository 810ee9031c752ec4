"""What a run says of itself before it starts, however oddly a program says it."""

from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.recording.new_run import RunDescription, build_first_metadata, build_source

CREATED = "2026-11-28T10:00:00.000Z"


def first_metadata(**fields):
    given = {"run_id": "run-1", "config": {"steps": 30}, "source": {"name": "mine"}, **fields}
    return build_first_metadata(RunDescription(**given), CREATED)


def test_metadata_of_a_run_that_starts_are_valid():
    metadata = RunMetadata.from_dict(first_metadata())
    assert (metadata.run_id, metadata.status, metadata.source.name) == ("run-1", "running", "mine")


def test_equal_configs_have_one_digest():
    first, second = first_metadata(config={"a": 1, "b": 2}), first_metadata(config={"b": 2, "a": 1})
    assert first["config_digest"] == second["config_digest"]
    assert first_metadata(config={"a": 2, "b": 2})["config_digest"] != first["config_digest"]


def test_a_single_text_is_one_tag_and_tags_count_once():
    assert first_metadata(learning_tags="portrait")["learning_tags"] == ["portrait"]
    assert first_metadata(learning_tags=["a", "b", "a"])["learning_tags"] == ["a", "b"]


def test_a_pack_is_known_by_its_name_where_it_has_no_id():
    packs = first_metadata(packs=[{"name": "harbour"}, {"digest": "none"}])["packs"]
    assert [pack["id"] for pack in packs] == ["harbour"]


def test_what_does_not_fit_is_kept_as_text():
    metadata = RunMetadata.from_dict(first_metadata(config=7, correlation={"parent_run_id": "../up"}))
    assert metadata.config == {}
    assert set(metadata.odd) == {"config", "correlation.parent_run_id"}


def test_a_program_that_says_no_version_gets_none_of_ours():
    assert "version" not in build_source(name="other")
    assert build_source()["version"]
