import errno
import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablenew import FeedbackManager, RatingsStore, RunStore, RunVerifier
from stablenew.errors import ConfigError, InvalidDocument, OutputNotFound, RunNotFound, WriteFailed
from stablenew.formats.clock import Clock
from stablenew.formats.documents.feedback_input import ComparisonInput, FeedbackInput
from stablenew.recording.feedback_manager import KEEP, parse_stars
from tests.samples import sealed_run


@pytest.fixture
def run(store):
    return sealed_run(store, variants=3)


@pytest.fixture
def manager(store, run):
    return FeedbackManager(store, rater="alice")


def files_of(run):
    return {path.name: path.read_bytes() for path in run.path.glob("*feedback*")}


def opinion(manager, image, rater="alice"):
    run = manager._store.open("sample-run")
    images = manager.state("sample-run").images
    return images.get(run.find_output(image).digest, {}).get(rater)


def test_everything_that_can_be_said_is_said(manager, store):
    manager.record_feedback(
        "sample-run",
        "0/0",
        4,
        notes="hands wrong",
        tags=["portrait", "keeper"],
        flag="pick",
        aspects={"composition": 5},
    )
    one = opinion(manager, "0/0")
    assert (one.rating, one.tags, one.flag, one.aspects) == (4, ("keeper", "portrait"), "pick", {"composition": 5})
    assert [note.text for note in one.notes] == ["hands wrong"]
    assert RunVerifier(store.open("sample-run"), deep=True).verify().findings == ()


def test_saying_one_thing_leaves_the_others(manager):
    manager.record_feedback("sample-run", "0/0", 4, tags=["a", "b"], flag="pick", notes="x")
    manager.record_feedback("sample-run", "0/0", KEEP, remove_tags=["a"], notes="")
    one = opinion(manager, "0/0")
    assert (one.rating, one.tags, one.flag, one.notes) == (4, ("b",), "pick", None)
    manager.record_feedback("sample-run", "0/0", None, flag=None, remove_tags=["b"])
    assert opinion(manager, "0/0") is None


def test_unrated_is_not_zero(manager):
    manager.record_feedback("sample-run", "0/0", 0)
    assert opinion(manager, "0/0").rating == 0
    assert opinion(manager, "1/0") is None


def test_images_are_named_in_every_way(manager, run):
    output = next(run.iter_outputs())[1]
    for rating, name in enumerate([output.digest, output.digest[7:15], output.path, "0/0"]):
        manager.record_feedback("sample-run", name, rating)
        assert opinion(manager, "0/0").rating == rating


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("sample-run", "0/0", 6), InvalidDocument),
        (("sample-run", "0/0", -1), InvalidDocument),
        (("sample-run", "0/0", 4.5), InvalidDocument),
        (("sample-run", "0/0", float("nan")), ValueError),
        (("sample-run", "0/0", True), InvalidDocument),
        (("sample-run", "0/0", "4"), InvalidDocument),
        (("sample-run", "9/0", 4), OutputNotFound),
        (("sample-run", "../x", 4), OutputNotFound),
        (("sample-run", "", 4), OutputNotFound),
        (("../sample-run", "0/0", 4), RunNotFound),
        (("/etc", None, 4), RunNotFound),
        (("nothing", None, 4), RunNotFound),
        (("sample-run", None), InvalidDocument),
        (("sample-run", None, 4, None, [""]), InvalidDocument),
        (("sample-run", None, 4, None, None, "Pick Me"), InvalidDocument),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(manager, run, store, arguments, error):
    with pytest.raises(error):
        manager.record_feedback(*arguments)
    assert files_of(run) == {}
    assert sorted(path.name for path in store.root.iterdir()) == [".stablenew", "sample-run"]


@pytest.mark.parametrize(
    "fields", [{"rating": 9}, {"rating": True}, {"rating": "4"}, {"tags": "portrait"}, {"stars": 4}]
)
def test_input_out_of_range_is_refused_before_it_is_sent(fields):
    with pytest.raises(InvalidDocument, match=next(iter(fields))):
        FeedbackInput.build(run_id="sample-run", image_id="0/0", **fields)


