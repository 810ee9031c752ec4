"""Settings without a column and scores, by name: one value a row or image, up to date after each refresh."""

import numpy as np
import pytest

from stablenew.formats.query_language import parse_query
from stablenew.index.asking.columns.named_numbers import SettingValues, format_value
from tests.index.entries import CLOCK, image, opinion, run, score, tag, variant

LATER = CLOCK.replace("2026", "2027")


def fitting(filled, text):
    """The numbers of the images that fit a query."""
    filled.cache.refresh("me")
    known = filled.reader.family_names()
    places = filled.cache.image_places(parse_query(text, None, known), "oldest")
    numbers = {image(number): number for number in range(30)}
    return [numbers[digest] for digest in filled.digests(places)]


@pytest.fixture
def churned(filled):
    """Images 0 to 7 with values of all kinds of one setting, under two spellings and beside another setting."""
    values = [0.5, 2, 2.0, "auto", "true", 7.25, "2", None]
    others = [{} if value is None else {"s_churn": value} for value in values]
    variants = [variant(image(number), others=other) for number, other in enumerate(others)]
    variants.append(variant(image(8), others={"another": 1, "S_Churn": 9, "z": 3}))
    filled.put(run(1, *variants))
    return filled


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("settings.s_churn:2", [1, 2]),
        ("settings.s_churn:>=2", [1, 2, 5, 8]),
        ("settings.s_churn:<2", [0]),
        ("settings.s_churn:auto,0.5", [0, 3]),
        ("settings.s_churn:AUT*", [3]),
        ('settings.s_churn:"2"', [1, 2, 6]),
        ("settings.s_churn:*", [0, 1, 2, 3, 4, 5, 6, 8]),
        ("-settings.s_churn:*", [7]),
        ("settings.S_CHURN:9", [8]),
        ("settings.another:1", [8]),
        ("settings.z:<3", []),
    ],
)
def test_a_setting_fits_as_a_number_or_as_a_text_whatever_the_case_of_its_name(churned, query, expected):
    assert fitting(churned, query) == expected


def test_numbers_of_a_setting_are_nan_where_it_is_a_text_or_missing(churned):
    assert fitting(churned, "") == list(range(9))
    numbers = churned.cache.setting_values("settings.s_churn").numbers()
    assert np.isnan(numbers).sum() == 3
    assert sorted(numbers[~np.isnan(numbers)].tolist()) == [0.5, 2, 7.25, 9]


def test_settings_that_come_later_are_taken_in_and_those_that_go_found_no_more(churned):
    assert fitting(churned, "settings.s_churn:9") == [8]
    churned.put(run(2, variant(image(20), image(21), others={"s_churn": 9}), variant(image(22))))
    assert fitting(churned, "settings.s_churn:9") == [8, 20, 21]
    churned.put(run(2, variant(image(20)), variant(image(22), others={"s_churn": 9})))
    assert fitting(churned, "settings.s_churn:9") == [8, 22]
    churned.remove(1)
    assert fitting(churned, "settings.s_churn:9") == [22]


def test_values_take_more_than_a_byte_once_there_are_many():
    found = SettingValues()
    for start in (0, 200, 400):
        places = np.arange(start, start + 200)
        found.append(places, places + 1, [*range(start, start + 200)], start + 200)
    assert found.codes(600).tolist() == list(range(1, 601))
    assert found.codes(601).tolist()[-1] == 0


def test_a_variant_has_its_value_in_every_row_of_it():
    found = SettingValues()
    found.append(np.array([0, 4]), np.array([3, 5]), ["x", "y"], 6)
    assert found.codes(6).tolist() == [1, 1, 1, 0, 2, 0]


def scored(filled, field):
    """The score of each image that has one, by its number."""
    filled.cache.refresh("me")
    values = filled.cache._conditions.numbers.score(field)
    known = {number: filled.id_of(image(number)) for number in (1, 2, 3)}
    return {number: values[place] for number, place in known.items() if place < len(values) and values[place] >= 0}


def test_of_a_metric_the_newest_value_counts_in_whichever_run_it_stands(filled):
    old, new = (f"2026-11-2{day}T00:00:00.000Z" for day in (1, 2))
    one, two, three = map(image, (1, 2, 3))
    filled.put(
        run(1, variant(one, two, three), scores=[score(one, "metric.x", 1, at=new), score(two, "metric.x", 5, at=old)]),
        run(2, variant(), scores=[score(one, "metric.x", 9, at=old), score(two, "metric.x", 6, at=new)]),
    )
    assert scored(filled, "metric.x") == {1: 1, 2: 6}
    filled.put(run(2, variant(), scores=[score(three, "metric.x", 3, at=old)]))
    assert scored(filled, "metric.x") == {1: 1, 2: 5, 3: 3}
    filled.remove(2)
    assert scored(filled, "metric.x") == {1: 1, 2: 5}


def test_an_aspect_is_the_mean_of_the_last_words_of_its_raters(filled):
    one, two = image(1), image(2)
    words = [
        (one, 1, "me", CLOCK), (one, 5, "me", LATER), (one, 4, "you", CLOCK),
        (two, 3, "me", CLOCK), (two, None, "you", CLOCK),
    ]  # fmt: skip
    runs = [
        run(number, variant(one, two, image(3)), scores=[score(digest, "aspect.hands", stars, source=who, at=at)])
        for number, (digest, stars, who, at) in enumerate(words)
    ]
    filled.put(*runs)
    assert scored(filled, "aspect.hands") == {1: 4.5, 2: 3}
    filled.put(run(9, variant(), scores=[score(one, "aspect.hands", None, source="me", at=LATER + "z")]))
    assert scored(filled, "aspect.hands") == {1: 4, 2: 3}


def test_what_is_said_of_a_copy_is_said_of_its_picture(filled):
    filled.put(run(1, variant(image(1), image(2), image(3)), scores=[score(image(2), "metric.x", 7)]))
    assert scored(filled, "metric.x") == {2: 7}
    filled.put(run(2, variant(), tags=[tag(image(1), "copy:a"), tag(image(2), "copy:a")]))
    filled.index.link_pictures()
    assert scored(filled, "metric.x") == {1: 7}
    filled.put(run(3, variant(), scores=[score(image(2), "metric.x", 8, at="2027-01-01T00:00:00.000Z")]))
    assert scored(filled, "metric.x") == {1: 8}


def test_a_rating_leaves_the_scores_of_other_images_as_the_very_same_column(filled):
    scores = [score(image(1), "metric.x", 7)]
    filled.put(run(1, variant(image(1)), scores=scores), run(2, variant(image(2), image(3))))
    assert scored(filled, "metric.x") == {1: 7}
    before = filled.cache._conditions.numbers.score("metric.x")
    filled.put(run(2, variant(image(2), image(3)), said=[opinion(image(2), 5)]))
    filled.cache.refresh("me")
    assert filled.cache._conditions.numbers.score("metric.x") is before


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2.0, "2"), (2, "2"), (0.5, "0.5"), (-3.0, "-3"), ("auto", "auto")],
)
def test_whole_numbers_are_shown_without_a_fraction(value, expected):
    assert format_value(value) == expected
