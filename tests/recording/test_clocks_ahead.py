"""Feedback of a machine whose clock was wrong: a finding, and no reason for anybody else to go along."""

from datetime import timedelta

import pytest

from stablenew import FeedbackManager, RunVerifier
from stablenew.formats.clock import SYSTEM_CLOCK, Clock, format_timestamp
from stablenew.formats.documents.feedback import build_event
from stablenew.store.feedback.feedback_log import FeedbackLog
from tests.samples import sealed_run

RUN = "sample-run"
LAST = "2999-12-31T23:59:59.999Z-ffff"


@pytest.fixture
def image(store):
    """A run that somebody rated in the year 2999. Gives the digest of its first image."""
    run = sealed_run(store)
    digest = next(output.digest for _, output in run.iter_outputs())
    log = FeedbackLog(run.path, replica="far")
    fields = {"clock": LAST, "replica": "far", "op": "rate", "rating": 1, "image_id": digest}
    with log.writing() as reading:
        log.append(reading, [build_event(rater=rater, **fields) for rater in ("alice", "visitor")])
    return digest


def stars(store):
    return {rater: opinion.get("rating") for (_, rater), opinion in FeedbackManager(store).opinions(RUN).items()}


def test_the_run_can_still_be_rated_and_the_new_rating_is_of_today(store, image):
    FeedbackManager(store, rater="bob").record_feedback(RUN, image, 4)
    assert stars(store) == {"alice": 1, "visitor": 1, "bob": 4}
    newest = [event for event in FeedbackManager(store).read(RUN).events if event.rater == "bob"]
    assert newest[0].clock < format_timestamp(SYSTEM_CLOCK.now() + timedelta(days=1))


def test_a_rater_whose_own_clock_was_wrong_can_rate_again_and_again(store, image):
    for rating in (5, 3, None, 2):
        FeedbackManager(store, rater="alice").record_feedback(RUN, image, rating)
        assert stars(store) == {"alice": rating, "visitor": 1}
    events = FeedbackManager(store).read(RUN).events
    assert sum(event.op == "retract" for event in events) == 1


def test_undo_takes_back_the_new_rating_only(store, image):
    manager = FeedbackManager(store, rater="alice")
    manager.record_feedback(RUN, image, 5)
    assert [event.rating for event in manager.undo(RUN)] == [5]
    assert stars(store) == {"visitor": 1}
    manager.redo(RUN)
    assert stars(store) == {"alice": 5, "visitor": 1}


def test_a_clock_of_this_evening_elsewhere_is_followed_as_before(store):
    run = sealed_run(store)
    ahead = Clock(now=lambda: SYSTEM_CLOCK.now() + timedelta(hours=20))
    FeedbackManager(store, rater="alice", replica="far", clock=ahead).record_feedback(RUN, "0/0", 1)
    FeedbackManager(store, rater="alice").record_feedback(RUN, "0/0", 5)
    assert stars(store) == {"alice": 5}
    assert RunVerifier(run).verify().findings == ()


def test_verify_names_a_clock_beyond_tomorrow(store, image):
    findings = RunVerifier(store.open(RUN)).verify().findings
    assert {(finding.code, finding.severity) for finding in findings} == {("feedback-ahead", "warning")}
    assert LAST in findings[0].message
