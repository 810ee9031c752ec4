import fnmatch
from datetime import UTC, datetime, timedelta, timezone
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import InvalidQuery
from stablenew.formats.query_language import (
    FIELDS,
    MAX_PATTERNS,
    Condition,
    Pattern,
    Query,
    Range,
    Switch,
    Words,
    match_any,
    parse_query,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY_MS = 86_400_000


def parse(text):
    return parse_query(text, NOW)


def one(text):
    (condition,) = parse(text).conditions
    return condition


def test_the_whole_language_in_one_query():
    query = parse(
        'model:dreamshaper* sampler:"Euler a" cfg:5..8 steps:>=30 rating:>=4 unrated:yes tag:portrait pack:harbour '
        'status:failed since:7d before:2026-01-01 seed:123 "oil painting" -blurry'
    )
    midnight = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert query.conditions == (
        Condition("model", (Pattern("dreamshaper*"),)),
        Condition("sampler", (Pattern("Euler a"),)),
        Condition("cfg", (Range(5, 8),)),
        Condition("steps", (Range(low=30),)),
        Condition("rating", (Range(low=4),)),
        Condition("unrated", (Switch(True),)),
        Condition("tag", (Pattern("portrait"),)),
        Condition("pack", (Pattern("harbour"),)),
        Condition("status", (Pattern("failed"),)),
        Condition("since", (Range(low=int(NOW.timestamp() * 1000) - 7 * DAY_MS),)),
        Condition("before", (Range(high=midnight, is_high_open=True),)),
        Condition("seed", (Range(123, 123),)),
        Condition("prompt", (Words("oil painting"),)),
        Condition("prompt", (Words("blurry"),), is_negated=True),
    )


def test_no_words_ask_for_everything():
    assert parse("") == parse("  \t ") == Query()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cfg:7", Range(7, 7)),
        ("cfg:=7.5", Range(7.5, 7.5)),
        ("cfg:5..", Range(low=5)),
        ("cfg:..8", Range(high=8)),
        ("cfg:>5", Range(low=5, is_low_open=True)),
        ("cfg:<5", Range(high=5, is_high_open=True)),
        ("cfg:<=-1", Range(high=-1)),
        ("seed:18446744073709551615", Range(2**64 - 1, 2**64 - 1)),
    ],
)
def test_numbers_and_ranges(text, expected):
    assert one(text).values == (expected,)


def test_several_values_are_alternatives_and_quotes_hold_commas():
    assert one('status:failed,"cancelled"').values == (Pattern("failed"), Pattern("cancelled"))
    assert one('pack:"a,b"').values == (Pattern("a,b"),)


def test_other_names_of_fields_mean_the_same():
    assert one("CFG_Scale:7") == one("cfg:7")
    assert one("stars:5") == one("rating:5")


def test_a_minus_alone_or_inside_is_a_letter_like_others():
    assert one("black-white").values == (Words("black-white"),)
    assert one("-tag:a") == Condition("tag", (Pattern("a"),), is_negated=True)


def test_a_date_without_a_zone_is_of_the_readers_zone():
    berlin = timezone(timedelta(hours=1))
    (condition,) = parse_query("since:2026-01-01", NOW.astimezone(berlin)).conditions
    assert condition.values == (Range(low=int(datetime(2025, 12, 31, 23, tzinfo=UTC).timestamp() * 1000)),)


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("harbour modle:x", 8, "did you mean model?"),
        ("photo:1.2", 0, "quotes"),
        ("cfg:high", 4, "expected a number for cfg"),
        ("cfg:8..5", 4, "did you mean 5..8?"),
        ("cfg:..", 4, "expected a number"),
        ("since:yesterday", 6, "an age such as 7d"),
        ("unrated:maybe", 8, "yes, no or mine"),
        ("unrated:yes,no", 11, "expected a space"),
        ("flag:blue", 5, "pick or reject"),
        ("model:", 6, "expected a value"),
        ('model:""', 6, "expected a value"),
        ('"oil painting', 0, "never closed"),
        ('tag:"a"b', 7, "expected a space"),
        ("ha*", 0, "at least 3 letters"),
        ("!!!", 0, "expected a word"),
        ("- x", 0, "expected a word"),
    ],
)
def test_an_error_points_at_the_character(text, position, words):
    with pytest.raises(InvalidQuery) as caught:
        parse(text)
    assert caught.value.position == position
    assert words in caught.value.reason
    assert str(caught.value).endswith(f"\n  {text}\n  {' ' * position}^")


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from([*FIELDS, ":", '"', "-", "*", ",", "..", ">=", "7", " "])).map("".join)
)
def test_any_text_is_a_query_or_an_error_with_a_place(text):
    try:
        query = parse(text)
    except InvalidQuery as error:
        assert 0 <= error.position <= len(text)
    else:
        assert all(condition.field in FIELDS and condition.values for condition in query.conditions)


@given(st.text(max_size=8), st.text(max_size=8))
def test_a_pattern_without_wildcards_is_equality_but_for_capitals_and_how_accents_are_written(text, other):
    plain = text.replace("*", "").replace("?", "")
    folded = [normalize("NFC", normalize("NFC", one).casefold()) for one in (plain, other)]
    assert match_any([Pattern(plain)])(other) == (folded[0] == folded[1])


@pytest.mark.parametrize("pattern", ["Café", "CAFÉ", "caf?", "*é", "c*É"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_a_name_from_another_system_is_found_as_it_is_typed_here(pattern, form, written):
    assert match_any([Pattern(normalize(form, pattern))])(normalize(written, "café"))
    assert not match_any([Pattern(normalize(form, pattern))])("café au lait")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a" * 4001, "at most 4000 characters, found 4001"),
        ("-a " * 1100, "at most 64 conditions"),
        ("tag:" + ",".join(["a"] * 900), "at most 256 values"),
        ("seed:" + "9" * 3900, "at most 30 digits"),
        ("duration:" + "9" * 400, "at most 30 digits"),
        ("steps:1.." + "9" * 61, "at most 30 digits"),
        ("harbour\0", "cannot contain this character"),
        ("tag:\udcff", "cannot contain this character"),
    ],
)
def test_a_query_beyond_its_bounds_is_refused(text, words):
    with pytest.raises(InvalidQuery) as caught:
        parse(text)
    assert words in caught.value.reason


glob_letters = st.text("ab*?", max_size=12)


@given(glob_letters, st.text("ab", max_size=12))
def test_patterns_match_what_the_shell_s_patterns_match(pattern, text):
    assert match_any([Pattern(pattern)])(text) == fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize("pattern", ["*a" * 1000 + "b", "*?a" * 600 + "b", "a*" * 1500 + "c"])
def test_many_stars_do_not_multiply_the_work(pattern):
    assert not match_any([Pattern(pattern)])("a" * 100_000)


def test_as_many_patterns_as_can_be_looked_for_at_once_and_any_number_of_plain_values():
    patterns = ",".join(f"*{number}*a" for number in range(MAX_PATTERNS))
    assert len(one(f"model:{patterns}").values) == MAX_PATTERNS
    for query in (f"model:{patterns},b*", f"model:{patterns} -run:a?b", f"settings.x:{patterns} tag:*"):
        with pytest.raises(InvalidQuery, match=f"at most {MAX_PATTERNS} values with"):
            parse(query)
    assert len(one("run:" + ",".join(str(number) for number in range(200))).values) == 200
