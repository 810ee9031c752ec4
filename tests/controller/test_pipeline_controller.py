import ast
import json
import logging
from pathlib import Path

import pytest

import stablenew.controller
from stablenew import AppConfig, InMemoryLearningRecordWriter, PipelineConfig, PipelineController, RunOptions, RunStore
from stablenew.errors import ConfigError

CONFIG = PipelineConfig(txt2img={"width": 32, "height": 32, "seed": 1}, prompt="a lake")


@pytest.fixture
def controller(tmp_path):
    return PipelineController(AppConfig(environment={}), runs_dir=tmp_path / "runs")


def test_learning_is_off_until_somebody_turns_it_on(controller, tmp_path):
    seen = []
    controller.register_learning_record_callback(seen.append)
    assert controller.learning_enabled is False
    assert controller.run(CONFIG).succeeded
    assert seen == []
    assert not (tmp_path / "runs").exists()
    assert controller.last_learning_record is None


def test_the_toggle_is_kept(controller, tmp_path):
    controller.learning_enabled = True
    assert AppConfig(environment={}).learning_enabled is True
    result = controller.run(CONFIG)
    assert RunStore(tmp_path / "runs").open(result.run_id).status == "completed"
    assert controller.last_learning_record is result.records[0]


def test_a_config_may_ask_for_its_own_run_and_a_caller_may_decide(controller, tmp_path):
    asking = CONFIG.model_copy(update={"learning_enabled": True})
    assert controller.run(asking).run_path
    assert controller.run(asking, options=RunOptions(learning=False)).run_path is None
    assert controller.run(CONFIG, options=RunOptions(learning=True)).run_path


def test_every_callback_gets_the_same_instance_and_one_that_raises_harms_nobody(controller, caplog):
    first, second = [], []

    def fail(_record):
        raise RuntimeError("not today")

    for callback in (first.append, fail, second.append):
        controller.register_learning_record_callback(callback)
    with caplog.at_level(logging.ERROR):
        result = controller.run(CONFIG, options=RunOptions(learning=True))
    assert first[0] is second[0] is result.records[0]
    assert "not today" in caplog.text
    controller.clear_learning_record_callbacks()
    controller.run(CONFIG, options=RunOptions(learning=True))
    assert len(first) == 1


def test_an_injected_writer_gets_the_records(tmp_path):
    writer = InMemoryLearningRecordWriter()
    controller = PipelineController(
        AppConfig(environment={}), runs_dir=tmp_path / "runs", learning_record_writer=writer
    )
    controller.run(CONFIG)
    assert list(writer.iter_records()) == []
    result = controller.run(CONFIG, options=RunOptions(learning=True))
    assert tuple(writer.iter_records()) == result.records


def test_controllers_import_no_user_interface():
    for path in Path(stablenew.controller.__file__).parent.glob("*.py"):
        imported = {
            name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
        }
        assert not any(name.split(".")[0] in {"tkinter", "typer", "rich", "starlette"} for name in imported)


def test_settings_come_from_defaults_file_and_environment_in_rising_order():
    config = AppConfig(environment={})
    assert (config.get("learning_enabled"), config.get("engine")) == (False, "sketch")
    config.set("learning_enabled", "yes")
    assert AppConfig(environment={}).get("learning_enabled") is True
    assert AppConfig(environment={"STABLENEW_LEARNING_ENABLED": "0"}).get("learning_enabled") is False
    assert json.loads(config.path.read_bytes()) == {"learning_enabled": True}


def test_settings_of_other_versions_survive():
    config = AppConfig(environment={})
    config.path.parent.mkdir(parents=True)
    config.path.write_text('{"from_the_future": 1}')
    config.set("rater", "alice")
    assert json.loads(config.path.read_bytes()) == {"from_the_future": 1, "rater": "alice"}


@pytest.mark.parametrize(
    ("name", "value"), [("learning_enabled", "maybe"), ("nonsense", "1"), ("engine", 3), ("learning_enabled", 1)]
)
def test_settings_that_do_not_fit_are_refused_and_change_nothing(name, value):
    config = AppConfig(environment={})
    with pytest.raises(ConfigError):
        config.set(name, value)
    assert not config.path.exists()


@pytest.mark.parametrize("junk", ["{", "[]", '{"learning_enabled": "true"}', "\x00"])
def test_a_damaged_file_is_named_and_never_overwritten(junk):
    config = AppConfig(environment={})
    config.path.parent.mkdir(parents=True)
    config.path.write_text(junk)
    with pytest.raises(ConfigError, match=r"config\.json"):
        config.get("learning_enabled")
    assert config.path.read_text() == junk


def test_a_callback_can_be_given_from_the_start_and_outlives_those_that_are_cleared(tmp_path):
    given, registered = [], []
    controller = PipelineController(
        AppConfig(environment={}), runs_dir=tmp_path / "runs", on_learning_record=given.append
    )
    controller.register_learning_record_callback(registered.append)
    controller.clear_learning_record_callbacks()
    result = controller.run(CONFIG, options=RunOptions(learning=True))
    assert (tuple(given), registered) == (result.records, [])


def test_the_learning_runner_records_and_tells(tmp_path):
    seen = []
    controller = PipelineController(
        AppConfig(environment={}), runs_dir=tmp_path / "runs", on_learning_record=seen.append
    )
    result = controller.get_learning_runner_for_tests().run(CONFIG)
    assert RunStore(tmp_path / "runs").open(result.run_id).status == "completed"
    assert controller.last_learning_record is seen[0]


def test_without_learning_there_are_no_records(tmp_path):
    seen = []
    controller = PipelineController(
        AppConfig(environment={}), runs_dir=tmp_path / "runs", on_learning_record=seen.append
    )
    assert (controller.run(CONFIG).records, seen) == ((), [])
