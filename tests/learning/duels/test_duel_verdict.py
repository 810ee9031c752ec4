"""The verdict on a duel: what counts, when it ends, and how often it is wrong when it is looked at after every vote."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.duels.confidence_sequence import estimate_rate, evidence_against
from stablenew.learning.duels.duel_verdict import EQUAL, FIRST, OPEN, SECOND, DuelRule, PairResult, Vote, judge_duel


def vote(number, winner_side=0, loser_side=1, outcome="win", **fields):
    images = {"winner": 10 * number + winner_side, "loser": 10 * number + loser_side}
    return Vote(**images, winner_side=winner_side, loser_side=loser_side, outcome=outcome, rater="me", **fields)


def run_session(rate, rng, most, rule=None):
    """The verdict of a pair whose first side wins at `rate`, looked at after each vote, and when it fell."""
    rule = rule or DuelRule()
    pair = PairResult(0, 1, rule.error)
    for count in range(1, most + 1):
        pair.take(vote(count) if rng.random() < rate else vote(count, 1, 0), rule.matters)
        if pair.verdict != OPEN:
            return pair.verdict, count
    return OPEN, most


def fixed_design(rate):
    """Votes that a two-sided 5 % test with 90 % power needs for this rate (normal approximation)."""
    deviation = math.sqrt(rate * (1 - rate))
    return ((1.95996 * 0.5 + 1.28155 * deviation) / (rate - 0.5)) ** 2


@pytest.mark.heavy
def test_equal_sides_rarely_have_a_winner_however_often_one_looks():
    rng = random.Random(7)
    sessions = [run_session(0.5, rng, 400)[0] for _ in range(1500)]
    named = sum(verdict in (FIRST, SECOND) for verdict in sessions)
    assert named <= 0.05 * len(sessions)
    assert sessions.count(EQUAL) > 0.8 * len(sessions)


@pytest.mark.heavy
@pytest.mark.parametrize("rate", [0.60, 0.65, 0.70])
def test_a_better_side_is_found_with_fewer_votes_than_a_fixed_design_needs(rate):
    rng = random.Random(11)
    sessions = [run_session(rate, rng, 2000) for _ in range(400)]
    named = sorted(count for verdict, count in sessions if verdict == FIRST)
    assert len(named) >= 0.87 * len(sessions)  # 0.908 at 0.60; the rest says that no difference matters
    assert statistics.median(named) <= 0.85 * fixed_design(rate)


def test_a_rate_that_matters_is_not_called_equal():
    rng = random.Random(3)
    sessions = [run_session(0.65, rng, 1500)[0] for _ in range(600)]
    assert sessions.count(EQUAL) + sessions.count(SECOND) <= 0.05 * len(sessions)


@pytest.mark.heavy
def test_the_interval_holds_the_rate_at_every_moment_at_once():
    rng, missed = random.Random(5), 0
    for _ in range(200):
        won = 0
        for count in range(1, 201):
            won += rng.random() < 0.7
            if estimate_rate(won, count, error=0.05).excludes(0.7):
                missed += 1
                break
    assert missed <= 0.05 * 200


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_ends_of_an_interval_are_where_the_evidence_is_just_enough(won, lost):
    rate = estimate_rate(won, won + lost, error=0.05)
    assert 0 <= rate.low <= rate.high <= 1
    if won + lost == 0:
        assert rate.estimate is None
        return
    assert rate.low <= rate.estimate <= rate.high
    for end in (rate.low, rate.high):
        if 0 < end < 1:
            assert evidence_against(end, won, won + lost) == pytest.approx(math.log(20), abs=1e-6)
    mirrored = estimate_rate(lost, won + lost, error=0.05)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - rate.high, 1 - rate.low), abs=1e-9)


def test_ties_are_shown_and_left_out():
    verdict = judge_duel([*map(vote, range(30)), vote(40, outcome="tie"), vote(41, outcome="both_bad")], 2)
    (pair,) = verdict.pairs
    assert (pair.wins, pair.losses, pair.ties, pair.both_bad, pair.count) == (30, 0, 1, 1, 30)
    assert verdict.winner == 0
    assert pair.decided_after < 30


def test_a_second_vote_on_two_images_does_not_count():
    votes = [vote(number, *((0, 1) if number % 2 else (1, 0))) for number in range(8)]
    once = judge_duel(votes, 2).pairs[0]
    again = judge_duel([*votes, *[votes[1]] * 200], 2)
    assert (again.pairs[0].wins, again.pairs[0].losses, again.pairs[0].verdict) == (once.wins, once.losses, OPEN)
    assert again.second_votes == 200


def test_repeats_measure_agreement_with_oneself():
    votes = list(map(vote, range(6)))
    repeats = [votes[0]._replace(is_repeat=True), votes[1]._replace(is_repeat=True, outcome="tie")]
    changed = Vote(21, 20, 1, 0, "win", "me", is_repeat=True)
    verdict = judge_duel([*votes, *repeats, changed], 2)
    assert verdict.agreement.trials == 3
    assert verdict.agreement.estimate == pytest.approx(1 / 3)
    assert verdict.pairs[0].count == 6
    stranger = judge_duel([*votes, repeats[0]._replace(rater="somebody else")], 2)
    assert stranger.agreement.estimate is None


def test_where_the_winner_stood_is_measured():
    votes = [vote(number, shown="left" if number < 9 else "right") for number in range(12)]
    assert judge_duel(votes, 2).left_rate.estimate == 0.75


@pytest.mark.heavy
def test_several_sides_share_the_error():
    rng, false_winners = random.Random(2), 0
    rule = DuelRule(matters=0.2)
    for _ in range(120):
        votes = []
        for number in range(450):
            first, second = rng.sample(range(4), 2)
            votes.append(vote(number, first, second))
        verdict = judge_duel(votes, 4, rule)
        false_winners += any(pair.verdict in (FIRST, SECOND) for pair in verdict.pairs)
    assert false_winners <= 0.05 * 120


def test_the_best_of_several_sides_beats_every_other():
    rng, votes = random.Random(4), []
    worth = [0.0, 0.4, 3.0]
    while not (verdict := judge_duel(votes, 3)).is_decided:
        pair = min(verdict.open_pairs, key=lambda pair: pair.count)
        is_first = rng.random() < 1 / (1 + math.exp(worth[pair.second] - worth[pair.first]))
        sides = (pair.first, pair.second) if is_first else (pair.second, pair.first)
        votes += [vote(len(votes), *sides)]
    assert verdict.winner == 2
    assert verdict.progress == 1.0
    rates = [strength.win_rate for strength in verdict.strengths]
    assert max(rates, key=lambda rate: rate.estimate) is rates[2]
    assert all(rate.low < rate.estimate < rate.high for rate in rates)


def test_a_circle_of_winners_has_no_best_side():
    votes = [vote(100 * side + number, side, (side + 1) % 3) for side in range(3) for number in range(40)]
    verdict = judge_duel(votes, 3)
    assert verdict.winner is None
    assert verdict.contenders == (0, 1, 2)
    assert verdict.is_decided


def test_a_verdict_stays_when_votes_go_on():
    votes = [vote(number) for number in range(20)] + [vote(100 + number, 1, 0) for number in range(20)]
    pair = judge_duel(votes, 2).pairs[0]
    assert pair.verdict == FIRST
    assert pair.decided_after <= 20
    assert pair.win_rate.low < 0.5 < pair.win_rate.high


def test_nothing_was_voted_yet():
    verdict = judge_duel([], 2)
    assert (verdict.winner, verdict.is_decided, verdict.progress, verdict.strengths) == (None, False, 0.0, ())
