"""The values of settings as codes, from which duels and grids are made."""

import numpy as np
import pytest

from stablenew.errors import ConfigError
from stablenew.formats.query_language import parse_query
from stablenew.index.asking.image_values import NONE, ImageValues
from tests.index.entries import image, opinion, run, variant

LARGE = 2**64 - 1


@pytest.fixture(scope="module")
def values(filled_once):
    """Images 0 to 4, the newest first, with a value missing here and there."""
    variants = [
        variant(image(0), model="beta", steps=20, cfg_scale=7.1, seed=LARGE, others={"s_churn": 0.5}),
        variant(image(1), model="Alpha", steps=9, cfg_scale=7.1, seed=3, prompt="a tree", others={"s_churn": 2}),
        variant(image(2), model="alpha", steps=100, negative="blur", seed=2**40, others={"mode": "x"}),
    ]
    filled_once.put(
        run(1, *variants, said=[opinion(image(1), 2), opinion(image(1), 5, rater="you")]),
        run(2, variant(image(3), seed=3, others={"mode": 2.0}), variant(image(4), prompt=None), engine=None),
    )
    found = ImageValues(filled_once.cache, filled_once.reader, parse_query("", None))
    assert filled_once.digests(found.places) == [image(number) for number in (4, 3, 2, 1, 0)]
    return found


def shown(values, name):
    """The value of each image from 0 on; None where it has none."""
    found = values.codes(name)
    return [None if code == NONE else found.values[code] for code in found.codes.tolist()][::-1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("steps", [20, 9, 100, None, None]),
        ("Steps", [20, 9, 100, None, None]),
        ("cfg_scale", [7.1, 7.1, None, None, None]),
        ("guidance_scale", [7.1, 7.1, None, None, None]),
        ("model", ["beta", "Alpha", "alpha", None, None]),
        ("seed", [str(LARGE), 3, 2**40, 3, None]),
        ("prompt", ["harbour", "a tree", "harbour", "harbour", None]),
        ("negative", [None, None, "blur", None, None]),
        ("engine", ["sketch", "sketch", "sketch", None, None]),
        ("source", ["StableNew"] * 5),
        ("run", ["run-1", "run-1", "run-1", "run-2", "run-2"]),
        ("s_churn", [0.5, 2, None, None, None]),
        ("settings.s_churn", [0.5, 2, None, None, None]),
        ("S_CHURN", [0.5, 2, None, None, None]),
        ("mode", [None, None, "x", "2", None]),
        ("eta", [None] * 5),
    ],
)
def test_a_setting_has_a_value_for_each_image_whatever_kind_it_is_of(values, name, expected):
    assert shown(values, name) == expected


def test_numbers_ascend_and_texts_stand_in_alphabetical_order_whatever_their_case(values):
    assert values.codes("steps").values == (9, 20, 100)
    assert values.codes("seed").values == (3, 2**40, str(LARGE))
    assert values.codes("model").values == ("Alpha", "alpha", "beta")
    assert values.codes("cfg_scale").values == (7.1,)


def test_values_are_titled_as_people_read_them(values):
    assert values.codes("steps").titles() == ["9", "20", "100"]
    assert values.codes("s_churn").titles() == ["0.5", "2"]


@pytest.mark.parametrize("name", ["steps", "cfg_scale", "model", "seed", "prompt", "negative", "engine", "run", "eta"])
def test_values_are_counted_as_they_are_coded(values, name):
    found = values.codes(name)
    assert values.count_values(name) == len(found.values)
    if name not in ("engine", "run"):
        assert (found.codes != NONE).tolist() == values.is_known(name).tolist()


def test_a_setting_that_nothing_has_is_refused_with_one_that_is_alike(values):
    with pytest.raises(ConfigError, match=r"no setting 's_chern' in this store: .*s_churn"):
        values.codes("s_chern")


def test_images_are_equal_where_all_of_the_settings_are_also_unknown_ones(values):
    numbers = values.equal_in(["cfg_scale", "prompt"])[::-1].tolist()
    assert numbers[2] == numbers[3]
    assert len(set(numbers)) == 4
    assert len(set(values.equal_in(["seed"]).tolist())) == 4
    assert len(set(values.equal_in([]).tolist())) == 1


def test_ratings_are_means_and_nan_where_nobody_rated(values):
    assert np.nan_to_num(values.ratings[::-1], nan=-1).tolist() == [-1, 3.5, -1, -1, -1]


def test_of_no_images_there_are_no_values(filled):
    filled.put(run(1, variant()))
    nothing = ImageValues(filled.cache, filled.reader, parse_query("", None))
    for name in ("steps", "model", "seed", "prompt", "run"):
        assert (nothing.codes(name).codes.tolist(), nothing.codes(name).values) == ([], ())
        assert nothing.count_values(name) == 0
    assert nothing.ratings.tolist() == nothing.equal_in(["steps"]).tolist() == []
