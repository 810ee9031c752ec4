"""Which settings are tuned, and how far."""

import pyarrow as pa
import pytest

from stablenew.errors import ConfigError
from stablenew.learning.evidence.evidence_table import build_evidence_table
from stablenew.learning.setting_limits import SettingLimits, limits_of
from stablenew.learning.tuned_ranges import SettingRange, choose_ranges, parse_ranges, read_ranges
from tests.learning.simulated_user import build_images

PLAIN = {"model": "m", "sampler": "Euler a", "cfg_scale": 7.0}


def table_of(*settings, **columns):
    images = build_images([(f"run {number}", number, PLAIN | own, 3) for number, own in enumerate(settings)])
    for name, values in columns.items():
        place = images.schema.get_field_index(name)
        images = images.set_column(place, name, pa.array(values, images.schema.field(name).type))
    return build_evidence_table(images)


SAME = table_of({}, {})


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["cfg=3..12"], [("cfg", ("3", "12"), True)]),
        ([" cfg = 3 .. 12 , steps=20|30"], [("cfg", ("3", "12"), True), ("steps", ("20", "30"), False)]),
        (["sampler=Euler a|DPM++ 2M|DDIM"], [("sampler", ("Euler a", "DPM++ 2M", "DDIM"), False)]),
        ([], []),
    ],
)
def test_ranges_are_two_ends_or_values_and_a_text_may_hold_several(texts, expected):
    assert parse_ranges(texts) == expected


@pytest.mark.parametrize("text", ["cfg", "cfg=", "cfg=7", "=3..4", "cfg=3..", "cfg=..4", "sampler=Euler|", "", "cfg=|"])
def test_what_is_no_range_is_refused_and_shown(text):
    with pytest.raises(ConfigError, match=r"expected SETTING=LOW\.\.HIGH or SETTING=VALUE\|VALUE, found") as refused:
        parse_ranges([text])
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "name", "values", "is_interval"),
    [
        ("cfg=3..12", "txt2img.cfg_scale", (3.0, 12.0), True),
        ("steps=20|30|25", "txt2img.steps", (20, 30, 25), False),
        ("sampler=Euler|DDIM", "txt2img.sampler", ("Euler", "DDIM"), False),
        ("img2img.denoising_strength=0..1", "img2img.denoising_strength", (0.0, 1.0), True),
    ],
)
def test_values_have_the_type_of_their_setting(text, name, values, is_interval):
    (found,) = read_ranges([text], SAME)
    assert found == (name, values, is_interval)
    assert [type(value) for value in found.values] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sampler=Euler..DDIM", r"sampler is a word: expected sampler=VALUE\|VALUE, found 'Euler..DDIM'"),
        ("steps=2.5..9", "steps: expected a whole number, found '2.5'"),
        ("cfg=low..9", "cfg: expected a number, found 'low'"),
        ("cfg=12..3", "cfg: expected the lower number first, found 12..3"),
        ("cfg=3..3", "cfg: expected the lower number first"),
        ("steps=0..9", "steps is between 1 and 1000, found 0"),
        ("cfg=3..101", "cfg is between 0 and 100, found 101"),
        ("samler=a|b", "did you mean"),
    ],
)
def test_a_range_that_does_not_fit_its_setting_says_what_would(text, said):
    with pytest.raises(ConfigError, match=said):
        read_ranges([text], SAME)


def test_settings_of_ones_own_are_not_varied_by_a_plan():
    own = [[{"name": "hypertile", "value": "1"}], [{"name": "hypertile", "value": "2"}]]
    table = table_of({}, {}, settings=own)
    with pytest.raises(ConfigError, match="hypertile is not a setting that a plan can vary"):
        read_ranges(["hypertile=1..2"], table)
    assert choose_ranges(table, SAME, {}, lambda name: name.startswith("settings."))[0].name == "txt2img.cfg_scale"


