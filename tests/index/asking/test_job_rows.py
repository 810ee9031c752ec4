"""What a list says of the settings of a job: what people look for, and what varies."""

import pytest

from stablenew import JobHistory, RunStore
from stablenew.index.asking.job_rows import read_job_settings
from tests import samples


@pytest.fixture
def history(tmp_path):
    made = JobHistory(tmp_path / "runs")
    yield made
    made.close()


def settings_of(history, *settings):
    writer = RunStore(history.root).create(samples.metadata())
    for index, actual in enumerate(settings):
        writer.append_record(samples.record(index=index, actual=actual))
    writer.seal(samples.metadata(status="completed", record_count=len(settings), output_count=0))
    history.refresh(is_patient=True)
    return read_job_settings(history.keeper.reader, history.number_of("sample-run"))


def test_what_varies_is_listed_and_what_does_not_only_where_people_look_for_it(history):
    found = settings_of(
        history,
        {"model": "a", "cfg_scale": 7.1, "clip_skip": 2, "seed": 1, "eta": 0.5},
        {"model": "a", "cfg_scale": 7.123456, "clip_skip": 2, "seed": 2},
    )
    assert found == {
        "model": {"values": ["a"], "count": 1},
        "steps": {"values": [30.0], "count": 1},
        "cfg_scale": {"values": [7.1, 7.12346], "count": 2},
    }


def test_of_many_values_the_first_four_are_named_and_all_counted(history):
    found = settings_of(history, *({"steps": steps, "width": 64, "height": 0} for steps in (40, 10, 30, 20, 50)))
    assert found == {"steps": {"values": [10.0, 20.0, 30.0, 40.0], "count": 5}}


def test_values_below_zero_are_values(history):
    found = settings_of(history, *({"cfg_scale": scale, "eta": None} for scale in (-1.5, 0, 2)))
    assert found["cfg_scale"] == {"values": [-1.5, 0.0, 2.0], "count": 3}


def test_a_job_that_is_gone_has_no_settings(history):
    assert read_job_settings(history.keeper.reader, 1) == {}
    settings_of(history, {"steps": 10})
    assert read_job_settings(history.keeper.reader, 1) == {}
