"""The queries that the specification gives for DuckDB say what our readers say."""

import re
from pathlib import Path

import pytest

from stablenew import FeedbackManager
from tests.samples import add_event, metadata, record, sealed_run, write_variant

PAGE = Path(__file__).parents[2] / "schemas" / "README.md"


@pytest.fixture
def answers(store, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    store.prepare()
    monkeypatch.chdir(store.root)
    (block,) = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    statements = [text for text in block.split(";\n") if text.strip()]
    assert len(statements) == 3
    return lambda number: duckdb.sql(statements[number]).fetchall()


def test_outputs_of_all_runs_are_listed_with_what_made_them(store, answers):
    runs = [sealed_run(store, name) for name in ("first", "second")]
    expected = [
        (run.run_id, record.prompt.positive, str(record.actual.seed), output.path, output.digest)
        for run in runs
        for record, output in run.iter_outputs()
    ]
    assert sorted(answers(0)) == sorted(expected)
    assert len(expected) == 4


def test_durations_are_averaged_for_each_sampler(store, answers):
    writer = store.create(metadata("timed"))
    for index, (sampler, seconds) in enumerate((("Euler a", 2.0), ("Euler a", 4.0), ("Heun", 1.0))):
        fields = {"actual": {"sampler": sampler, "seed": "18446744073709551615"}, "duration_seconds": seconds}
        writer.append_record(record("timed", index, **fields))
    writer.append_record(record("timed", 3, status="failed", actual={"sampler": "Heun"}, duration_seconds=99.0))
    assert answers(1) == [("Heun", 1, 1.0), ("Euler a", 2, 3.0)]


def test_stars_are_those_of_the_fold(store, answers):
    run = sealed_run(store, "rated")
    first, second = (output.digest for _, output in run.iter_outputs())
    ratings = ((first, 2, "anna"), (first, 5, "anna"), (first, 1, "ben"), (second, 4, "anna"), (None, 3, "ben"))
    events = [
        add_event(run, "rate", at=f"2026-11-22T08:00:0{second}.000Z-0000", image_id=image, rating=rating, rater=rater)
        for second, (image, rating, rater) in enumerate(ratings)
    ]
    add_event(run, "rate", at="2026-11-22T09:00:00.000Z-0000", image_id=second, rating=None, rater="anna")
    add_event(run, "rate", at="2026-11-22T09:00:00.000Z-0000", image_id=second, rating=0, aspect="anatomy")
    add_event(run, "retract", at="2026-11-22T09:01:00.000Z-0000", rater="anna", event_ids=[events[1].id])
    add_event(run, "retract", at="2026-11-22T09:02:00.000Z-0000", rater="anna", event_ids=[events[2].id], replica="m-2")
    state = FeedbackManager(store).read("rated").build_document().state
    told = {("run", rater): opinion.rating for rater, opinion in state.run.items()}
    told |= {(image, rater): said.rating for image, by in state.images.items() for rater, said in by.items()}
    assert {(image or "run", rater): stars for image, rater, stars in answers(2)} == {
        key: rating for key, rating in told.items() if rating is not None
    }
    assert told == {("run", "ben"): 3, (first, "anna"): 2, (first, "ben"): 1, (second, "alice"): None}


def test_the_folder_of_a_run_alone_is_enough_to_read_it(store, answers):
    writer = store.create(metadata("alone"))
    write_variant(writer, 0)
    writer.abandon()
    assert len(answers(0)) == 1
