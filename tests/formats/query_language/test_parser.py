"""From words to conditions: families, choices, means and times, and what is said where a word cannot be meant."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from stablenew.errors import InvalidQuery
from stablenew.formats.query_language.conditions import Condition, Query, Range, Switch, Words
from stablenew.formats.query_language.parser import parse_query
from stablenew.formats.query_language.patterns import Pattern

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NAMES = ("metric.aesthetic", "metric.Sharpness", "aspect.sharpness", "settings.hires_upscaler", "aspect.light")


def one(text, now=NOW, names=NAMES):
    (condition,) = parse_query(text, now, names).conditions
    return condition


def reason(text):
    with pytest.raises(InvalidQuery) as caught:
        parse_query(text, NOW, NAMES)
    return caught.value.reason


def milliseconds(*parts, zone=UTC):
    return int(datetime(*parts, tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("metric.aesthetic:>6", "metric.aesthetic", Range(low=6, is_low_open=True)),
        ("Metric.Aesthetic:6", "metric.aesthetic", Range(6, 6)),
        ("aesthetic:>=6", "metric.aesthetic", Range(low=6)),
        ("metric.never_heard_of:1", "metric.never_heard_of", Range(1, 1)),
        ("aspect.light:4", "aspect.light", Range(3.5, 4.5, is_high_open=True)),
        ("light:>=4", "aspect.light", Range(low=4)),
        ("settings.cfg_scale:7", "cfg", Range(7, 7)),
        ("settings.guidance_scale:7", "cfg", Range(7, 7)),
        ("settings.my_own:5..8", "settings.my_own", Range(5, 8)),
        ("settings.my_own:fast", "settings.my_own", Pattern("fast")),
        ('settings.my_own:"7"', "settings.my_own", Pattern("7")),
        ("settings.my_own:v1.5", "settings.my_own", Pattern("v1.5")),
        ("settings.my_own:..", "settings.my_own", Pattern("..")),
        ("hires_upscaler:Latent", "settings.hires_upscaler", Pattern("Latent")),
        ("guidance_scale:7", "cfg", Range(7, 7)),
        ("neg:fog", "negative", Words("fog")),
        ("id:run-*", "run", Pattern("run-*")),
        ("tool:ComfyUI", "source", Pattern("ComfyUI")),
    ],
)
def test_a_field_may_be_of_a_family_or_go_by_another_name(text, field, value):
    assert one(text) == Condition(field, (value,))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sharpness:1", "'sharpness' has several meanings: aspect.sharpness, metric.sharpness"),
        ("aesthetics:1", "no field 'aesthetics': did you mean metric.aesthetic?"),
        ("samplr:a", "did you mean sampler?"),
        ("zzzzzz:a", "`stablenew images --fields` lists what there is"),
        ("metric.:1", "no field 'metric.'"),
        ("https://example.org", "a word with a colon in it goes into quotes"),
        ("prompt:", "expected a value here"),
        ("rating:5,", "expected a value here"),
        ("note:-", "expected a word to look for"),
        ("prompt:ab*", "at least 3 letters before the *"),
        ('"a b*"', "at least 3 letters before the *"),
        ("orientation:round", "expected portrait or landscape or square, found 'round'"),
        ("is:gone", "expected trashed, found 'gone'"),
        ("noted:mine", "expected yes or no, found 'mine'"),
        ("metric.aesthetic:good", "expected a number for metric.aesthetic"),
        ("since:2026-02-30", "or a date such as 2026-01-31, found '2026-02-30'"),
        ("since:7x", "expected an age such as 7d"),
        ("cfg:5..8..9", "expected a number for cfg, such as 7, 5..8 or >=7"),
        ("cfg:>", "expected a number"),
        ("cfg:1e3", "expected a number"),
        ("cfg:1,5x", "expected a number"),
        ("cfg:٣", "expected a number"),
    ],
)
def test_a_word_that_cannot_be_meant_is_answered_with_what_could(text, words):
    assert words in reason(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rating:5", Range(4.5, 5.5, is_high_open=True)),
        ("rating:0", Range(-0.5, 0.5, is_high_open=True)),
        ("rating:4.5", Range(4.5, 4.5)),
        ("rating:=4", Range(4, 4)),
        ("rating:4..5", Range(4, 5)),
        ("mine:4", Range(4, 4)),
        ("jobrating:4", Range(4, 4)),
        ("steps:30", Range(30, 30)),
        ("cfg:-1.5", Range(-1.5, -1.5)),
        ("cfg:-3..-1", Range(-3, -1)),
        ("cfg:>=-1", Range(low=-1)),
    ],
)
def test_a_whole_number_of_a_mean_is_all_that_rounds_to_it_and_of_anything_else_itself(text, value):
    assert one(text).values == (value,)


@pytest.mark.parametrize(("text", "hours"), [("1h", 1), ("7d", 168), ("2w", 336), ("1m", 720), ("1y", 8760), ("0d", 0)])
def test_an_age_counts_back_from_now(text, hours):
    moment = int((NOW - timedelta(hours=hours)).timestamp() * 1000)
    assert one(f"since:{text}").values == (Range(low=moment),)
    assert one(f"before:{text}").values == (Range(high=moment, is_high_open=True),)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", milliseconds(2026, 1, 31)),
        ("2026-01-31T08:30", milliseconds(2026, 1, 31, 8, 30)),
        ("2026-01-31T08:30:00+02:00", milliseconds(2026, 1, 31, 6, 30)),
        ("1969-12-31", -86_400_000),
        ("0001-01-01", milliseconds(1, 1, 1)),
        ("9999-12-31", milliseconds(9999, 12, 31)),
        ("99999y", 0),
    ],
)
def test_a_moment_may_be_any_that_there_is(text, moment):
    assert one(f"since:{text}").values == (Range(low=moment),)


@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_a_date_is_a_day_of_the_reader_s_zone_also_at_the_ends_of_time(hours):
    zone = timezone(timedelta(hours=hours))
    for text, parts in (("2026-01-31", (2026, 1, 31)), ("0001-01-01", (1, 1, 1)), ("9999-12-31", (9999, 12, 31))):
        expected = milliseconds(*parts) - hours * 3_600_000
        assert one(f"since:{text}", NOW.astimezone(zone)).values == (Range(low=expected),)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("unrated:yes", Switch(True)),
        ("unrated:NO", Switch(False)),
        ("unrated:Mine", Switch(True, is_mine=True)),
        ("noted:no", Switch(False)),
        ("flag:PICK", Pattern("pick")),
        ("orientation:Square", Pattern("square")),
        ("is:trashed", Pattern("trashed")),
    ],
)
def test_a_choice_is_known_whatever_its_case(text, value):
    assert one(text).values == (value,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("harb*", Words("harb", is_prefix=True)),
        ("harb***", Words("harb", is_prefix=True)),
        ('"oil paint*"', Words("oil paint", is_prefix=True)),
        ('note:"soft light"', Words("soft light")),
        ("photo,real", Words("photo,real")),
        ("(masterpiece)", Words("(masterpiece)")),
        ("写真", Words("写真")),
    ],
)
def test_words_are_looked_for_as_they_stand(text, words):
    assert one(text).values == (words,)


def test_texts_take_several_values_too():
    assert one("note:soft,hard*").values == (Words("soft"), Words("hard", is_prefix=True))


def test_a_minus_denies_the_condition_that_follows_and_space_of_any_kind_parts_them():
    query = parse_query('-tag:a,b\t-"oil painting"\n--x\u3000y', NOW)
    assert query == Query(
        (
            Condition("tag", (Pattern("a"), Pattern("b")), is_negated=True),
            Condition("prompt", (Words("oil painting"),), is_negated=True),
            Condition("prompt", (Words("-x"),), is_negated=True),
            Condition("prompt", (Words("y"),)),
        )
    )


def test_every_bound_is_taken_and_one_more_is_refused():
    assert len(parse_query("a " * 64, NOW).conditions) == 64
    assert "at most 64 conditions" in reason("a " * 65)
    assert len(one("run:" + ",".join("a" * 1 for _ in range(256))).values) == 256
    assert "at most 256 values" in reason("run:" + ",".join("a" for _ in range(257)))
    assert one("seed:" + "9" * 30).values == (Range(10**30 - 1, 10**30 - 1),)
    assert "at most 30 digits" in reason("seed:" + "9" * 31)
    assert one("seed:1.." + "9" * 30).values == (Range(1, 10**30 - 1),)
    assert parse_query("a" * 4_000, NOW).conditions
    assert "at most 4000 characters, found 4001" in reason("a" * 4_001)
