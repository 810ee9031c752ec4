"""What the votes of a blind duel say: who is better, how sure that is, and whether more votes are needed.

A vote counts for the verdict when it is the first on its two images and names a winner. Ties are shown and left out;
second votes and swapped repeats measure how far raters agree with themselves. Of several sides each pair gets an equal
share of the error, so the probability that any verdict is wrong stays within it, however often one looks.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from stablenew.learning.duels.confidence_sequence import Rate, estimate_rate, evidence_against
from stablenew.learning.evidence.rating_statistics import Strength, fit_bradley_terry

WIN: Final = "win"
FIRST: Final = "first"
SECOND: Final = "second"
EQUAL: Final = "equal"
OPEN: Final = "open"
_CAUTION: Final = 10
"""How many times as much evidence it takes to say that nothing matters. Otherwise one in five duels at a win rate of
0.60 would end that way before the winner shows; so it is one in eleven."""


class Vote(NamedTuple):
    """One vote, with the sides that the images stand for."""

    winner: int
    """The image that won; for any other outcome than `win`, either of the two."""
    loser: int
    winner_side: int
    loser_side: int
    outcome: str
    rater: str
    shown: str | None = None
    """Where the winner was shown, `left` or `right`."""
    is_repeat: bool = False
    """Whether it was asked to see whether the rater agrees with an earlier vote."""

    @property
    def images(self) -> tuple[int, int]:
        """The two images, in an order of their own."""
        return (min(self.winner, self.loser), max(self.winner, self.loser))

    @property
    def answer(self) -> int | str:
        """What was said about the two images, whichever side they were on."""
        return self.winner if self.outcome == WIN else self.outcome


@dataclass(frozen=True, slots=True)
class DuelRule:
    """When a duel is over."""

    error: float = 0.05
    """The probability that a verdict is wrong."""
    matters: float = 0.15
    """How far from one half a win rate has to be to matter; a duel that rules this out is over without a winner."""


@dataclass(slots=True)
class PairResult:
    """Two sides against each other."""

    first: int
    second: int
    error: float
    """The share of the rule's error that this pair may use."""
    wins: int = 0
    """Votes for the first side that count."""
    losses: int = 0
    ties: int = 0
    both_bad: int = 0
    verdict: str = OPEN
    """`first` or `second` is better, they are `equal` in all that matters, or it is still `open`."""
    decided_after: int | None = None
    """The number of votes that decided it."""
    progress: float = 0.0
    """How far the evidence is on the way to a verdict: 1 decides."""

    @property
    def count(self) -> int:
        """The votes that count."""
        return self.wins + self.losses

    @property
    def win_rate(self) -> Rate:
        """How often the first side wins."""
        return estimate_rate(self.wins, self.count, error=self.error)

    def take(self, vote: Vote, matters: float) -> None:
        """Add a vote on two images that nobody voted on before; see `DuelRule.matters`."""
        if vote.outcome != WIN:
            self.ties += vote.outcome == "tie"
            self.both_bad += vote.outcome == "both_bad"
            return
        is_first = vote.winner_side == self.first
        self.wins += is_first
        self.losses += not is_first
        against_half = self._against(0.5) / math.log(1 / self.error)
        ends = (0.5 - matters, 0.5 + matters)
        against_more = min(map(self._against, ends)) / math.log(_CAUTION / self.error)
        if not ends[0] < self.wins / self.count < ends[1]:
            against_more = 0.0  # the evidence against both ends is on one side of them
        self.progress = max(0.0, min(1.0, max(against_half, against_more)))
        if self.verdict == OPEN and self.progress >= 1:
            better = FIRST if self.wins > self.losses else SECOND
            self.verdict = better if against_half >= 1 else EQUAL
            self.decided_after = self.count

    def _against(self, rate: float) -> float:
        return evidence_against(rate, self.wins, self.count)


