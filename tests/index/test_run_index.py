"""Putting rows into the index: ids that two runs want, transactions that fail, runs that come twice."""

import contextlib
import sqlite3

import pytest

from stablenew import RunStore
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.index_schema import HASH_BITS, RUN, RUN_IS
from stablenew.index.reading.index_rows import build_rows
from stablenew.index.reading.run_reading import RunReader
from stablenew.index.reading.run_rows import RunRows
from stablenew.index.run_index import RunIndex
from tests import samples

LAST_SLOT = (1 << HASH_BITS) - 1


@pytest.fixture
def index(tmp_path):
    with contextlib.closing(RunIndex(tmp_path / "index.sqlite")) as index:
        yield index


@pytest.fixture
def runs(tmp_path):
    """The rows of three runs of one millisecond."""
    store = RunStore(tmp_path / "runs")
    names = [samples.sealed_run(store, f"run-{number}").run_id for number in range(3)]
    reader = RunReader(store.root)
    return [build_rows(reader.read(name)) for name in names]


def contents(index):
    """Every run with what hangs on its id: how many variants, which labels, whether its words are found."""
    with contextlib.closing(sqlite3.connect(index.path)) as connection:
        ids = dict(connection.execute("SELECT run_id, id FROM run"))
        query = (
            "SELECT run FROM variant WHERE prompt IN (SELECT rowid FROM prompt_text WHERE prompt_text MATCH 'harbour')"
        )
        found = [row[0] for row in connection.execute(query)]
        labels = connection.execute("SELECT run, text FROM label JOIN name ON name.id = label.name").fetchall()
        variants = [row[0] for row in connection.execute("SELECT run FROM variant")]
    return {
        run_id: (variants.count(one), sorted(text for at, text in labels if at == one), one in found)
        for run_id, one in ids.items()
    }


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("slot", [0, LAST_SLOT])
def test_runs_that_want_the_same_id_get_ids_of_their_own(index, runs, together, slot):
    index.upsert_runs(runs)
    expected = contents(index)
    assert len(expected) == 3
    wanted = runs[0].identifier & ~LAST_SLOT | slot
    index.upsert_runs([RunRows(rows.run_id) for rows in runs])
    assert contents(index) == {}
    rivals = [rows.moved_to(wanted) for rows in runs]
    for batch in [rivals] if together else [[rows] for rows in rivals]:
        index.upsert_runs(batch)
    assert contents(index) == expected
    assert all(count and is_found for count, _, is_found in expected.values())


def test_a_batch_that_fails_leaves_no_trace_and_no_number_of_it_is_used(index, runs):
    first, second, third = runs
    index.upsert_runs([first])
    before = contents(index)
    state = RUN.positions["state"]
    renamed = third._replace(run=(*third.run[:state], "a new word", *third.run[state + 1 :]))
    broken = second._replace(run=(*second.run[:state], None, *second.run[state + 1 :]))
    with pytest.raises(sqlite3.IntegrityError):
        index.upsert_runs([renamed, broken])
    assert contents(index) == before
    index.upsert_runs([second])
    index.upsert_runs([renamed])
    query = "SELECT run_id, text FROM run JOIN name ON name.id = run.state"
    states = dict(IndexReader(index.path).fetch(query))
    assert (states[third.run_id], states[second.run_id]) == ("a new word", "sealed")


def test_of_a_run_that_comes_twice_the_last_reading_counts(index, runs):
    first, second, _ = runs
    changes = index.upsert_runs([first, second, RunRows(first.run_id)])
    assert [(change.kind, change.run_id) for change in changes] == [("run_added", second.run_id)]
    changes = index.upsert_runs([RunRows(second.run_id), second])
    assert [(change.kind, change.run_id) for change in changes] == [("run_changed", second.run_id)]
    assert list(contents(index)) == [second.run_id]


def test_a_run_is_looked_up_and_not_searched_for(index):
    with contextlib.closing(sqlite3.connect(index.path)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT id FROM run WHERE {RUN_IS}", ("run-1",)).fetchall()
    assert [step[-1] for step in plan] == ["SEARCH run USING INDEX run_key (<expr>=?)"]
