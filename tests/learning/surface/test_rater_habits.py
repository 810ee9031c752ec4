"""Raters who rate images again: how sure their stars are, whether their scale moves, and what is asked again."""

import numpy as np
import pytest

from stablenew.learning.surface.asking_again import choose_again
from stablenew.learning.surface.observations import Observations
from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.rater_habits import find_repeats
from stablenew.learning.surface.setting_kernel import Dimension, SettingSpace

SPACE = SettingSpace((Dimension("txt2img.cfg_scale", (0.0, 1.0), is_number=True),))
NOTHING = np.empty(0, np.int64)


def observe(count=80, *, noises=(0.5,), again=0, image_noise=0.0, drift=0.0, seed=1):
    """Each rater rates `count` images of their own, then `again` of them once more."""
    chance = np.random.default_rng(seed)
    points = chance.random((count * len(noises), 1))
    worth = 2.5 - 6 * (points[:, 0] - 0.6) ** 2 + chance.normal(0, image_noise, len(points))
    rated, raters, positions = [], [], []
    for rater in range(len(noises)):
        own = np.arange(count) + rater * count
        rated += [*own, *own[:again]]
        raters += [rater] * (count + again)
        positions += range(count + again)
    rated, raters, positions = (np.array(values, np.int64) for values in (rated, raters, positions))
    felt = worth[rated] + chance.normal(0, 1, len(rated)) * np.array(noises)[raters] + drift * positions / 100
    stars = np.clip(np.round(felt), 0, 5)
    images = np.arange(len(points))
    return Observations(
        SPACE, points, np.zeros(len(points), np.int64), images, rated, raters, stars, NOTHING, NOTHING, np.empty(0),
        positions,
    )  # fmt: skip


def test_each_rating_of_an_image_rated_before_is_a_repeat_with_its_gap():
    repeats = find_repeats(observe(20, again=3))
    assert len(repeats.changes) == 3
    assert repeats.gaps.tolist() == [0.2, 0.2, 0.2]


def test_without_repeats_nobody_drifts_and_all_raters_are_alike():
    habits = Surface(observe(60, noises=(0.3, 1.0), drift=1.5)).habits
    assert habits.drift.tolist() == [0, 0]
    assert habits.noise.tolist() == [1, 1]


@pytest.mark.heavy
def test_a_careless_rater_is_told_from_a_careful_one_and_counts_less():
    surface = Surface(observe(60, noises=(0.3, 1.4), again=20))
    careful, careless = surface.parts.noise * surface.habits.noise
    assert careful < 0.75
    assert careless > 1.5 * careful


@pytest.mark.heavy
def test_a_scale_that_moves_is_measured_and_allowed_for():
    rising = observe(80, noises=(0.4,), again=20, drift=1.5)
    habits = Surface(rising).habits
    assert habits.drift[0] == pytest.approx(1.5, abs=0.4)
    assert habits.is_drifting(0)
    assert not Surface(observe(80, noises=(0.4,), again=20)).habits.is_drifting(0)
    corrected = rising.stars - habits.drifted(rising)
    late, early = corrected[60:80].mean(), corrected[:20].mean()
    assert abs(late - early) < abs(rising.stars[60:80].mean() - rising.stars[:20].mean())


@pytest.mark.heavy
def test_what_is_said_again_of_one_image_tells_the_luck_of_images_from_the_noise_of_raters():
    lucky = Surface(observe(100, noises=(0.3,), again=30, image_noise=0.8))
    assert lucky.parts.noise < 0.6
    assert lucky.parts.image > 0.2
    steady = Surface(observe(100, noises=(0.8,), again=30))
    assert steady.parts.image < lucky.parts.image


def test_before_any_rating_nothing_is_the_latest():
    assert observe(0).find_latest().tolist() == []
    assert len(find_repeats(observe(0)).changes) == 0


@pytest.mark.heavy
def test_the_latest_star_of_an_image_is_what_a_rater_thinks():
    observed = observe(40, again=40)
    surface = Surface(observed)
    assert surface.observed.stars.tolist() == observed.stars[40:].tolist()
    assert surface.habits.repeat_counts.tolist() == [40]


@pytest.mark.heavy
def test_a_tenth_is_asked_again_and_what_was_said_long_ago_first():
    surface = Surface(observe(40))
    asked = choose_again(surface, 0)
    assert len(asked) == 2
    assert asked.max() < 20
    expected = surface.expect(surface.all_ratings.points[:20])
    assert expected[asked].min() >= np.sort(expected)[-2] - 1e-9
    assert not len(choose_again(Surface(observe(40, again=5)), 0))
    assert not len(choose_again(Surface(observe(10)), 0))
