"""A confidence sequence for a win rate: an interval that may be looked at after every vote.

An ordinary 95 % interval that is looked at after each vote excludes the truth sooner or later: of 10,000 sessions
between equals, 37 % name a winner within 300 votes. This one holds the truth at all times at once with the probability
asked. For each rate `p` the likelihood ratio of a Beta mixture to `p` is a martingale that starts at 1, so the
probability that it ever reaches `1 / error` is at most `error` (Ville's inequality); the interval is where it has not
(Robbins, Annals of Mathematical Statistics, 1970; Howard et al., Annals of Statistics, 2021).
"""

import math
from collections.abc import Callable
from typing import Final, NamedTuple

PRIOR: Final = 3.0
"""Both parameters of the Beta mixture: of those tried (1 to 30) the one that decides rates of 0.60 to 0.70 soonest.
`tools/bench/duel_votes.py` prints what it costs in votes."""
_HALVINGS: Final = 60


class Rate(NamedTuple):
    """How often something happens: an estimate, and an interval that held all the time with the probability asked."""

    estimate: float | None
    """None before the first vote."""
    low: float
    high: float
    trials: int

    def excludes(self, rate: float) -> bool:
        """Whether the rate is certainly another one."""
        return not self.low <= rate <= self.high

    def is_within(self, low: float, high: float) -> bool:
        """Whether the rate certainly lies between two others."""
        return low < self.low and self.high < high


def estimate_rate(successes: int, count: int, *, error: float) -> Rate:
    """The rate of `successes` among `count` trials, wrong at any time with a probability of at most `error`."""
    if not count:
        return Rate(None, 0.0, 1.0, 0)
    estimate, most = successes / count, math.log(1 / error)

    def is_plausible(rate: float) -> bool:
        return evidence_against(rate, successes, count) <= most

    return Rate(estimate, _find_edge(0.0, estimate, is_plausible), _find_edge(1.0, estimate, is_plausible), count)


def evidence_against(rate: float, successes: int, count: int) -> float:
    """The logarithm of the martingale: if `rate` is true, it ever reaches `log(1 / error)` with probability `error`."""
    mixture = _log_beta(PRIOR + successes, PRIOR + count - successes) - _log_beta(PRIOR, PRIOR)
    return mixture - _log_likelihood(rate, successes, count)


def _find_edge(outside: float, inside: float, is_plausible: Callable[[float], bool]) -> float:
    """The end of the interval that `inside` lies in, towards `outside`, which may lie in it as well."""
    if is_plausible(outside):
        return outside
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        if is_plausible(middle):
            inside = middle
        else:
            outside = middle
    return inside


def _log_likelihood(rate: float, successes: int, count: int) -> float:
    if (rate <= 0 and successes) or (rate >= 1 and successes < count):
        return -math.inf
    won = successes * math.log(rate) if successes else 0.0
    return won + ((count - successes) * math.log1p(-rate) if successes < count else 0.0)


def _log_beta(first: float, second: float) -> float:
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)
