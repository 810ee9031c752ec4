"""AppController: one place that wires; history and panels follow what is done."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from stablenew import AppConfig, PipelineConfig, RatingsStore, RunStore, RunVerifier
from stablenew.controller.app_controller import AppController
from stablenew.controller.job_news import JOB_COMPLETED, RATING_CHANGED
from stablenew.errors import InvalidDocument, InvalidQuery, RunNotFound
from stablenew.formats.documents.feedback_input import FeedbackInput
from stablenew.pipeline.pack_library import build_typed_pack
from stablenew.pipeline.run_options import RunOptions
from tests import samples

CONFIG = PipelineConfig(txt2img={"width": 32, "height": 32, "steps": 4})


@pytest.fixture
def controller(tmp_path):
    made = AppController(runs_dir=tmp_path / "runs")
    yield made
    made.history.close()


@pytest.fixture
def news(controller):
    heard = []
    controller.subscribe(heard.append)
    return heard


def run(controller):
    return controller.run_pipeline(CONFIG, pack=build_typed_pack("a lake"), options=RunOptions(learning=True))


def test_a_completed_job_is_in_history_log_and_panels(controller, news):
    result = run(controller)
    assert [(one.kind, one.run_id) for one in news] == [(JOB_COMPLETED, result.run_id)]
    assert news[0].job["status"] == "completed"
    assert controller.history.get(result.run_id).to_dict() == news[0].job
    assert [record.run_id for record in controller.learning_log] == [result.run_id]


def test_a_changed_rating_is_kept_shown_and_told(controller, news):
    run_id = run(controller).run_id
    controller.on_rating_changed(run_id, 4)
    assert [one.kind for one in news] == [JOB_COMPLETED, RATING_CHANGED]
    assert news[-1].job["rating"] == 4
    assert AppController(runs_dir=controller.root).feedback.state(run_id).run[controller.feedback.rater].rating == 4


def test_bad_ratings_change_nothing_and_tell_nobody(controller, news):
    run_id = run(controller).run_id
    with pytest.raises(InvalidDocument):
        controller.on_rating_changed(run_id, 6)
    with pytest.raises(RunNotFound):
        controller.on_rating_changed("20200101-000000-000-aaaaaaaaaa", 3)
    assert len(news) == 1
    assert not (controller.root / run_id / "feedback.json").exists()


@pytest.mark.parametrize("query", ["\udcff", "rating:>=x", "("])
def test_a_query_that_cannot_be_understood_makes_no_dataset(controller, query):
    run(controller)
    with pytest.raises(InvalidQuery):
        controller.datasets.open(query)


def test_nobody_listens_and_nothing_is_looked_up(controller):
    run(controller)
    assert "history" not in vars(controller)


def test_who_waits_for_ends_of_runs_hears_of_no_rating_and_none_is_looked_up(controller):
    heard = []
    controller.subscribe(heard.append, only_ends=True)
    result = run(controller)
    controller.history.close()
    vars(controller).pop("history")
    controller.on_rating_changed(result.run_id, 4)
    assert [(item.kind, item.run_id) for item in heard] == [(JOB_COMPLETED, result.run_id)]
    assert "history" not in vars(controller)


def test_a_listener_that_raises_spoils_neither_the_rating_nor_the_other_listeners(controller, caplog):
    def broken(_news):
        raise ZeroDivisionError("a panel broke")

    heard = []
    controller.subscribe(broken)
    controller.subscribe(heard.append)
    run_id = run(controller).run_id
    controller.on_rating_changed(run_id, 4)
    (document,) = controller.record_feedback([FeedbackInput(run_id=run_id, rating=5)])
    assert document.state.run[controller.feedback.rater].rating == 5
    assert [item.kind for item in heard] == [JOB_COMPLETED, RATING_CHANGED, RATING_CHANGED]
    assert caplog.text.count("a panel broke") == 1


def test_a_history_that_cannot_be_read_does_not_make_a_saved_rating_look_failed(controller, news, monkeypatch, caplog):
    run_id = run(controller).run_id

    def refresh(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(controller.history, "refresh", refresh)
    controller.on_rating_changed(run_id, 4)
    assert controller.feedback.state(run_id).run[controller.feedback.rater].rating == 4
    assert "No space left" in caplog.text


def test_undo_and_redo_tell_the_listeners_and_a_second_undo_does_not(controller, news):
    run_id = run(controller).run_id
    controller.on_rating_changed(run_id, 2)
    assert len(controller.undo_feedback([run_id])) == 1
    assert controller.undo_feedback([run_id]) == []
    assert len(controller.redo_feedback([run_id])) == 1
    assert [item.job["rating"] for item in news if item.kind == RATING_CHANGED] == [2, None, 2]


def test_the_jobs_are_stopped_only_where_there_are_any(controller):
    controller.stop_jobs()
    assert "jobs" not in vars(controller)


def test_a_batch_tells_once_for_each_run(controller, news):
    ids = [run(controller).run_id for _ in range(2)]
    controller.record_feedback(
        [
            FeedbackInput(run_id=ids[0], image_id=None, rating=1),
            FeedbackInput(run_id=ids[1], image_id=None, rating=2),
            FeedbackInput(run_id=ids[0], image_id=None, rating=3),
        ]
    )
    assert [one.run_id for one in news if one.kind == RATING_CHANGED] == ids


def test_without_learning_nothing_is_written(controller, news):
    result = controller.run_pipeline(CONFIG, pack=build_typed_pack("a lake"))
    assert (result.run_path, news) == (None, [])
    assert not controller.root.exists()


def test_it_speaks_with_the_rater_of_the_settings(controller):
    run_id = run(controller).run_id
    AppConfig().set("rater", "carol")
    controller.forget_rater()
    controller.on_rating_changed(run_id, 5)
    assert list(controller.feedback.state(run_id).run) == ["carol"]


def test_it_verifies_surveys_and_repairs(controller):
    run_id = run(controller).run_id
    ((report, done, total),) = controller.iter_verify()
    assert (report, done, total) == (RunVerifier(RunStore(controller.root).open(run_id)).verify(), 1, 1)
    ((survey, _, _),) = controller.iter_survey()
    assert (survey.run_id, survey.file_count, survey.conflict_copies) == (run_id, 4, ())
    files = [path for path in (controller.root / run_id).rglob("*") if path.is_file()]
    assert survey.size_bytes == sum(path.stat().st_size for path in files)
    assert survey.size_bytes > len(samples.png())
    ((repaired, done, total),) = controller.iter_repair(["latest"])
    assert (repaired.actions, done, total) == ([], 1, 1)


def test_a_part_is_made_once_however_many_threads_ask_for_it(controller):
    start = threading.Barrier(8)

    def ask(_):
        start.wait()
        return controller.jobs, controller.history, controller.feedback

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert len({tuple(map(id, parts)) for parts in found}) == 1


def test_a_job_is_announced_by_its_result_or_its_id_and_gets_the_rating_that_waited(controller, news):
    RatingsStore(controller.root, rater="alice").set_rating("my-run", 4)
    config = CONFIG.model_copy(update={"run_id": "my-run"})
    result = controller.run_pipeline(config, pack=build_typed_pack("a lake"), options=RunOptions(learning=True))
    controller.on_job_completed(result)
    controller.on_job_completed(result.run_id)
    assert [item.run_id for item in news] == ["my-run"] * 3
    assert controller.feedback.state("my-run").run["alice"].rating == 4
