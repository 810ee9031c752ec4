"""The trash as the index knows it."""

import sqlite3

from stablenew import JobHistory, RunStore
from stablenew.index.index_file import index_path
from tests import samples


def trashed(store):
    history = JobHistory(store.root)
    history.refresh(is_patient=True)
    history.close()
    with sqlite3.connect(index_path(store.root)) as connection:
        rows = connection.execute("SELECT digest FROM image WHERE is_trashed").fetchall()
    return {f"xxh128:{digest.hex()}" for (digest,) in rows}


def test_an_image_is_in_the_trash_as_long_as_the_latest_word_says_so_whoever_s_it_is(tmp_path):
    run = samples.sealed_run(RunStore(tmp_path / "runs"))
    first, second = [output.digest for _, output in run.iter_outputs()]
    store = RunStore(tmp_path / "runs")
    thrown = samples.add_event(run, "trash", image_id=first, present=True)
    assert trashed(store) == {first}
    samples.add_event(run, "trash", image_id=first, present=False, rater="bob", at="2026-11-23T08:00:00.000Z-0000")
    samples.add_event(run, "trash", image_id=second, present=True, rater="bob")
    assert trashed(store) == {second}
    last = samples.add_event(run, "trash", image_id=first, present=True, at="2026-11-24T08:00:00.000Z-0000")
    assert trashed(store) == {first, second}
    samples.add_event(run, "retract", event_ids=[thrown.id, last.id], at="2026-11-25T08:00:00.000Z-0000")
    assert trashed(store) == {second}


def test_the_latest_word_of_all_runs_that_hold_an_image_counts(tmp_path):
    store = RunStore(tmp_path / "runs")
    runs = []
    for run_id in ("one", "two"):
        writer = store.create(samples.metadata(run_id))
        samples.write_variant(writer, 0, samples.png(b"the same"))
        runs.append(writer.seal(samples.metadata(run_id, status="completed", record_count=1, output_count=1)))
    ((_, output),) = runs[0].iter_outputs()
    samples.add_event(runs[0], "trash", image_id=output.digest, present=True)
    assert trashed(store) == {output.digest}
    restored = samples.add_event(
        runs[1], "trash", image_id=output.digest, present=False, at="2026-11-23T08:00:00.000Z-0000"
    )
    assert trashed(store) == set()
    samples.add_event(runs[1], "retract", event_ids=[restored.id], at="2026-11-24T08:00:00.000Z-0000")
    assert trashed(store) == {output.digest}


def test_what_the_strict_reader_gives_is_the_same(tmp_path):
    store = RunStore(tmp_path / "runs")
    run = samples.sealed_run(store)
    first, _ = [output.digest for _, output in run.iter_outputs()]
    samples.add_event(run, "trash", image_id=first, present=True)
    (run.path / "feedback.another.jsonl").write_bytes(b"no event\n")
    assert trashed(store) == {first}
