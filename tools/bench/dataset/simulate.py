"""Do the advice and its intervals keep what they say? Five hundred simulated users with a known taste.

    python tools/bench/dataset/simulate.py [--users 500] [--images 300]

Each user has true effects of every value, rates with noise in whole stars, uses samplers that depend on the model
(confounding) and some values far more often than others. Printed: how often intervals hold the truth (nominal 95 %),
how often a proposal really is better than what it would replace, and how often there is one, by number of images.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.learning.simulated_user import VALUES, User, build_images

from stablenew.learning.evidence.evidence import build_evidence
from stablenew.learning.evidence.evidence_table import build_evidence_table
from stablenew.learning.learning_contract import EvidenceContract


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--images", type=int, nargs="*", default=[40, 150, 300, 1000])
    arguments = parser.parse_args()
    for count in arguments.images:
        print(f"{count:5} images: {simulate(arguments.users, count)}", flush=True)


def simulate(users: int, count: int) -> str:
    means, differences = [], []
    proposals: list[bool] = []
    refused = best = asked = 0
    for seed in range(users):
        user: Any = User.from_seed(seed)
        rows = user.work(count)
        table = build_evidence_table(build_images(rows))
        means += covered_means(user, table)
        differences += covered_differences(user, table)
        for one in EvidenceContract(table).propose_new_defaults():
            effects = user.effects[one.name.partition(".")[2]]
            asked += 1
            refused += not one.is_supported
            if one.proposed is not None:
                proposals.append(effects[one.proposed] > effects[one.current])
                best += effects[one.proposed] == max(effects.values())
    return (
        f"means {share(means)} of {len(means):,}, differences {share(differences)} of {len(differences):,}; "
        f"{len(proposals):,} proposals of {asked:,} asked, {share(proposals)} better, "
        f"{best / max(1, len(proposals)):.1%} the very best; {refused / asked:.1%} not enough evidence"
    )


def share(held: list[bool]) -> str:
    return f"{np.mean(held):.1%}" if held else "-"


def covered_means(user: Any, table: Any) -> list[bool]:
    """Whether the interval of each value's mean holds what its images get in the long run, of prompts like these."""
    truth = long_run(user)
    return [
        one.mean.low <= truth[name][one.value] <= one.mean.high
        for name in VALUES
        for one in build_evidence(table, name).values
        if one.value in truth[name]
    ]


def long_run(user: Any, count: int = 30_000) -> dict[str, dict[Any, float]]:
    rows = user.with_new_prompts().work(count)
    return {
        name: {
            value: float(np.mean([stars for *_, settings, stars in rows if settings[name] == value] or [np.nan]))
            for value in values
        }
        for name, values in VALUES.items()
    }


def covered_differences(user: Any, table: Any) -> list[bool]:
    held = []
    for name in VALUES:
        effects = user.effects[name]
        for one in build_evidence(table, name).comparisons:
            if one.is_enough and VALUES[name].index(one.value) < VALUES[name].index(one.other):
                interval = one.difference.interval
                held.append(interval.low <= effects[one.value] - effects[one.other] <= interval.high)
    return held


if __name__ == "__main__":
    main()
