"""How alike settings are, against formulas written out one entry at a time."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.surface.setting_kernel import (
    UNKNOWN,
    Dimension,
    SettingSpace,
    combine,
    distance_between,
    same_entries,
    similarity_at,
)
from tests.learning.surface.spaces import CFG, POINTS, SAMPLER, SPACE, parts_of

STEPS = Dimension("txt2img.steps", (10, 20, 50), is_number=True)
WIDTH = Dimension("txt2img.width", (512, 1024), is_number=True)
similar = st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("dimension", "value", "code"),
    [(CFG, 2.5, 0.25), (CFG, None, -1), (CFG, 10, 1), (STEPS, 20, 0.25), (SAMPLER, "UniPC", 2), (SAMPLER, None, -1)],
)
def test_a_code_is_the_part_of_the_way_or_the_place_of_a_word_and_stands_for_its_value(dimension, value, code):
    assert dimension.encode(value) == code
    assert dimension.decode(code) == value


def test_a_word_that_nobody_tried_is_not_known():
    assert SAMPLER.encode("Heun") == UNKNOWN
    assert SPACE.encode({"txt2img.sampler": "DDIM"}).tolist() == [-1, 1]
    assert SPACE.decode(np.array([-1.0, 1.0])) == {"txt2img.cfg_scale": None, "txt2img.sampler": "DDIM"}


@given(st.sampled_from([CFG, STEPS, WIDTH, Dimension("x", (0.001, 0.0042), is_number=True)]), st.floats(0, 1))
def test_snapping_gives_the_code_of_what_decoding_gives_and_changes_it_no_more(dimension, code):
    snapped = dimension.snap(np.array([code, UNKNOWN]))
    assert snapped[1] == UNKNOWN
    assert 0 <= snapped[0] <= 1
    assert abs(snapped[0] - code) <= 0.02
    assert dimension.decode(snapped[0]) == pytest.approx(dimension.decode(dimension.snap(snapped)[0]))


def test_whole_numbers_stay_whole_and_sizes_keep_their_step():
    assert (STEPS.decode(0.512), type(STEPS.decode(0.512))) == (30, int)
    assert WIDTH.decode(WIDTH.snap(np.array([0.3]))[0]) == 664
    assert CFG.decode(0.33333) == 3.3


def test_a_value_that_was_tried_is_given_back_exactly_and_one_beside_it_is_not():
    tried = Dimension("txt2img.cfg_scale", (0.0, 7.25, 10.0), is_number=True)
    assert [tried.decode(code) for code in (0.725, 0.725 + 1e-10, 0.7251)] == [7.25, 7.25, 7.3]


def test_words_are_as_they_are():
    assert SAMPLER.snap(np.array([2.0, 0.0])).tolist() == [2, 0]


def test_a_space_snaps_encodes_and_tries_setting_by_setting():
    points = SPACE.snap(np.array([[0.333333, 1], [-1, 2]]))
    assert points.tolist() == [[pytest.approx(0.33), 1], [-1, 2]]
    numbers, words = SPACE.candidates(POINTS)
    assert words.tolist() == [0, 1, 2]
    assert numbers.tolist() == [-1, *(number / 16 for number in range(17))]
    empty = SettingSpace(())
    assert empty.snap(np.zeros((3, 0))).shape == (3, 0)


def test_numbers_of_which_many_were_tried_are_searched_on_the_grid_alone_and_few_exactly():
    few = np.array([[0.01, 0], [0.99, 0]])
    assert {0.01, 0.99} <= set(SPACE.candidates(few)[0])
    many = np.column_stack([[*np.linspace(0.01, 0.6, 20), UNKNOWN], np.zeros(21)])
    assert SPACE.candidates(many)[0].tolist() == [-1, *(number / 16 for number in range(17))]


def test_what_is_not_known_is_as_far_as_can_be_from_what_is():
    codes = np.array([0.25, UNKNOWN])
    assert distance_between(CFG, codes, np.array([1.0, UNKNOWN])).tolist() == [[0.75, 1], [1, 0]]
    assert distance_between(SAMPLER, np.array([0.0, 2]), np.array([2.0, 2])).tolist() == [[1, 1], [0, 0]]


@given(st.floats(0, 1), st.floats(0.05, 5))
def test_numbers_are_alike_as_matern_has_it_and_the_slope_is_that_of_the_logarithm(distance, length):
    def matern(at):
        scaled = math.sqrt(5) * distance / at
        return (1 + scaled + 5 * distance**2 / (3 * at**2)) * math.exp(-scaled)

    found, slope = similarity_at(CFG, np.array([distance]), length)
    assert found[0] == pytest.approx(matern(length))
    step = 1e-5
    by_difference = (matern(length * math.exp(step)) - matern(length * math.exp(-step))) / (2 * step)
    assert slope[0] == pytest.approx(by_difference, abs=1e-6)


@pytest.mark.parametrize("length", [0.1, 0.7, 4.0])
def test_other_words_are_alike_by_the_length_alone(length):
    found, slope = similarity_at(SAMPLER, np.array([0.0, 1.0]), length)
    assert found.tolist() == [1, math.exp(-1 / length)]
    assert slope.tolist() == [0, pytest.approx(math.exp(-1 / length) / length)]


@given(similar)
def test_points_are_alike_by_ones_by_twos_and_by_all(rows):
    alone, pairs, together = combine([np.array(row) for row in rows])
    for place in range(3):
        values = [row[place] for row in rows]
        twos = [one * two for one, two in combinations(values, 2)]
        assert alone[place] == pytest.approx(sum(values) / len(values))
        assert together[place] == pytest.approx(math.prod(values))
        assert pairs[place] == pytest.approx(sum(twos) / len(twos) if twos else 0, abs=1e-12)


def test_equal_points_have_the_whole_variance_of_the_settings():
    parts = parts_of(alone=0.5, pairs=0.25, together=2.0)
    assert parts.setting_variance == 2.75
    covariance = parts.setting_covariance(SPACE, POINTS, POINTS)
    assert covariance.diagonal() == pytest.approx(np.full(6, 2.75))
    assert covariance[1, 5] == pytest.approx(2.75), "two images with the same settings"
    assert covariance == pytest.approx(covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9


def test_the_covariance_of_settings_is_the_sum_of_its_parts():
    one, other = POINTS[:1], POINTS[1:2]
    number = similarity_at(CFG, np.array([0.5]), 0.5)[0][0]
    word = math.exp(-1)
    found = [parts_of(**{name: 1.0}).setting_covariance(SPACE, one, other).item() for name in PARTS]
    assert found == pytest.approx([(number + word) / 2, number * word, number * word])
    whole = parts_of(alone=3.0, pairs=5.0, together=7.0).setting_covariance(SPACE, one, other).item()
    assert whole == pytest.approx(3 * found[0] + 5 * found[1] + 7 * found[2])


PARTS = ("alone", "pairs", "together")


def test_images_share_a_prompt_and_a_seed_that_is_known():
    prompts, seeds = np.array([0, 0, 1]), np.array([4, -1, -1])
    covariance = parts_of(prompt=1.0, seed=10.0, image=100.0).image_covariance(SPACE, POINTS[:3], prompts, seeds)
    assert covariance.tolist() == [[111, 1, 0], [1, 111, 0], [0, 0, 111]]


def test_without_settings_nothing_comes_of_them():
    parts = replace(parts_of(alone=1.0), lengths=np.empty(0))
    assert parts.setting_covariance(SettingSpace(()), np.zeros((2, 0)), np.zeros((3, 0))).tolist() == [[0] * 3] * 2


def test_entries_are_the_same_where_they_are_known_and_always_the_same_as_themselves():
    assert same_entries(np.array([0, 0, -1, -1])).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
