"""The next batch over a small space, where everything can be counted."""

import numpy as np
import pytest

from stablenew.learning.surface.left_to_gain import ENOUGH
from stablenew.learning.surface.next_batch import FEWEST_NEW, propose_batch
from stablenew.learning.surface.observations import Observations
from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.setting_kernel import Dimension, SettingSpace
from stablenew.learning.surface.settings_search import Bounds

SPACE = SettingSpace(
    (
        Dimension("txt2img.cfg_scale", (0.0, 1.0), is_number=True),
        Dimension("txt2img.sampler", ("Euler", "DDIM", "UniPC"), is_number=False),
        Dimension("txt2img.model", ("alpha", "beta"), is_number=False),
    )
)
BOUNDS = {"txt2img.cfg_scale": Bounds((0.2, 0.8), is_number=True), "txt2img.sampler": Bounds((0.0, 1.0), False)}
FIXED = np.array([0.5, 0.0, 1.0])
CODES = np.empty(0, np.int64)


def taste(points):
    return 4 - 8 * np.abs(points[:, 0] - 0.7) + (points[:, 1] == 1)


def observe(count):
    chance = np.random.default_rng(3)
    points = np.column_stack([chance.random(count), chance.integers(0, 3, count), np.ones(count)])
    stars = np.clip(np.round(taste(points) + chance.normal(0, 0.3, count)), 0, 5)
    images = np.arange(count)
    nobody = np.zeros(count, np.int64)
    return Surface(Observations(SPACE, points, nobody, images, images, nobody, stars, CODES, CODES, np.empty(0)))


@pytest.mark.heavy
@pytest.mark.parametrize("surface", [None, observe(40)], ids=["nothing known", "40 ratings"])
def test_proposals_stay_within_the_bounds_and_vary_nothing_else(surface):
    batch = propose_batch(SPACE, BOUNDS, FIXED, surface, size=16)
    assert len(batch.points) + len(batch.existing) == 16
    assert batch.points[:, 0].min() >= 0.2
    assert batch.points[:, 0].max() <= 0.8
    assert set(batch.points[:, 1]) <= {0.0, 1.0}
    assert set(batch.points[:, 2]) == {1.0}
    assert len(np.unique(batch.points, axis=0)) == len(batch.points)


@pytest.mark.heavy
def test_half_of_the_proposals_is_random_and_the_others_are_better():
    batch = propose_batch(SPACE, BOUNDS, FIXED, observe(40), size=16)
    assert sum(batch.is_random) == 8
    chosen, random = (taste(batch.points[np.array(batch.is_random) == is_random]) for is_random in (False, True))
    assert chosen.mean() > random.mean() + 0.5
    assert taste(batch.best[None])[0] > 4.3


@pytest.mark.heavy
def test_what_is_random_covers_the_whole_range_over_many_rounds():
    batches = [propose_batch(SPACE, BOUNDS, FIXED, observe(count)) for count in range(40, 104, 4)]
    random = np.concatenate([batch.points[np.array(batch.is_random)] for batch in batches])
    values = np.sort(random[:, 0])
    assert np.diff(np.concatenate([[0.2], values, [0.8]])).max() < 0.2 * (0.8 - 0.2)
    assert 0.3 < random[:, 1].mean() < 0.7, "both samplers about equally often"


@pytest.mark.heavy
def test_the_same_ratings_give_the_same_batch():
    first, second = (propose_batch(SPACE, BOUNDS, FIXED, observe(40)) for _ in range(2))
    assert (first.points == second.points).all()
    assert first.left == second.left


@pytest.mark.heavy
def test_what_is_left_to_gain_gets_less_with_more_ratings():
    few, many = (propose_batch(SPACE, BOUNDS, FIXED, observe(count)).left for count in (12, 200))
    assert many.stars < few.stars
    assert few.share < few.most
    assert many.is_little


@pytest.mark.heavy
def test_one_may_stop_when_little_is_very_likely_left_and_it_rarely_is_more():
    best, average = 5.0, taste(np.column_stack([np.linspace(0.2, 0.8, 999), np.arange(999) % 2, np.ones(999)])).mean()
    batches = [propose_batch(SPACE, BOUNDS, FIXED, observe(count)) for count in range(12, 76, 8)]
    assert all(batch.left.is_little == (batch.left.most < ENOUGH) for batch in batches)
    lost = [(best - taste(batch.best[None])[0]) / (best - average) for batch in batches]
    assert sum(share <= batch.left.most for share, batch in zip(lost, batches, strict=True)) >= 6


def test_a_rating_near_an_end_of_the_scale_teaches_less():
    surface = observe(40)
    low, middle, high = surface.rating_variances(np.array([0.0, 2.5, 6.0]) - surface.mean)
    assert middle < low < high
    assert middle == pytest.approx(surface.parts.noise**2 + surface.parts.image + 1 / 12, rel=0.2)


def test_an_image_that_is_there_is_taken_where_it_teaches_as_much():
    new = propose_batch(SPACE, BOUNDS, FIXED, observe(40), size=8).points[:4]
    bad = np.array([0.2, 0.0, 1.0])
    batch = propose_batch(SPACE, BOUNDS, FIXED, observe(40), size=8, made=np.stack([bad, *new]))
    assert batch.existing
    assert 0 not in batch.existing
    assert len(batch.points) >= FEWEST_NEW


def test_no_settings_are_proposed_twice_and_a_small_space_gives_what_it_has():
    space = SettingSpace((Dimension("txt2img.steps", (1, 2, 3), is_number=True),))
    batch = propose_batch(space, {"txt2img.steps": Bounds((0.0, 1.0), is_number=True)}, np.array([0.0]), None, size=8)
    assert sorted(batch.points[:, 0].tolist()) == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("values", "code", "expected"),
    [((3.0, 12.0), 0.4444, 7.0), ((3.0, 7.25, 12.0), 4.25 / 9, 7.25), ((0.0, 1.0), 0.337, 0.34), ((10, 40), 0.51, 25)],
)
def test_proposed_numbers_are_such_as_people_choose(values, code, expected):
    assert Dimension("txt2img.cfg_scale", values, is_number=True).decode(code) == expected


def test_proposed_sizes_are_such_as_programs_take():
    width = Dimension("txt2img.width", (512, 1024), is_number=True)
    assert [width.decode(code) for code in (0.0, 0.013, 0.501, 0.99, 1.0)] == [512, 520, 768, 1016, 1024]
    assert width.snap(np.array([0.013])) == width.encode(520)
    between = Dimension("txt2img.height", (385, 430), is_number=True)
    assert [between.decode(code) for code in (0.01, 0.5, 0.999)] == [385, 408, 430]
