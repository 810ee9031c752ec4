"""The fields there are, and the nearest of them to one that there is not."""

import pytest

from stablenew.formats.query_language import fields
from stablenew.formats.query_language.fields import FIELDS, field_of_setting, suggest_names, suggest_near
from stablenew.formats.settings import SETTINGS


def test_a_field_asks_for_one_thing():
    kinds = [fields.TEXTS, fields.WORDS, fields.NUMBERS, fields.TIMES, fields.SWITCHES]
    assert sorted(name for kind in kinds for name in kind) == sorted(FIELDS)
    assert len(set(FIELDS)) == len(FIELDS)
    assert not set(FIELDS) & set(fields.FAMILIES)


def test_every_setting_that_is_searched_has_its_field_among_those_of_its_type():
    for setting in SETTINGS:
        kind = fields.VARIANT_WORDS if setting.type == "text" else fields.VARIANT_NUMBERS
        assert setting.query is None or setting.query in kind
        assert field_of_setting(setting.name) == setting.query


@pytest.mark.parametrize(
    ("name", "field"),
    [("cfg_scale", "cfg"), ("Guidance Scale", "cfg"), ("checkpoint", "model"), ("model_hash", None), ("prompt", None)],
)
def test_a_setting_is_found_by_any_of_its_names_where_it_is_searched(name, field):
    assert field_of_setting(name) == field


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sampler", "did you mean Sampler?"),
        ("SAMPLR", "did you mean Sampler?"),
        ("stpes", "did you mean steps?"),
        ("colour", "did you mean colour, colours or colour_tone?"),
        ("", "`stablenew images --fields` lists what there is"),
        ("qqqq", "`stablenew images --fields` lists what there is"),
    ],
)
def test_the_nearest_names_are_suggested_and_else_how_to_list_all(name, hint):
    names = {"sampler": "Sampler", "steps": "steps"} | {name: name for name in ("colour_tone", "colours", "colour")}
    assert suggest_names(name, names) == hint


def test_a_field_that_is_near_under_two_names_is_suggested_once():
    assert suggest_names("aesthetc", {"aesthetic": "metric.aesthetic", "aesthetics": "metric.aesthetic"}) == (
        "did you mean metric.aesthetic?"
    )


def test_a_name_that_is_near_none_is_answered_with_no_question():
    assert suggest_near("sapmler", ["Sampler", "steps"]) == "did you mean Sampler?"
    assert suggest_near("stets", ["steps", "Stems"]).startswith("did you mean ")
    assert suggest_near("qqqq", ["Sampler"]) == suggest_near("a", []) == ""
