"""Digests, places, jobs and comparisons of a small store, read from its index."""

import os

import pytest

from stablenew import FeedbackManager, JobHistory, RunStore
from stablenew.formats.documents.feedback_input import ComparisonInput
from stablenew.index.asking.comparisons import read_comparisons
from stablenew.index.asking.image_digests import (
    digests_by_run,
    digests_of,
    find_copies,
    image_ids,
    newest_place,
    runs_holding,
)
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.asking.job_rows import final_outputs, output_at, read_jobs
from tests import samples

EARLY, LATE, LAST = (f"2026112{day}-071009-123-aaaaaaaaaa" for day in (1, 2, 3))
UNKNOWN = "xxh128:" + "f" * 32


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digests")
    patch = pytest.MonkeyPatch()
    patch.setenv("STABLENEW_STATE_DIR", str(folder / "state"))
    patch.setenv("STABLENEW_CONFIG_DIR", str(folder / "config"))
    store = RunStore(folder / "runs")
    digests = {}
    shared = samples.png(b"shared")
    for run_id, images in ((EARLY, [shared, b"one"]), (LATE, [b"two"]), (LAST, [shared])):
        writer = store.create(samples.metadata(run_id, created_at="2026-11-21T07:10:09.123Z"))
        written = [
            samples.write_variant(writer, index, data if data is shared else samples.png(data))
            for index, data in enumerate(images)
        ]
        counts = {"record_count": len(images), "output_count": len(images)}
        writer.seal(samples.metadata(run_id, status="completed", **counts))
        digests[run_id] = [record.outputs[0].digest for record in written]
    history = JobHistory(store.root)
    history.refresh(is_patient=True)
    yield store, history, digests
    history.close()
    patch.undo()


@pytest.fixture
def reader(world):
    return world[1].keeper.reader


def test_an_image_is_one_however_many_runs_hold_it(world, reader):
    _, _, digests = world
    shared, one = digests[EARLY]
    assert digests[LAST] == [shared]
    found = image_ids(reader, [shared, one, *digests[LATE], UNKNOWN, "", "xxh128:abc", "shared"])
    assert found.keys() == {shared, one, *digests[LATE]}
    assert len(set(found.values())) == 3
    assert sorted(digests_of(reader, list(found.values()))) == sorted(found)
    assert digests_of(reader, []) == []


def test_runs_that_hold_an_image_come_oldest_first(world, reader):
    _, _, digests = world
    assert runs_holding(reader, digests[EARLY][0]) == [EARLY, LAST]
    assert runs_holding(reader, digests[LATE][0]) == [LATE]
    assert runs_holding(reader, UNKNOWN) == []


def test_digests_are_listed_by_the_runs_that_hold_them(world, reader):
    _, _, digests = world
    ids = image_ids(reader, [digest for run in digests.values() for digest in run])
    assert digests_by_run(reader, list(ids.values())) == {run: sorted(found) for run, found in digests.items()}
    assert digests_by_run(reader, [ids[digests[LATE][0]]]) == {LATE: digests[LATE]}


def test_more_images_are_asked_for_than_one_query_may_name(world, reader):
    _, _, digests = world
    numbers = list(range(1, 2_000))
    assert sorted(digests_of(reader, numbers)) == sorted({digest for run in digests.values() for digest in run})
    assert digests_by_run(reader, numbers).keys() == digests.keys()


def test_the_newest_place_of_an_image_is_in_the_newest_run(world, reader):
    _, history, digests = world
    ids = image_ids(reader, [digests[EARLY][0], digests[EARLY][1]])
    run, position, number = newest_place(reader, ids[digests[EARLY][0]])
    assert (reader.run_id_of(run), position, number) == (LAST, 0, 0)
    run, position, number = newest_place(reader, ids[digests[EARLY][1]])
    assert (reader.run_id_of(run), position, number) == (EARLY, 1, 0)
    assert newest_place(reader, 10**6) is None
    assert history.image_rows([ids[digests[EARLY][1]], 10**6])[0]["digest"] == digests[EARLY][1]


def test_pictures_that_are_one_file_are_no_copies(reader):
    assert find_copies(reader) == []


def test_jobs_come_in_the_order_asked_for_without_those_that_are_gone(world, reader):
    numbers = [reader.id_of(run_id) for run_id in (LATE, EARLY, LAST)]
    rows = read_jobs(reader, [numbers[0], 10**6, *numbers[1:]])
    assert [row["run_id"] for row in rows] == [LATE, EARLY, LAST]
    assert [row["output_count"] for row in rows] == [1, 2, 1]
    assert rows[1]["created_at"] == samples.STARTED
    assert [output["digest"] for output in rows[1]["outputs"]] == world[2][EARLY]
    assert reader.id_of("no-such-run") is None
    assert sorted(reader.run_ids([*numbers, 10**6])) == [EARLY, LATE, LAST]


def test_outputs_of_a_job_have_variant_path_and_digest(world, reader):
    store, _, digests = world
    number = reader.id_of(EARLY)
    outputs = final_outputs(reader, number)
    assert [(variant, digest) for variant, _, digest in outputs] == list(enumerate(digests[EARLY]))
    assert all((store.root / EARLY / path).is_file() for _, path, _ in outputs)
    assert output_at(reader, number, 1, 0) == {"path": outputs[1][1], "digest": digests[EARLY][1]}
    assert output_at(reader, number, 2, 0) is None
    assert final_outputs(reader, 10**6) == []


def test_a_comparison_is_read_until_it_is_taken_back(world, reader):
    store, history, digests = world
    manager = FeedbackManager(store, rater="kim")
    first = ComparisonInput(
        winner_run_id=EARLY, winner="1/0", loser_run_id=LATE, loser="0/0", shown="left", asked="sharper", act="a" * 8
    )
    manager.record_comparisons([first, first.model_copy(update={"asked": None, "outcome": "tie", "act": "b" * 8})])
    history.refresh(is_patient=True)
    ids = image_ids(reader, [digests[EARLY][1], digests[LATE][0]])
    rows = read_comparisons(reader)
    assert [(row.outcome, row.rater, row.shown, row.asked) for row in rows] == [
        ("win", "kim", "left", "sharper"),
        ("tie", "kim", "left", None),
    ]
    assert {(row.winner, row.loser) for row in rows} == {(ids[digests[EARLY][1]], ids[digests[LATE][0]])}
    assert [row.clock for row in rows] == sorted(row.clock for row in rows)
    assert [row.asked for row in read_comparisons(reader, "sharper")] == ["sharper"]
    assert read_comparisons(reader, "never asked") == []


def test_without_an_index_there_is_nothing_and_no_error(tmp_path):
    reader = IndexReader(tmp_path / "absent" / "index.db")
    assert image_ids(reader, [UNKNOWN]) == {}
    assert runs_holding(reader, UNKNOWN) == find_copies(reader) == read_comparisons(reader) == []
    assert read_jobs(reader, [1]) == final_outputs(reader, 1) == []
    assert newest_place(reader, 1) is None
    assert (reader.run_count(), reader.is_complete, reader.last_change()) == (0, False, ("", 0))


def test_inside_a_snapshot_nothing_moves_and_after_it_all_is_there(world, reader):
    store, history, _ = world
    before = reader.run_count()
    with reader.snapshot() as connection, reader.snapshot() as inner:
        assert connection is inner
        assert reader.run_count() == before
        samples.sealed_run(store, "added-meanwhile", variants=1)
        os.utime(store.root)
        history.refresh(is_patient=True)
        assert reader.run_count() == before
    assert reader.run_count() == before + 1
    assert not connection.in_transaction