@dataclass(frozen=True, slots=True)
class DuelVerdict:
    """The state of a duel."""

    pairs: tuple[PairResult, ...]
    """Each two sides, in the order of the sides."""
    contenders: tuple[int, ...]
    """The sides that no other side has beaten."""
    strengths: tuple[Strength, ...]
    """How often each side wins against the average of the others; empty without votes."""
    agreement: Rate
    """How often a rater who saw two images again, with the sides swapped, said the same."""
    left_rate: Rate
    """How often the image on the left won: far from one half, the place decided and not the picture."""
    second_votes: int
    """Votes on two images that somebody else had voted on, or that were repeats; they are not in the verdict."""

    @property
    def winner(self) -> int | None:
        """The side that is better than all others."""
        return self.contenders[0] if len(self.contenders) == 1 and len(self.pairs) else None

    @property
    def open_pairs(self) -> list[PairResult]:
        """The pairs of contenders that need more votes."""
        return [pair for pair in self.pairs if pair.verdict == OPEN and self._is_contended(pair)]

    @property
    def is_decided(self) -> bool:
        """Whether no more votes are needed."""
        return not self.open_pairs

    @property
    def progress(self) -> float:
        """How far the duel is on the way to a verdict, from 0 to 1."""
        needed = [pair.progress for pair in self.pairs if self._is_contended(pair)]
        return sum(needed) / len(needed) if needed else 1.0

    def _is_contended(self, pair: PairResult) -> bool:
        return pair.first in self.contenders and pair.second in self.contenders


def judge_duel(votes: Iterable[Vote], side_count: int, rule: DuelRule | None = None) -> DuelVerdict:
    """What `votes`, the oldest first, say about sides 0 to `side_count`."""
    rule = rule or DuelRule()
    error = rule.error / max(1, side_count * (side_count - 1) // 2)
    pairs = {sides: PairResult(*sides, error) for sides in combinations(range(side_count), 2)}
    firsts, repeats = _split_votes(votes)
    for vote in firsts:
        sides = (min(vote.winner_side, vote.loser_side), max(vote.winner_side, vote.loser_side))
        pairs[sides].take(vote, rule.matters)
    won = Counter(vote.shown for vote in firsts if vote.outcome == WIN and vote.shown)
    return DuelVerdict(
        pairs=tuple(pairs.values()),
        contenders=_find_contenders(pairs.values(), side_count),
        strengths=_measure_strengths(firsts, side_count),
        agreement=_measure_agreement(firsts, repeats, rule.error),
        left_rate=estimate_rate(won["left"], won["left"] + won["right"], error=rule.error),
        second_votes=len(repeats),
    )


def _split_votes(votes: Iterable[Vote]) -> tuple[list[Vote], list[Vote]]:
    """The first vote on each two images, and all others."""
    firsts: dict[tuple[int, int], Vote] = {}
    others = []
    for vote in votes:
        if vote.winner_side == vote.loser_side:
            continue
        if vote.is_repeat or vote.images in firsts:
            others.append(vote)
        else:
            firsts[vote.images] = vote
    return list(firsts.values()), others


def _find_contenders(pairs: Iterable[PairResult], side_count: int) -> tuple[int, ...]:
    beaten = {pair.second if pair.verdict == FIRST else pair.first for pair in pairs if pair.verdict in (FIRST, SECOND)}
    unbeaten = tuple(side for side in range(side_count) if side not in beaten)
    return unbeaten or tuple(range(side_count))  # a circle has no best one


def _measure_agreement(firsts: Sequence[Vote], repeats: Sequence[Vote], error: float) -> Rate:
    said = {(vote.images, vote.rater): vote.answer for vote in firsts}
    own = [(said[key], vote.answer) for vote in repeats if (key := (vote.images, vote.rater)) in said]
    return estimate_rate(sum(before == after for before, after in own), len(own), error=error)


def _measure_strengths(firsts: Sequence[Vote], side_count: int) -> tuple[Strength, ...]:
    if not firsts:
        return ()
    winners = np.array([vote.winner_side for vote in firsts], np.int64)
    losers = np.array([vote.loser_side for vote in firsts], np.int64)
    points = np.array([1.0 if vote.outcome == WIN else 0.5 for vote in firsts])
    return tuple(fit_bradley_terry(winners, losers, points, side_count))
