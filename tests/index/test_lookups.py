"""What a rating costs in an index of millions of images: look-ups, whatever the size of the tables."""

import contextlib
import re
import sqlite3

import pytest

from stablenew import FeedbackManager, RunStore
from stablenew.formats.documents.feedback_input import FeedbackInput
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.index_schema import OPINION_TABLES, PLACE, RUN, VARIANT
from stablenew.index.job_history import JobHistory
from stablenew.index.reconciler import Reconciler
from stablenew.index.run_index import RunIndex
from tests import samples

LARGE = ("image", *(table.name for table in (RUN, VARIANT, PLACE, *OPINION_TABLES)))
STATISTICS = {
    "image": {"image_digest": "2626587 1"},
    "run": {"run_key": "1000000 1"},
    "variant": {"variant": "2626586 3 1"},
    "place": {"place_image": "2626586 1", "place": "2626586 3 1 1"},
    "opinion": {"opinion_image": "460759 2", "opinion": "460759 3 2 1"},
    "tag": {"tag_image": "131308 1", "tag": "131308 1 1 1 1"},
    "note": {"note_image": "131308 1", "note": "131308 1 1 1 1"},
    "score": {"score": "2626706 2 1 1 1"},
}
"""What SQLite itself notes of an index of a million jobs."""


@pytest.fixture
def history(tmp_path):
    store = RunStore(tmp_path / "runs")
    samples.sealed_run(store, "run-1")
    history = JobHistory(store.root)
    history.refresh()
    history.close()
    return history


def pretend_that_tables_are_large(connection):
    rows = [(table, index, text) for table, indexes in STATISTICS.items() for index, text in indexes.items()]
    connection.executescript("ANALYZE; DELETE FROM sqlite_stat1")
    connection.executemany("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", rows)
    connection.execute("ANALYZE sqlite_schema")


def steps_through(connection, statement, parameters=()):
    """The steps of a statement's plan that go through a whole large table."""
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
    pattern = re.compile(rf"(?:SCAN|BLOOM FILTER ON) (?:{'|'.join(LARGE)})\b")
    return [step for *_, step in plan if pattern.match(step)]


def rate(history):
    run_id = history.page().rows[0]["run_id"]
    FeedbackManager(RunStore(history.root)).record_many(
        [FeedbackInput(run_id=run_id, image_id=history.find_images().rows[0]["digest"], rating=4, tags=("keeper",))]
    )
    return run_id


def test_taking_a_rating_into_the_index_goes_through_no_large_table(history):
    run_id = rate(history)
    statements = []
    with contextlib.closing(RunIndex(history.keeper.path)) as index:
        reconciler = Reconciler(index, history.root)
        pretend_that_tables_are_large(index._connection)
        index._connection.set_trace_callback(statements.append)
        assert len(reconciler.update([run_id])) == 1
        index._connection.set_trace_callback(None)
        written = [text for text in statements if text.split()[0] not in ("BEGIN", "COMMIT")]
        assert any("is_latest" in text for text in written)
        found = {text: steps for text in written if (steps := steps_through(index._connection, text))}
    assert found == {}


def test_showing_a_rating_goes_through_no_large_table(history, monkeypatch):
    run_id = rate(history)
    history.columns.facets("images", history.parse(""))
    history.find_images("rating:4")
    with contextlib.closing(RunIndex(history.keeper.path)) as index:
        Reconciler(index, history.root).update([run_id])
    asked, fetch = [], IndexReader.fetch
    monkeypatch.setattr(IndexReader, "fetch", lambda self, *query: asked.append(query) or fetch(self, *query))
    assert history.find_images("rating:4").rows[0]["run_id"] == run_id
    history.image_facets()
    history.page("tag:keeper")
    assert history.number_of(run_id) is not None
    with contextlib.closing(sqlite3.connect(history.keeper.path)) as connection:
        pretend_that_tables_are_large(connection)
        found = {query[0]: steps for query in asked if (steps := steps_through(connection, *query))}
    assert found == {}
