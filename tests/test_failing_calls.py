"""One call to the system fails, once, while many runs or images are read: the next reading has everything right."""

import pyarrow.parquet as pq
import pytest

from stablenew import DatasetBuilder, FeedbackManager, JobHistory, RunStore, RunVerifier
from stablenew.controller.light_table.trash import TrashCan
from stablenew.errors import StableNewError
from stablenew.formats.documents.feedback_input import FeedbackInput
from stablenew.importing.importer import Importer
from stablenew.store.upkeep.run_repair import repair_run
from tests.controller.light_table_stores import add_images
from tests.faults import every_call
from tests.importing.images import fill

pytestmark = pytest.mark.heavy


def attempt(function, *args, **kwargs):
    """The result, or the error, of something that may fail."""
    try:
        return function(*args, **kwargs)
    except (OSError, StableNewError) as error:
        return error


@pytest.fixture
def template(tmp_path):
    """Three images, one with four stars, another in the trash."""
    store = RunStore(tmp_path / "template")
    add_images(store, "first", {"seed": 1}, {"seed": 2})
    add_images(store, "second", {"seed": 3})
    feedback = FeedbackManager(store, rater="me", replica="desk")
    feedback.record_feedback("first", "0/0", 4)
    feedback.record_many([FeedbackInput.build(run_id="second", image_id="0/0", trashed=True)])
    return store.root


def test_history_remembers_no_failed_reading(template, monkeypatch):
    def refresh(root):
        history = JobHistory(root)
        return history, attempt(history.refresh, is_patient=True)

    for (history, _), failure in every_call(monkeypatch, refresh, template):
        history.refresh(is_patient=True)
        assert history.unreadable() == [], failure
        assert (history.count_images(), history.count_images("rating:4")) == (3, 1), failure
        history.close()


def test_an_import_loses_no_image_and_takes_none_twice(tmp_path, monkeypatch):
    fill(tmp_path / "outputs", 3)
    (tmp_path / "template").mkdir()

    def take_in(root):
        monkeypatch.setenv("STABLENEW_STATE_DIR", f"{root}-state")
        return RunStore(root), attempt(Importer(RunStore(root)).run, tmp_path / "outputs")

    for (store, _), failure in every_call(monkeypatch, take_in, tmp_path / "template"):
        Importer(store).run(tmp_path / "outputs")
        digests = [output.digest for run in store.iter_runs() for _, output in run.iter_outputs()]
        assert (len(digests), len(set(digests))) == (3, 3), failure
        for run in store.iter_runs():
            repair_run(run)  # a run that could not be sealed is an interrupted one
            assert RunVerifier(store.open(run.run_id)).verify().is_ok, failure


def test_a_dataset_has_every_image_or_names_what_it_left_out(template, monkeypatch):
    def count(folder):
        return sum(pq.read_metadata(path).num_rows for path in (folder / "images").rglob("*.parquet"))

    def build(root):
        folder = root.with_name(f"{root.name}-dataset")
        return root, folder, attempt(DatasetBuilder(root).build_learning_dataset, folder)

    for (root, folder, ledger), failure in every_call(monkeypatch, build, template):
        if not isinstance(ledger, Exception):
            assert count(folder) == 3 or ledger.left_out or ledger.problems, failure
        assert DatasetBuilder(root).build_learning_dataset(folder).left_out == (), failure
        assert count(folder) == 3, failure


def test_emptying_the_trash_removes_what_was_trashed_and_nothing_else(template, monkeypatch):
    def empty(can):
        return can.empty(can.choose()[0])

    def act(root):
        store = RunStore(root)
        history = JobHistory(root, rater="me")
        can = TrashCan(store, history, FeedbackManager(store, rater="me", replica="desk"))
        attempt(history.refresh, is_patient=True)
        return store, history, can, attempt(empty, can)

    for (store, history, can, _), failure in every_call(monkeypatch, act, template):
        history.refresh(is_patient=True)
        empty(can)
        left = {run.run_id: len(list((run.path / "outputs").glob("*.png"))) for run in store.iter_runs()}
        assert left == {"first": 2, "second": 0}, failure
        for run in store.iter_runs():
            assert RunVerifier(run).verify().is_ok, failure
        history.close()