def test_a_batch_is_one_write_for_each_run_and_all_or_nothing_in_its_checks(store, manager, run):
    other = sealed_run(store, "other-run")
    batch = [FeedbackInput(run_id="sample-run", image_id=f"{n}/0", rating=n) for n in range(3)] + [
        FeedbackInput(run_id="other-run", image_id="0/0", rating=5)
    ]
    with pytest.raises(OutputNotFound):
        manager.record_many([*batch, FeedbackInput(run_id="other-run", image_id="7/0", rating=3)])
    assert files_of(run) == files_of(other) == {}
    documents = manager.record_many(batch)
    assert [len(one.events) for one in documents] == [3, 1]
    assert [opinion(manager, f"{n}/0").rating for n in range(3)] == [0, 1, 2]
    assert len(manager.undo("sample-run")) == 3


def test_a_batch_that_the_disk_takes_in_part_says_so_and_keeps_what_it_took(store, manager, monkeypatch):
    runs = [sealed_run(store, f"run-{number}") for number in range(9)]
    real = os.fsync

    def fsync(descriptor):
        temporary = {path.stat().st_ino for path in runs[4].path.glob(".feedback*")}
        if os.fstat(descriptor).st_ino in temporary:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr("stablenew.disk.group_sync.os.fsync", fsync)
    with pytest.raises(WriteFailed, match="run-4"):
        manager.record_many([FeedbackInput(run_id=run.run_id, image_id="0/0", rating=4) for run in runs])
    monkeypatch.undo()
    for run in runs:
        assert manager.read(run.run_id).events[-1].rating == 4  # run-4 has it in this machine's log
        assert (run.path / "feedback.json").exists() == (run.run_id != "run-4")


@pytest.mark.heavy
def test_batches_in_threads_that_meet_from_both_ends_all_end(store, manager):
    names = [f"run-{number}" for number in range(40)]
    for name in names:
        sealed_run(store, name)
    orders = [names, names[::-1], names[20:] + names[:20], names[::2] + names[1::2]]
    with ThreadPoolExecutor(len(orders)) as pool:
        list(
            pool.map(
                lambda order: manager.record_many(
                    [FeedbackInput(run_id=name, image_id="0/0", rating=3) for name in order]
                ),
                orders,
            )
        )
    assert [len(manager.read(name).events) for name in names] == [len(orders)] * len(names)


def test_several_raters_keep_their_own_opinions(manager):
    manager.record_feedback("sample-run", "0/0", 1)
    manager.record_feedback("sample-run", "0/0", 5, rater="bob")
    manager.undo("sample-run")
    assert opinion(manager, "0/0") is None
    assert opinion(manager, "0/0", "bob").rating == 5


def test_undo_takes_back_a_whole_act_and_redo_says_it_again(manager):
    manager.record_feedback("sample-run", "0/0", 2)
    manager.record_feedback("sample-run", "0/0", 5, tags=["keeper"], flag="pick")
    assert len(manager.undo("sample-run")) == 3
    one = opinion(manager, "0/0")
    assert (one.rating, one.tags, one.flag) == (2, None, None)
    assert len(manager.redo("sample-run")) == 3
    one = opinion(manager, "0/0")
    assert (one.rating, one.tags, one.flag) == (5, ("keeper",), "pick")


def test_undo_and_redo_survive_a_restart_and_reach_other_machines(store, manager, run):
    manager.record_feedback("sample-run", "0/0", 2)
    manager.record_feedback("sample-run", "0/0", 5)
    assert FeedbackManager(store, rater="alice", replica="r2").undo("sample-run")
    assert opinion(FeedbackManager(store, rater="alice"), "0/0").rating == 2
    assert FeedbackManager(store, rater="alice", replica="r3").redo("sample-run")
    assert opinion(FeedbackManager(store, rater="alice"), "0/0").rating == 5
    assert manager.redo("sample-run") == []


def test_a_new_act_ends_what_can_be_redone(manager):
    manager.record_feedback("sample-run", "0/0", 2)
    manager.undo("sample-run")
    manager.record_feedback("sample-run", "1/0", 3)
    assert manager.redo("sample-run") == []
    manager.undo("sample-run")
    assert manager.undo("sample-run") == []


