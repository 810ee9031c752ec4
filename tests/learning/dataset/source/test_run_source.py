import pytest

from stablenew import RunStore
from stablenew.learning.dataset.source.run_source import VANISHED, LocalSource
from tests import restless, samples


@pytest.mark.heavy
def test_runs_that_come_and_go_meanwhile_hide_no_other(tmp_path):
    store = RunStore(tmp_path / "runs")
    samples.sealed_run(store, "first")
    source = LocalSource(store.root)
    with restless.repeating(restless.COME_AND_GO, store.root):
        for _ in range(3000):
            assert "first" in source.signatures()


def test_a_run_that_is_gone_is_left_out_with_the_reason(tmp_path):
    left_out = LocalSource(tmp_path).read("gone")
    assert left_out.reason == VANISHED
    assert left_out.detail == "No such file or directory"