def test_what_rated_images_differ_in_is_tuned_as_far_as_they_do():
    judged = table_of({"cfg_scale": 5.0}, {"cfg_scale": 9.0, "sampler": "DDIM"}, {"cfg_scale": 7.0})
    found = choose_ranges(judged, SAME, {}, lambda name: True)
    assert SettingRange("txt2img.cfg_scale", (5.0, 9.0), is_interval=True) in found
    assert SettingRange("txt2img.sampler", ("DDIM", "Euler a"), is_interval=False) in found
    assert len(found) == 2
    only = choose_ranges(judged, SAME, {}, lambda name: name == "txt2img.sampler")
    assert [one.name for one in only] == ["txt2img.sampler"]


def test_where_rated_images_are_alike_the_others_say_what_is_tuned():
    others = table_of({"cfg_scale": 4.0}, {"cfg_scale": 6.0})
    assert choose_ranges(SAME, others, {}, lambda name: True) == [("txt2img.cfg_scale", (4.0, 6.0), True)]


def test_values_that_cannot_be_asked_for_are_left_out():
    judged = table_of({"cfg_scale": -4.0}, {"cfg_scale": 6.0}, {"cfg_scale": 400.0}, {"cfg_scale": 8.0})
    assert choose_ranges(judged, SAME, {}, lambda name: True) == [("txt2img.cfg_scale", (6.0, 8.0), True)]


@pytest.mark.parametrize(
    ("used", "cfg", "steps"),
    [
        ({}, (3.5, 11.9), (10, 34)),
        ({"txt2img.cfg_scale": 2.0, "txt2img.steps": 50}, (1.0, 3.4), (25, 85)),
        ({"txt2img.cfg_scale": 100.0, "txt2img.steps": 1000}, (50.0, 100.0), (500, 1000)),
        ({"txt2img.cfg_scale": 1.0, "txt2img.steps": 1}, (0.5, 1.7), (1, 2)),
        ({"txt2img.cfg_scale": 0.0, "txt2img.steps": 2}, (0.0, 1.0), (1, 3)),
        ({"txt2img.cfg_scale": 0.05, "txt2img.steps": 4}, (0.0, 1.0), (2, 6)),
    ],
)
def test_before_anything_was_varied_the_range_is_around_what_is_used_and_always_has_two_ends(used, cfg, steps):
    ranges = {found.name: found for found in choose_ranges(SAME, SAME, used, lambda name: True)}
    assert ranges["txt2img.cfg_scale"] == ("txt2img.cfg_scale", cfg, True)
    assert ranges["txt2img.steps"] == ("txt2img.steps", steps, True)
    assert [type(end) for end in ranges["txt2img.steps"].values] == [int, int]


@pytest.mark.parametrize(
    ("name", "kind", "lowest", "highest"),
    [
        ("txt2img.steps", "integer", 1, 1000),
        ("txt2img.cfg_scale", "number", 0, 100),
        ("txt2img.sampler", "text", None, None),
        ("txt2img.enable_hr", "yes or no", None, None),
        ("img2img.denoising_strength", "number", 0, 1),
        ("txt2img.unheard_of", "number", None, None),
    ],
)
def test_limits_are_those_of_the_format(name, kind, lowest, highest):
    limits = limits_of(name)
    assert (limits.type, limits.lowest, limits.highest) == (kind, lowest, highest)


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        ([True, False], "yes or no"),
        ([1, 2], "integer"),
        ([1, 2.5], "number"),
        (["a", 1], "text"),
        ([True, 2], "integer"),
    ],
)
def test_the_type_of_a_setting_of_ones_own_is_that_of_what_was_seen(seen, kind):
    assert limits_of("settings.hypertile", seen) == SettingLimits(kind)


def test_words_are_always_allowed_and_numbers_within_the_limits():
    limits = SettingLimits("number", 1, 9)
    assert [limits.allow(value) for value in ("a word", True, 1, 9, 0.9, 9.1)] == [True, True, True, True, False, False]
    assert SettingLimits("number").allow(-(10**9))
