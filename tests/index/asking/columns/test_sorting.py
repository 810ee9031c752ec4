"""Orders of images and jobs, beside sorted lists; and first pages, which are how the whole list begins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.query_language import parse_query
from stablenew.index.asking.orders import ALL_SORTS, IMAGES, JOBS
from tests.index.entries import image, opinion, run, score, variant

IMAGE_SORTS = ("newest", "oldest", "best", "worst", "unrated", "steps", "-steps", "cfg", "metric.x", "-metric.x")
OTHER_SORTS = ("settings.s_churn", "-settings.s_churn", "random.abc")
EVERYTHING = parse_query("", None)


def facts_of(world, sort, place):
    """What an image is sorted by, ascending; None where it is not known."""
    table = world.table
    number, stars = table.rows["image"][place], world.cache.table.image_ratings
    rating = stars[number] if number < len(stars) else np.nan
    name = sort.removeprefix("-")
    known = {
        "best": rating, "worst": rating, "unrated": rating, "steps": table.rows["steps"][place],
        "cfg": table.rows["cfg_scale"][place],
    }  # fmt: skip
    if name.startswith("metric."):
        value = world.cache._conditions.numbers.score(name)[number]
    elif name.startswith("settings."):
        value = world.cache._conditions.numbers.setting_numbers(name)[place]
    else:
        value = known[name]
    return None if np.isnan(value) else float(value)


def expected_order(world, sort):
    """Every image once, at its newest place or its oldest: equal ones stay by time, unknown ones come last."""
    table = world.table
    order = table.row_order.tolist() if sort == "oldest" else table.row_order[::-1].tolist()
    images = table.rows["image"].tolist()
    first = list({images[place]: place for place in reversed(order)}.items())
    order = sorted((place for _, place in first), key=order.index)
    if sort in ("newest", "oldest"):
        return order
    if sort == "unrated":
        return sorted(order, key=lambda place: facts_of(world, sort, place) is not None)
    sign = 1 if sort == "worst" or sort.startswith("-") else -1
    values = {place: facts_of(world, sort, place) for place in order}
    return sorted(order, key=lambda place: (values[place] is None, sign * (values[place] or 0)))


@pytest.mark.parametrize("sort", [*IMAGE_SORTS, *OTHER_SORTS[:2]])
def test_images_stand_in_their_order_each_once(world, sort):
    assert world.cache.image_places(EVERYTHING, sort).tolist() == expected_order(world, sort)


@pytest.mark.parametrize("sort", [*IMAGE_SORTS, *OTHER_SORTS])
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_first_page_is_how_the_whole_list_begins(world, sort, limit):
    whole = world.cache.image_places(EVERYTHING, sort).tolist()
    world.cache.forget_queries()
    first = world.cache.first_image_places(EVERYTHING, sort, limit).tolist()
    assert first[:limit] == whole[:limit]


@pytest.mark.parametrize("text", ["steps:20", "-rating:>3", "cfg:..2", "steps:999"])
@pytest.mark.parametrize("sort", ["newest", "best", "metric.x", "unrated"])
def test_a_first_page_of_a_query_is_how_its_list_begins(world, text, sort):
    query = parse_query(text, None)
    first = world.cache.first_image_places(query, sort, 4).tolist()
    world.cache.forget_queries()
    assert first[:4] == world.cache.image_places(query, sort).tolist()[:4]


@pytest.mark.parametrize(
    ("kind", "sort"), [(IMAGES, sort) for sort in (*IMAGE_SORTS, *OTHER_SORTS)] + [(JOBS, sort) for sort in ALL_SORTS]
)
@given(limit=st.integers(1, 20))
def test_pages_that_follow_each_other_are_the_list_without_gap_or_repeat(world, kind, sort, limit):
    world.cache.forget_queries()
    found, after = [], None
    while page := world.cache.page(kind, EVERYTHING, sort, after, limit):
        found += page
        after = page[-1]
    assert len(set(found)) == len(found) == world.cache.count(kind, EVERYTHING)
    assert found == world.cache.page(kind, EVERYTHING, sort, None, 1_000)


def test_a_random_order_is_the_same_for_its_seed_and_another_for_another(world):
    one, again, other = (world.cache.image_places(EVERYTHING, f"random.{seed}").tolist() for seed in ("a", "a", "b"))
    assert one == again != other
    assert sorted(one) == sorted(other)
    assert one not in (sorted(one), sorted(one, reverse=True))


@pytest.mark.parametrize(
    ("sort", "column"), [("duration", "duration"), ("outputs", "output_count"), ("variants", "record_count")]
)
def test_jobs_stand_by_size_the_largest_first_and_of_equal_ones_the_newest(world, sort, column):
    runs = world.table.runs
    values = dict(zip(runs["id"].tolist(), runs[column].tolist(), strict=True))
    ids = world.cache.job_ids(EVERYTHING, sort).tolist()
    assert ids == sorted(values, key=lambda number: (-values[number], -number))


def test_a_job_is_as_good_as_its_best_image_or_as_it_was_rated_itself(filled):
    filled.put(
        run(1, variant(image(1), image(2)), said=[opinion(image(1), 2), opinion(image(2), 4)], rating=5),
        run(2, variant(image(3)), rating=3),
        run(3, variant(image(4))),
        run(4, variant(image(2))),
    )
    ids = filled.cache.job_ids(EVERYTHING, "rating").tolist()
    assert [filled.reader.run_id_of(number) for number in ids] == ["run-4", "run-1", "run-2", "run-3"]


@pytest.mark.parametrize("sort", ["best", "worst", "metric.x"])
def test_an_order_follows_what_is_said_later(filled, sort):
    def put(stars, values):
        runs = zip(range(3), stars, values, strict=True)
        filled.put(*(said_run(number, rating, value) for number, rating, value in runs))
        filled.cache.refresh("me")
        places = filled.cache.first_image_places(EVERYTHING, sort, 3)
        return filled.digests(places)

    def said_run(number, stars, value):
        digest = image(number)
        return run(number, variant(digest), said=[opinion(digest, stars)], scores=[score(digest, "metric.x", value)])

    def wanted(values):
        ordered = sorted(range(3), key=lambda number: values[number] * (1 if sort == "worst" else -1))
        return [image(number) for number in ordered]

    assert put([1, 2, 3], [1, 2, 3]) == wanted([1, 2, 3])
    assert put([2, 1, 3], [2, 1, 3]) == wanted([2, 1, 3])
    assert put([3, 2, 1], [3, 2, 1]) == wanted([3, 2, 1])
