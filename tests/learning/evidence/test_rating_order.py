"""In which order stars were given, against a walk over what was said in time."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.dataset.columns import IMAGES_SCHEMA
from stablenew.learning.evidence.rating_order import EARLIER, FORGOTTEN, flatten_lists, order_ratings

BEGUN = datetime(2026, 11, 21, 8, tzinfo=UTC)
RATERS = ["anna", "ben"]
said = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(RATERS), st.integers(0, 5)), max_size=40)
"""Image, rater and stars, in the order in which they were said."""


def build_rated(ratings, images=4):
    """The ratings as a dataset has them: the last of each rater for each image, and what was said before."""
    last, before = ([{} for _ in range(images)] for _ in range(2))
    for number, (image, rater, stars) in enumerate(ratings):
        entry = {"rater": rater, "rating": stars, "rated_at": BEGUN + timedelta(seconds=number)}
        if rater in last[image]:
            before[image].setdefault(rater, []).append(last[image][rater])
        last[image][rater] = entry
    now = [list(one.values()) for one in last]
    earlier = [[entry for entries in one.values() for entry in entries] for one in before]
    columns = {"ratings": now, EARLIER: earlier}
    return pa.table({name: pa.array(rows, IMAGES_SCHEMA.field(name).type) for name, rows in columns.items()})


def walk(ratings):
    """Of each rater and image the last position; and the earlier ratings that were forgotten until the next one."""
    counts, told = defaultdict(int), defaultdict(list)
    for image, rater, stars in ratings:
        told[image, rater].append((counts[rater], stars))
        counts[rater] += 1
    last = {key: entries[-1][0] for key, entries in told.items()}
    kept = []
    for key, entries in told.items():
        following = last[key]
        for position, stars in reversed(entries[:-1]):
            if following - position > FORGOTTEN:
                kept.append((*key, stars, position))
                following = position
    return last, sorted(kept)


@given(said)
def test_positions_count_what_each_rater_said_and_quick_corrections_are_no_earlier_ratings(ratings):
    rated = build_rated(ratings)
    order = order_ratings(rated, RATERS)
    last, kept = walk(ratings)
    images, entries = flatten_lists(rated["ratings"].combine_chunks())
    keys = zip(images.tolist(), [entry["rater"] for entry in entries.to_pylist()], strict=True)
    assert dict(zip(keys, order.positions.tolist(), strict=True)) == last
    columns = (order.images, order.raters, order.stars, order.earlier_positions)
    found = [
        (image, RATERS[rater], stars, position)
        for image, rater, stars, position in zip(*(column.tolist() for column in columns), strict=True)
    ]
    assert sorted(found) == kept


def test_a_rating_said_again_at_once_corrects_the_one_before():
    first = [(0, "anna", 2), *[(image, "anna", 3) for image in (1, 2, 3, 1)]]
    assert len(order_ratings(build_rated([*first, (0, "anna", 5)]), RATERS).images) == 0
    late = order_ratings(build_rated([*first, (2, "anna", 1), (0, "anna", 5)]), RATERS)
    assert (late.images.tolist(), late.stars.tolist(), late.earlier_positions.tolist()) == ([0], [2], [0])


def test_a_dataset_of_an_older_version_has_no_earlier_ratings():
    rated = build_rated([(0, "anna", 2)] + [(1, "ben", 1)] * 9).select(["ratings"])
    order = order_ratings(rated, RATERS)
    assert (len(order.positions), len(order.images)) == (2, 0)


def test_scores_in_place_of_stars_have_an_order_too():
    scored = [[{"rater": "metric", "rating": 0.37, "rated_at": None}], [{"rater": "metric", "rating": 0.9}]]
    order = order_ratings(pa.table({"ratings": scored}), ["metric"])
    assert sorted(order.positions.tolist()) == [0, 1]


def test_entries_of_lists_know_their_list():
    parents, entries = flatten_lists(pa.array([[1, 2], None, [], [3]]))
    assert (parents.tolist(), entries.to_pylist()) == ([0, 0, 3], [1, 2, 3])
    assert len(np.atleast_1d(flatten_lists(pa.array([], pa.list_(pa.int64())))[0])) == 0