@pytest.mark.heavy
@settings(max_examples=40)
@given(st.lists(st.sampled_from(["rate", "undo", "redo"]), max_size=14))
def test_undo_and_redo_are_those_of_a_plain_stack(tmp_path_factory, steps):
    store = RunStore(tmp_path_factory.mktemp("m") / "runs")
    sealed_run(store, variants=1)
    manager = FeedbackManager(store, rater="alice")
    done, undone = [], []
    for number, step in enumerate(steps):
        if step == "rate":
            manager.record_feedback("sample-run", None, number % 6)
            done.append(number % 6)
            undone = []
        elif step == "undo":
            assert bool(manager.undo("sample-run")) == bool(done)
            if done:
                undone.append(done.pop())
        else:
            assert bool(manager.redo("sample-run")) == bool(undone)
            if undone:
                done.append(undone.pop())
        rating = manager.state("sample-run").run.get("alice")
        assert (rating.rating if rating else None) == (done[-1] if done else None)


def test_an_edit_after_seeing_another_wins_whatever_the_clocks_say(store, run):
    def at(year):
        return Clock(now=lambda: datetime(year, 1, 1, tzinfo=UTC))

    FeedbackManager(store, rater="alice", replica="ahead", clock=at(2036)).record_feedback("sample-run", "0/0", 1)
    FeedbackManager(store, rater="alice", replica="behind", clock=at(2016)).record_feedback("sample-run", "0/0", 5)
    assert opinion(FeedbackManager(store, rater="alice"), "0/0").rating == 5


@pytest.mark.heavy
def test_four_raters_at_once_in_threads_lose_nothing(store, run):
    def work(name):
        manager = FeedbackManager(store, rater=name)
        for number in range(25):
            manager.record_feedback("sample-run", f"{number % 3}/0", number % 6)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_hundred_events(store)


def rate_in_a_process(root, name):
    manager = FeedbackManager(root, rater=name)
    for number in range(25):
        manager.record_feedback("sample-run", f"{number % 3}/0", number % 6)


@pytest.mark.heavy
def test_four_raters_at_once_in_processes_lose_nothing(store, run):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=rate_in_a_process, args=(store.root, name)) for name in "abcd"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    check_hundred_events(store)


def check_hundred_events(store):
    reading = FeedbackManager(store).read("sample-run")
    assert len(reading.events) == 100
    assert reading.problems == ()
    assert len({one.clock for one in reading.events}) == 100
    assert {one.document.events for one in reading.files if one.document} == {reading.events}
    assert RunVerifier(store.open("sample-run")).verify().findings == ()


def test_jobs_are_rated_and_the_ratings_survive_a_restart(store, run):
    sealed_run(store, "other-run")
    ratings = RatingsStore(store, rater="alice")
    assert ratings.get_ratings_dict() == {}
    ratings.set_rating("sample-run", 0)
    ratings.set_rating("other-run", 5)
    assert RatingsStore(store.root, rater="alice").get_ratings_dict() == {"sample-run": 0, "other-run": 5}
    assert RatingsStore(store, rater="bob").get_ratings_dict() == {}
    ratings.set_rating("other-run", None)
    assert ratings.get_ratings_dict() == {"sample-run": 0}
    with pytest.raises(InvalidDocument):
        ratings.set_rating("sample-run", 6)
    with pytest.raises(RunNotFound):
        ratings.set_rating("../x", 3)


def test_stars_are_typed_as_numbers_or_clear():
    assert [parse_stars(text) for text in ("0", "5", "clear")] == [0, 5, None]
    for text in ("6", "-1", "4.5", "nan", "", "٣"):
        with pytest.raises(ConfigError):
            parse_stars(text)


