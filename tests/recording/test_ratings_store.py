"""Stars of whole jobs, also of such whose run is not there yet."""

import json

import pytest

from stablenew import RatingsStore, RunStore
from stablenew.errors import InvalidDocument, RunNotFound
from stablenew.recording.ratings_store import EarlyRatings
from stablenew.store.local_state import state_folder
from tests import samples


@pytest.fixture
def ratings(store):
    return RatingsStore(store, rater="anna")


def early_file():
    """Where ratings wait for their runs."""
    (path,) = (state_folder() / "early_ratings").glob("*.json")
    return path


def test_a_rating_is_kept_until_it_is_taken_away(store, ratings):
    samples.sealed_run(store, "job-1")
    assert ratings.get_ratings_dict() == {}
    for rating in (0, 5, None):
        ratings.set_rating("job-1", rating)
        expected = {} if rating is None else {"job-1": rating}
        assert RatingsStore(RunStore(store.root), rater="anna").get_ratings_dict() == expected
    assert RatingsStore(store, rater="ben").get_ratings_dict() == {}


def test_a_rating_before_its_run_waits_and_is_saved_in_the_run(store, ratings):
    ratings.set_rating("job-1", 4)
    assert ratings.get_ratings_dict() == {"job-1": 4}
    samples.sealed_run(store, "job-1")
    assert ratings.get_ratings_dict() == {"job-1": 4}
    assert EarlyRatings(store).read() == {"anna": {}}
    assert RatingsStore(store, rater="anna").get_ratings_dict() == {"job-1": 4}


def test_the_later_rating_counts_though_the_earlier_one_waited(store, ratings):
    ratings.set_rating("job-1", 4)
    samples.sealed_run(store, "job-1")
    ratings.set_rating("job-1", 1)
    assert ratings.get_ratings_dict() == {"job-1": 1}


def test_a_rating_that_waits_is_taken_away_too(store, ratings):
    ratings.set_rating("job-1", 4)
    ratings.set_rating("job-1", None)
    assert ratings.get_ratings_dict() == {}


def test_what_others_said_early_is_saved_under_their_names(store, ratings):
    RatingsStore(store, rater="ben").set_rating("job-1", 2)
    ratings.set_rating("job-1", 4)
    samples.sealed_run(store, "job-1")
    assert ratings.get_ratings_dict() == {"job-1": 4}
    assert RatingsStore(store, rater="ben").get_ratings_dict() == {"job-1": 2}


@pytest.mark.parametrize(
    ("job", "rating", "error"),
    [("job-1", 6, InvalidDocument), ("job-1", True, InvalidDocument), ("../x", 4, RunNotFound), ("", 4, RunNotFound)],
)
def test_a_rating_that_cannot_be_is_refused_and_nothing_is_written(ratings, job, rating, error):
    with pytest.raises(error):
        ratings.set_rating(job, rating)
    assert ratings.get_ratings_dict() == {}
    assert not list((state_folder() / "early_ratings").glob("*.json"))


@pytest.mark.parametrize(
    "content",
    ["", "no JSON", "[]", "5", '{"anna": 5}', '{"anna": [1]}', '{"anna": {"job-2": "many"}}', '{"anna": {"../x": 3}}'],
)
def test_a_file_that_somebody_has_edited_costs_no_rating_that_can_be_read(store, ratings, content):
    ratings.set_rating("job-1", 4)
    early_file().write_text(content)
    samples.sealed_run(store, "job-2")
    assert ratings.get_ratings_dict() == {}
    ratings.set_rating("job-3", 2)
    ratings.set_rating("job-2", 5)
    assert ratings.get_ratings_dict() == {"job-2": 5, "job-3": 2}
    assert "job-3" in json.loads(early_file().read_text())["anna"]
