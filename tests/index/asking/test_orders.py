"""Cursors of lists: what was written is what is read, and anything else is refused."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stablenew.errors import ConfigError
from stablenew.index.asking.orders import (
    ALL_SORTS,
    BEST,
    NEWEST,
    OLDEST,
    RANDOM,
    TIME,
    check_job_order,
    read_image_cursor,
    read_job_cursor,
    with_seed,
    write_cursor,
)

IDS = st.integers(0, 2**62)
VALUES = st.floats(allow_nan=False, width=32)


@given(IDS, VALUES, st.sampled_from(ALL_SORTS))
def test_a_cursor_of_jobs_comes_back(identifier, value, sort):
    cursor = (identifier,) if sort in (TIME, OLDEST) else (value, identifier)
    assert read_job_cursor(write_cursor(cursor, sort), sort) == cursor


@example((0, 0, 0, 0), 0.00048536021495237947, BEST)
@given(st.tuples(IDS, IDS, IDS, IDS), VALUES, st.sampled_from([NEWEST, OLDEST, BEST, "steps", "-metric.aesthetic"]))
def test_a_cursor_of_images_comes_back(place, value, sort):
    cursor = place if sort in (NEWEST, OLDEST) else (value, *place)
    assert read_image_cursor(write_cursor(cursor, sort), sort) == cursor


def test_an_infinite_value_comes_back():
    assert read_job_cursor(write_cursor((-math.inf, 7), "rating"), "rating") == (-math.inf, 7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "time",
        "time:",
        "time:x",
        "time:1:2",
        "rating:1:2",
        "time:1e999999",
        "time:nan",
        "time:\u0663",
        "time: 1",
        "oldest:1",
    ],
)
def test_what_is_no_cursor_of_this_order_is_refused(text):
    with pytest.raises(ConfigError, match="is not a cursor of jobs sorted by time"):
        read_job_cursor(text, TIME)


@given(st.text(max_size=30))
def test_any_text_is_a_cursor_or_a_clear_error(text):
    for read, sort in ((read_job_cursor, TIME), (read_image_cursor, BEST)):
        try:
            assert isinstance(read(text, sort), tuple)
        except ConfigError as error:
            assert "is not a cursor" in str(error)


def test_a_cursor_of_jobs_is_none_of_images():
    text = write_cursor((7,), OLDEST)
    assert read_job_cursor(text, OLDEST) == (7,)
    with pytest.raises(ConfigError, match="cursor of images"):
        read_image_cursor(text, OLDEST)


def test_the_first_page_has_no_cursor():
    assert read_job_cursor(None, TIME) is None
    assert read_image_cursor(None, BEST) is None


def test_jobs_have_their_orders_and_no_others():
    for sort in ALL_SORTS:
        check_job_order(sort)
    with pytest.raises(ConfigError, match="cannot sort by 'newest'; there are time, oldest"):
        check_job_order(NEWEST)


def test_random_goes_on_in_the_order_of_the_page_before():
    first, second = with_seed(RANDOM, None), with_seed(RANDOM, None)
    assert first != second
    assert first.startswith("random.")
    assert with_seed(RANDOM, write_cursor((0.5, 1, 2, 3, 4), first)) == first
    assert with_seed(BEST, write_cursor((0.5, 1, 2, 3, 4), first)) == BEST
