"""What may be proposed: always within its bounds, spread evenly, and around what is best."""

from dataclasses import replace

import numpy as np
import pytest

from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.setting_kernel import Dimension, SettingSpace
from stablenew.learning.surface.settings_search import Bounds, SettingsSearch
from tests.learning.surface.spaces import SPACE, observe, parts_of

FIXED = np.array([0.5, 2.0])
CFG_ONLY = {"txt2img.cfg_scale": Bounds((0.2, 0.8), is_number=True)}
BOTH = CFG_ONLY | {"txt2img.sampler": Bounds((0.0, 1.0), is_number=False)}


def peak_at(space, *best):
    """A surface that was learned from images around a point, the better the nearer they are."""
    chance = np.random.default_rng(4)
    points = np.column_stack([chance.random(30), *[chance.integers(0, 3, 30)] * (len(best) - 1)])
    stars = np.clip(np.round(5 - 6 * np.abs(points - best).sum(axis=1)), 0, 5)
    parts = parts_of(together=1.0)
    return Surface(
        replace(observe(stars, points=points), space=space), replace(parts, lengths=parts.lengths[: len(best)])
    )


def search(bounds, fixed=FIXED, space=SPACE):
    return SettingsSearch(space, bounds, fixed)


@pytest.mark.parametrize(
    ("bounds", "codes"),
    [
        (Bounds((0.2, 0.8), is_number=True), [0.2, 0.5, 0.8]),
        (Bounds((0.0, 2.0), is_number=False), [0, 2, 2]),
        (Bounds((0.0, 1.0, 2.0), is_number=False), [0, 1, 2]),
    ],
)
def test_shares_are_places_between_the_ends_or_words(bounds, codes):
    assert bounds.place(np.array([0.0, 0.5, 1.0])) == pytest.approx(codes)


def test_what_is_not_to_be_varied_stays_and_every_word_has_its_share():
    points = search(CFG_ONLY).spread(50, 0)
    assert (points[:, 1] == 2).all()
    assert np.bincount(search(BOTH).spread(100, 0)[:, 1].astype(int)).min() >= 45


@pytest.mark.parametrize(("skipped", "count"), [(0, 1), (1, 5), (40, 12)])
def test_a_spread_goes_on_where_another_ended(skipped, count):
    whole = search(BOTH).spread(skipped + count, 0)
    assert search(BOTH).spread(count, skipped).tolist() == whole[skipped:].tolist()


def test_a_spread_of_nothing_is_empty_and_without_bounds_all_is_fixed():
    assert search(BOTH).spread(0, 3).shape == (0, 2)
    assert search({}).spread(3, 0).tolist() == [FIXED.tolist()] * 3


def test_numbers_are_spread_without_gaps():
    values = np.sort(search(CFG_ONLY).spread(64, 0)[:, 0])
    assert values[0] < 0.22
    assert values[-1] > 0.78
    assert np.diff(values).max() < 3 * 0.6 / 64


ODD_ENDS = {
    "a scale": (Dimension("txt2img.cfg_scale", (1.0, 3.14, 9.27, 20.0), is_number=True), (3.14, 9.27)),
    "a size": (Dimension("txt2img.width", (512, 603, 1004, 1024), is_number=True), (603, 1004)),
}


def proposed(dimension, bounds):
    """The values of a setting that may be proposed, where its highest is best."""
    space = SettingSpace((dimension,))
    found = search({dimension.name: bounds}, np.array([0.0]), space)
    _, gathered = found.gather(peak_at(space, bounds.codes[-1]), np.random.default_rng(1))
    points = np.concatenate([found.spread(200, 0), gathered])
    return [dimension.decode(code) for code in points[:, 0].tolist()]


@pytest.mark.parametrize("name", ODD_ENDS)
def test_a_range_whose_ends_are_not_round_is_left_by_no_proposal(name):
    dimension, ends = ODD_ENDS[name]
    values = proposed(dimension, Bounds(tuple(map(dimension.encode, ends)), is_number=True))
    assert (min(values), max(values)) == ends


@pytest.mark.parametrize("name", ODD_ENDS)
def test_numbers_that_were_listed_are_proposed_as_they_were_listed(name):
    dimension, listed = ODD_ENDS[name]
    assert set(proposed(dimension, Bounds(tuple(map(dimension.encode, listed)), is_number=False))) == set(listed)


def test_what_is_fixed_stays_as_it_is_however_odd():
    assert set(search({"txt2img.sampler": Bounds((0.0, 1.0), False)}, np.array([0.12345, 2.0])).spread(9, 0)[:, 0]) == {
        0.12345
    }


def test_new_points_are_none_of_the_others_and_none_twice():
    others = search(BOTH).spread(10, 0)
    found = search(BOTH).spread_new(12, 0, others)
    assert len(found) == len(np.unique(found, axis=0)) == 12
    assert not {point.tobytes() for point in found} & {point.tobytes() for point in others}


def test_where_there_is_next_to_nothing_new_two_can_still_be_compared():
    words = search({"txt2img.sampler": Bounds((0.0, 1.0, 2.0), is_number=False)})
    known = np.array([[0.5, 0], [0.5, 1]])
    assert words.spread_new(5, 0, known)[0].tolist() == [0.5, 2]
    assert len(words.spread_new(5, 0, known)) == 2
    assert len(words.spread_new(5, 0, known[:1])) == 2, "two are new"
    assert len(words.spread_new(1, 0, known)) == 1
    assert words.spread_new(0, 0, known).shape == (0, 2)


@pytest.mark.parametrize("best", [(0.63, 1.0), (0.2, 0.0), (0.95, 1.0)])
def test_the_best_within_the_bounds_is_found_and_looked_around(best):
    surface = peak_at(SPACE, *best)
    found, candidates = search(BOTH).gather(surface, np.random.default_rng(1))
    everywhere = np.array([[share / 100, word] for share in range(20, 81) for word in (0, 1)])
    assert surface.expect(found[None]) == pytest.approx(surface.expect(everywhere).max(), abs=1e-6)
    assert {tuple(point) for point in candidates.round(9)} <= {tuple(point) for point in everywhere}
    assert len(candidates) == len(np.unique(candidates, axis=0)) > 100
