"""Curves and maps of the surface, against averages taken one by one."""

import numpy as np
import pytest

from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.settings_search import Bounds
from stablenew.learning.surface.surface_curves import CURVE_POINTS, MAP_POINTS, draw_curve, draw_map
from tests.learning.surface.spaces import POINTS, observe, parts_of

NUMBER, WORDS = Bounds((0.2, 0.8), is_number=True), Bounds((0.0, 2.0), is_number=False)
CFG, SAMPLER = "txt2img.cfg_scale", "txt2img.sampler"


@pytest.fixture(scope="module")
def surface():
    return Surface(observe([0, 3, 5, 1, 2, 4]), parts_of(alone=0.5, pairs=0.2, together=0.2))


def moved(**codes):
    """The settings of all images with some of them set; `x` is the first, `y` the second."""
    points = POINTS.copy()
    for name, code in codes.items():
        points[:, "xy".index(name)] = code
    return points


def test_a_curve_is_the_mean_over_all_images_less_that_of_the_curve(surface):
    curve = draw_curve(surface, CFG, NUMBER)
    means = [surface.expect(moved(x=code)).mean() for code in np.linspace(0.2, 0.8, CURVE_POINTS)]
    assert [point.estimate for point in curve] == pytest.approx(np.array(means) - np.mean(means))
    assert [curve[0].value, curve[-1].value] == [2.0, 8.0]


def test_the_interval_of_a_curve_is_that_of_a_difference_to_its_mean(surface):
    curve = draw_curve(surface, SAMPLER, WORDS)
    points = np.concatenate([moved(y=0), moved(y=2)])
    _, covariance = surface.predict(points)
    half = np.repeat([0.5, -0.5], len(POINTS)) / len(POINTS)
    spread = 1.96 * np.sqrt(half @ covariance @ half)
    assert [point.value for point in curve] == ["Euler", "UniPC"]
    for point in curve:
        assert (point.high - point.estimate, point.estimate - point.low) == pytest.approx((spread, spread))


def test_a_curve_of_one_value_is_its_own_average(surface):
    (point,) = draw_curve(surface, SAMPLER, Bounds((1.0,), is_number=False))
    assert point == ("DDIM", *[pytest.approx(0, abs=1e-9)] * 3)


def test_a_map_has_a_row_for_each_value_of_the_first_setting(surface):
    found = draw_map(surface, {CFG: NUMBER, SAMPLER: WORDS}, SAMPLER, CFG)
    assert (found.setting, found.against, found.values) == (SAMPLER, CFG, ("Euler", "UniPC"))
    assert (found.others[0], found.others[-1], len(found.others)) == (2.0, 8.0, MAP_POINTS)
    grid = np.linspace(0.2, 0.8, MAP_POINTS)
    stars = np.array([[surface.expect(moved(x=cfg, y=word)).mean() for cfg in grid] for word in (0, 2)])
    assert np.array(found.stars) == pytest.approx(stars - stars.mean(), abs=6e-4)


def test_other_settings_are_averaged_over_images_all_along_those_that_were_rated():
    chance = np.random.default_rng(3)
    points = np.column_stack([np.linspace(0, 1, 120), chance.integers(0, 3, 120)])
    stars = np.clip(np.round(1 + 3 * points[:, 0] * (points[:, 1] == 1)), 0, 5)
    surface = Surface(observe(stars, points=points), parts_of(together=0.5))
    gains = {point.value: point.estimate for point in draw_curve(surface, SAMPLER, Bounds((0.0, 1.0), is_number=False))}
    everywhere = [np.column_stack([points[:, 0], np.full(120, code)]) for code in (0, 1)]
    low, high = (surface.expect(some).mean() for some in everywhere)
    assert gains["DDIM"] - gains["Euler"] == pytest.approx(high - low, abs=0.05)