def test_a_job_that_is_not_there_yet_can_be_rated_and_its_run_takes_the_rating_in(store, run):
    ratings = RatingsStore(store, rater="alice")
    ratings.set_rating("later-run", 3)
    ratings.set_rating("later-run", 4)
    ratings.set_rating("never-run", None)
    assert RatingsStore(store, rater="alice").get_ratings_dict() == {"later-run": 4}
    assert RatingsStore(store, rater="bob").get_ratings_dict() == {}
    with pytest.raises(InvalidDocument):
        ratings.set_rating("later-run", 6)
    with pytest.raises(RunNotFound):
        ratings.set_rating("Not An Id", 4)
    sealed_run(store, "later-run")
    assert RatingsStore(store, rater="alice").get_ratings_dict() == {"later-run": 4}
    assert FeedbackManager(store).state("later-run").run["alice"].rating == 4
    FeedbackManager(store, rater="alice").record_feedback("later-run", None, 1)
    assert ratings.get_ratings_dict() == {"later-run": 1}, "it was joined once, and does not come back"


def test_a_rating_after_the_run_came_replaces_the_one_that_waited(store):
    ratings = RatingsStore(store, rater="alice")
    ratings.set_rating("later-run", 2)
    sealed_run(store, "later-run")
    ratings.set_rating("later-run", 5)
    assert ratings.get_ratings_dict() == {"later-run": 5}


def compared(store, winner, loser, **fields):
    runs = {"winner_run_id": winner[0], "winner": winner[1], "loser_run_id": loser[0], "loser": loser[1]}
    return ComparisonInput.build(**runs, **fields)


def test_images_of_two_runs_are_compared_in_the_log_of_one_of_them(store, manager):
    other = sealed_run(store, "other-run", variants=3)
    pair = (("sample-run", "0/0"), ("other-run", "1/0"))
    digests = {run_id: store.open(run_id).find_output(name).digest for run_id, name in pair}
    home, away = sorted(digests, key=lambda run_id: digests[run_id])
    for winner, loser in (pair, pair[::-1]):
        (document,) = manager.record_comparisons([compared(store, winner, loser, outcome="tie", act=winner[0])])
        assert document.run_id == home
    events = manager.read(home).events
    assert [event.other_run_id for event in events] == [away, away]
    assert {event.winner for event in events} == set(digests.values())
    assert not manager.read(away).events
    assert RunVerifier(other, deep=True).verify().findings == ()


def test_a_vote_that_arrives_twice_counts_once_and_is_undone_by_its_act(store, manager):
    vote = compared(
        store, ("sample-run", "0/0"), ("sample-run", "1/0"), shown="right", asked="duel: model", repeat=1, act="v1"
    )
    manager.record_comparisons([vote])
    manager.record_comparisons([vote, vote])
    (event,) = manager.read("sample-run").events
    assert (event.outcome, event.shown, event.asked, event.repeat) == ("win", "right", "duel: model", 1)
    assert len(manager.undo("sample-run", act="v1")) == 1
    manager.record_comparisons([vote])
    assert manager.state("sample-run").preferences == ()
    assert len(manager.redo("sample-run", act="v1", as_act="v2")) == 1
    assert len(manager.state("sample-run").preferences) == 1


def test_a_comparison_with_itself_or_with_nothing_leaves_everything_as_it_was(store, manager):
    good = compared(store, ("sample-run", "0/0"), ("sample-run", "1/0"))
    for bad, error in (
        (compared(store, ("sample-run", "0/0"), ("sample-run", "0/0")), InvalidDocument),
        (compared(store, ("sample-run", "0/0"), ("no-such-run", "0/0")), RunNotFound),
        (compared(store, ("sample-run", "0/0"), ("sample-run", "9/9")), OutputNotFound),
    ):
        with pytest.raises(error):
            manager.record_comparisons([good, bad])
    assert manager.read("sample-run").events == ()


def test_an_image_goes_into_the_trash_and_out_and_undo_takes_that_back(manager):
    def say(trashed, act):
        manager.record_many([FeedbackInput.build(run_id="sample-run", image_id="1/0", trashed=trashed, act=act)])
        return opinion(manager, "1/0")

    assert say(True, "one").trashed
    assert say(False, "two") is None
    assert len(manager.undo("sample-run", act="two")) == 1
    assert opinion(manager, "1/0").trashed
    with pytest.raises(InvalidDocument, match="only images"):
        FeedbackInput.build(run_id="sample-run", image_id=None, trashed=True)
