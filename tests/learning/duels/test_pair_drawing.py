"""Which two images a duel shows next."""

import random
from collections import Counter

import numpy as np

from stablenew.learning.duels.pair_drawing import Candidates, PairDrawing

SIDES = [(0, 1)]


def candidates_of(images):
    """Candidates of (image, side, what is alike in all, what is alike in the prompt)."""
    ids, sides, closest, prompts = zip(*images, strict=True)
    return Candidates(list(ids), *(np.array(sides, np.int64),), [np.array(closest), np.array(prompts)])


def fair(count):
    """`count` images on each side; image n and image 100 + n differ in their side only."""
    return candidates_of([(100 * side + n, side, n, n % 2) for side in (0, 1) for n in range(count)])


def draw_all(candidates, seed=1, sides=SIDES, votes=200):
    """Draw and vote until nothing is left. Repeats are left out."""
    chance, voted, drawn = random.Random(seed), [], []
    for _ in range(votes):
        pair = PairDrawing(candidates, voted, chance).draw(sides)
        if pair is None:
            return drawn
        voted.append((pair.left, pair.right))
        if not pair.repeat:
            drawn.append(pair)
    return drawn


def test_pairs_that_differ_in_the_side_only_come_first():
    drawn = draw_all(fair(6))
    close = [pair for pair in drawn if pair.match == 0]
    assert drawn[:6] == close
    assert {frozenset(pair[:2]) for pair in close} == {frozenset((n, 100 + n)) for n in range(6)}
    assert {pair.match for pair in drawn[6:]} == {1}
    assert all(pair.left % 2 == pair.right % 2 for pair in drawn)


def test_every_pair_is_drawn_once_and_then_there_is_no_more():
    drawn = draw_all(fair(5))
    pairs = Counter(frozenset(pair[:2]) for pair in drawn)
    assert len(pairs) == 3 * 3 + 2 * 2
    assert set(pairs.values()) == {1}


def test_a_pair_never_shows_one_side_twice():
    candidates = fair(6)
    sides = dict(zip(candidates.images, candidates.sides.tolist(), strict=True))
    assert all({sides[pair.left], sides[pair.right]} == {0, 1} for pair in draw_all(candidates))


def test_either_side_may_be_on_the_left():
    left = [pair.left < 100 for seed in range(40) for pair in draw_all(fair(4), seed, votes=3)]
    assert 0.3 < sum(left) / len(left) < 0.7


def test_images_that_were_shown_least_come_first():
    lone = candidates_of([(n, 0, -1, 0) for n in range(8)] + [(100 + n, 1, -1, 0) for n in range(8)])
    shown = Counter(image for pair in draw_all(lone, votes=8) for image in pair[:2])
    assert max(shown.values()) <= 2


def test_earlier_pairs_come_back_now_and_then_but_not_at_once():
    chance, voted, repeats = random.Random(9), [], []
    candidates = fair(60)
    for number in range(400):
        pair = PairDrawing(candidates, voted, chance).draw(SIDES)
        if pair.repeat:
            before = [set(other) for other in voted]
            assert set(pair[:2]) in before
            assert set(pair[:2]) not in before[-4:]
            assert pair.repeat == before.count(set(pair[:2]))
            repeats.append(number)
        voted.append((pair.left, pair.right))
    assert 12 <= len(repeats) <= 60


def test_pairs_on_the_screen_are_not_drawn_again():
    candidates = candidates_of([(1, 0, 0, 0), (2, 1, 0, 0), (3, 1, 0, 0)])
    waiting = [(2, 1)]
    assert {*PairDrawing(candidates, [], random.Random(1)).draw(SIDES, waiting)[:2]} == {1, 3}
    assert PairDrawing(candidates, [(1, 3)], random.Random(1)).draw(SIDES, waiting) is None


def test_images_without_a_value_are_on_no_side_and_match_nothing():
    candidates = candidates_of([(1, -1, 0, 0), (2, 0, 0, 0), (3, 1, -1, 5)])
    assert PairDrawing(candidates, [], random.Random(1)).draw(SIDES) is None


def test_the_sides_that_need_votes_most_are_drawn_first():
    candidates = candidates_of([(side * 10 + n, side, n, 0) for side in range(3) for n in range(3)])
    pair = PairDrawing(candidates, [], random.Random(2)).draw([(1, 2), (0, 1)])
    assert {pair.left // 10, pair.right // 10} == {1, 2}
