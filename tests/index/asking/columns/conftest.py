"""An index with images that repeat, ratings, scores and settings, for tests that only ask."""

import contextlib

import numpy as np
import pytest

from tests.index.entries import Filled, image, opinion, run, score, variant


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Images 0 to 39 in ten runs, some of them twice, some rated and scored, with settings that repeat."""
    chance = np.random.default_rng(5)
    runs = []
    for number in range(10):
        images = [image(int(one)) for one in chance.choice(40, 6, replace=False)]
        variants = [
            variant(
                one, steps=int(chance.choice([20, 25, 30])), others={"s_churn": float(chance.integers(0, 3))},
                **({} if chance.random() < 0.3 else {"cfg_scale": float(chance.integers(1, 9)) / 2}),
            )
            for one in images
        ]  # fmt: skip
        said = [opinion(one, int(chance.integers(1, 6)), rater=who) for one in images[:3] for who in ("me", "you")]
        scores = [score(one, "metric.x", float(chance.integers(0, 4))) for one in images[2:5]]
        fields = {"duration_seconds": float(chance.integers(0, 5)), "rating": number % 4 or None}
        runs.append(run(number, *variants, said=said, scores=scores, **fields))
    with contextlib.closing(Filled(tmp_path_factory.mktemp("world"))) as filled:
        filled.put(*runs)
        yield filled
