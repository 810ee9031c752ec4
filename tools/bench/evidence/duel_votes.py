"""How many votes does a duel take, and how often is its verdict wrong, when somebody looks after every vote?

    python tools/bench/evidence/duel_votes.py [--sessions 10000] [--rates 0.5 0.6 0.65 0.7 0.8]

Each session votes until there is a verdict. Printed for each true win rate: how often the better side was named, the
worse one (at 0.5: either), and how often it was said that no difference matters; the median number of votes until the
better side was named, and of all sessions; and the votes of a fixed two-sided 5 % design of 90 % power for that rate.
"""

import argparse
import random
import statistics

from stablenew.learning.duels.duel_verdict import EQUAL, FIRST, OPEN, DuelRule, PairResult, Vote

WON = Vote(1, 2, 0, 1, "win", "somebody")
LOST = Vote(2, 1, 1, 0, "win", "somebody")
MOST_VOTES = 5_000


def run_session(rate: float, chance: random.Random) -> tuple[str, int]:
    """The verdict, and after how many votes it fell."""
    rule = DuelRule()
    pair = PairResult(0, 1, rule.error)
    for count in range(1, MOST_VOTES + 1):
        pair.take(WON if chance.random() < rate else LOST, rule.matters)
        if pair.verdict != OPEN:
            return pair.verdict, count
    return OPEN, MOST_VOTES


def fixed_design(rate: float) -> float:
    """Votes of a fixed design (normal approximation); infinite between equals."""
    if rate == 0.5:
        return float("inf")
    return float(((1.95996 * 0.5 + 1.28155 * (rate * (1 - rate)) ** 0.5) / (rate - 0.5)) ** 2)


def main() -> None:
    """Print a line a rate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5, 0.6, 0.65, 0.7, 0.8])
    arguments = parser.parse_args()
    print("rate   named   wrong   equal   median named   median all   fixed design")
    for rate in arguments.rates:
        chance = random.Random(20261128)
        sessions = [run_session(rate, chance) for _ in range(arguments.sessions)]
        named = [count for verdict, count in sessions if verdict == FIRST]
        equal = sum(verdict == EQUAL for verdict, _ in sessions) / len(sessions)
        wrong = sum(verdict not in (FIRST, EQUAL, OPEN) for verdict, _ in sessions) / len(sessions)
        if rate == 0.5:
            wrong += len(named) / len(sessions)
        print(
            f"{rate:.2f}   {len(named) / len(sessions):6.1%}  {wrong:6.1%}  {equal:6.1%}   "
            f"{statistics.median(named):12.0f}   {statistics.median(count for _, count in sessions):10.0f}   "
            f"{fixed_design(rate):12.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
