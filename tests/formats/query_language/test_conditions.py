"""What a query is made of, asked by whoever answers it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.query_language.conditions import Condition, Query, Range, Switch, Words
from stablenew.formats.query_language.patterns import Pattern, fold, match_any

MIXED = Condition("settings.x", (Range(1, 1), Pattern("a*"), Words("b"), Switch(True), Range(low=3)))
ENDS = st.none() | st.integers(-3, 3)


@pytest.mark.parametrize(
    ("found", "inside", "outside"),
    [
        (Range(), [-1e300, 0, 2**64], []),
        (Range(5, 8), [5, 6.5, 8], [4.999, 8.001]),
        (Range(low=5), [5, 1e300], [4]),
        (Range(high=8), [8, -1e300], [9]),
        (Range(low=5, is_low_open=True), [5.001], [5, 4]),
        (Range(high=8, is_high_open=True), [7.999], [8, 9]),
        (Range(2**64 - 1, 2**64 - 1), [2**64 - 1], [2**64 - 2, 2**64]),
    ],
)
def test_a_range_has_its_ends_unless_they_are_open(found, inside, outside):
    assert [value for value in inside + outside if found.matches(value)] == inside


@given(ENDS, ENDS, st.booleans(), st.booleans(), st.integers(-4, 4))
def test_the_single_number_of_a_range_is_the_only_one_in_it(low, high, is_low_open, is_high_open, value):
    found = Range(low, high, is_low_open, is_high_open)
    if found.single is not None:
        assert found.matches(value) == (value == found.single)
    elif low is not None and low == high:
        assert not found.matches(value), "an open end leaves nothing"


@pytest.mark.parametrize("found", [Range(), Range(5, 8), Range(low=5), Range(5, 5, is_low_open=True)])
def test_a_range_of_more_or_less_than_one_number_has_no_single_one(found):
    assert found.single is None


def test_a_condition_gives_its_values_by_their_kind_in_their_order():
    assert MIXED.ranges() == [Range(1, 1), Range(low=3)]
    assert MIXED.patterns() == [Pattern("a*")]
    assert MIXED.words() == [Words("b")]


def test_a_switch_is_on_when_one_of_its_values_is():
    assert MIXED.switch
    assert not Condition("noted", (Switch(False),)).switch
    assert not Condition("tag", (Pattern("yes"),)).switch


@pytest.mark.parametrize(
    ("field", "family"), [("metric.aesthetic", "metric"), ("settings.a.b", "settings"), ("cfg", None), ("", None)]
)
def test_a_field_with_a_dot_is_of_a_family(field, family):
    assert Condition(field, ()).family == family


def test_a_query_without_a_field_keeps_the_order_of_the_rest():
    tag, cfg, other = Condition("tag", (Pattern("a"),)), Condition("cfg", (Range(7, 7),)), Condition("tag", ())
    query = Query((tag, cfg, other))
    assert query.without("tag") == Query((cfg,))
    assert query.without("model") == query
    assert Query().without("tag") == Query()


@given(st.text(max_size=12))
def test_a_folded_text_stays_as_it_is(text):
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("", "", True), ("", "a", False), ("*", "", True), ("**", "ab", True), ("?", "", False), ("?", "é", True),
        ("a*a", "a", False), ("a*a", "aa", True), ("a*b*a", "aba", True), ("a*b*a", "aa", False),
        ("*ab*ab", "ab", False), ("*ab*ab", "abab", True), ("?*?", "a", False), ("?*?", "ab", True),
        ("a.c", "abc", False), ("[a]*", "[a]b", True), ("[a]*", "ab", False), ("a\\*", "a\\b", True),
        ("*?x*", "ax\n", True), ("*?x*", "xa", False), ("Straße", "STRASSE", True), ("a?c", "a\nc", True),
        ("*b?*?d", "abcd", False), ("*b?*?d", "abccd", True),
    ],
)  # fmt: skip
def test_a_pattern_matches_the_whole_text_and_only_two_signs_are_special(pattern, text, is_match):
    assert match_any([Pattern(pattern)])(text) == is_match


def test_one_of_several_patterns_is_enough_and_none_matches_nothing():
    matches = match_any([Pattern("red"), Pattern("gr*"), Pattern("?lue")])
    assert [text for text in ("Red", "green", "Blue", "blues", "pink") if matches(text)] == ["Red", "green", "Blue"]
    assert not match_any([])("")


def test_a_pattern_says_whether_it_has_a_wildcard():
    assert [Pattern(text).has_wildcard for text in ("a", "a*", "?", "")] == [False, True, True, False]
