"""The same dataset past one machine: a real cluster of two workers, runs on a real S3 server."""

import json
import shutil

import pytest

from stablenew.cli.main import _run
from stablenew.errors import ConfigError
from stablenew.learning.dataset import state
from stablenew.learning.dataset.parts.dask_executor import DaskExecutor
from stablenew.learning.dataset.parts.executor import LocalExecutor, open_executor
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.dataset.source.remote_source import open_source
from stablenew.learning.dataset_builder import DatasetBuilder
from tests.index.stores import make_store
from tests.learning.object_storage import serving
from tests.rclone import find_rclone_that_serves_s3

pytestmark = pytest.mark.filterwarnings("default::ResourceWarning", "default::DeprecationWarning")


@pytest.fixture(scope="module")
def needs_s3(needs_distributed):
    if find_rclone_that_serves_s3() is None:
        pytest.skip("no rclone that can serve S3 (1.65 or later)")


@pytest.fixture(autouse=True)
def _short_ranges(monkeypatch):
    monkeypatch.setattr(state, "_FEWEST_RUNS", 4)
    monkeypatch.setattr(state, "_MOST_RUNS", 9)


def rows(folder):
    dataset = Dataset(folder)
    return dataset.read_images().to_pylist(), dataset.read_preferences().to_pylist(), dataset.ledger.counts


def test_a_cluster_of_two_over_s3_gives_what_this_machine_gives(tmp_path, needs_s3):
    store = make_store(tmp_path / "bucket" / "runs", 21, count=50)
    here = DatasetBuilder(store).build_learning_dataset(tmp_path / "here")
    with serving(tmp_path) as options:
        source = open_source("s3://bucket/runs", options)
        there = DatasetBuilder(source, executor=DaskExecutor(workers=2)).build_learning_dataset(tmp_path / "there")
    assert there.digest == here.digest
    assert rows(tmp_path / "there") == rows(tmp_path / "here")
    assert there.counts.images > 30
    assert [one.reason for one in there.left_out] == [one.reason for one in here.left_out]


def test_another_store_is_named_on_the_command_line(tmp_path, capsys, needs_s3):
    make_store(tmp_path / "bucket" / "runs", 24, count=12)
    here = DatasetBuilder(tmp_path / "bucket" / "runs").build_learning_dataset(tmp_path / "here")
    with serving(tmp_path) as options:
        storage = [f"key={options['key']}", f"secret={options['secret']}", f"endpoint_url={options['endpoint_url']}"]
        given = [part for option in storage for part in ("--storage", option)]
        command = ["--json", "dataset", "build", "-o", tmp_path / "there", "--from", "s3://bucket/runs", *given]
        assert _run([str(one) for one in command]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == here.digest
    assert _run(["dataset", "build", "-o", str(tmp_path / "x"), "--from", "s3://bucket/runs", "model:x"]) == 2


def test_a_second_build_over_s3_reads_only_what_changed(tmp_path, needs_s3):
    store = make_store(tmp_path / "bucket" / "runs", 22, count=30)
    with serving(tmp_path) as options:
        source = open_source("s3://bucket/runs", options)
        DatasetBuilder(source).build_learning_dataset(tmp_path / "ds")
        shutil.rmtree(next(run.path for run in store.iter_runs()))
        heard = []
        fresh = open_source("s3://bucket/runs", options)
        again = DatasetBuilder(fresh).build_learning_dataset(tmp_path / "ds", progress=lambda *done: heard.append(done))
    assert again.digest == DatasetBuilder(store).build_learning_dataset(tmp_path / "full").digest
    assert heard[0][1] < 20


def test_a_cluster_reads_local_runs_as_well(tmp_path, needs_distributed):
    store = make_store(tmp_path / "runs", 23, count=30)
    with DaskClusterAtHand() as address:
        there = DatasetBuilder(store, executor=open_executor("dask", address)).build_learning_dataset(
            tmp_path / "there"
        )
    here = DatasetBuilder(store, executor=LocalExecutor(1)).build_learning_dataset(tmp_path / "here")
    assert there.digest == here.digest
    assert rows(tmp_path / "there") == rows(tmp_path / "here")


class DaskClusterAtHand:
    """A cluster that runs already, and the address of its scheduler."""

    def __enter__(self):
        from distributed import LocalCluster

        self._cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        return self._cluster.scheduler_address

    def __exit__(self, *_):
        self._cluster.close()


def test_an_executor_or_address_that_is_not_there_says_what_to_do(tmp_path, needs_distributed):
    with pytest.raises(ConfigError, match="local and dask"):
        open_executor("spark")
    with pytest.raises((ConfigError, ValueError), match="nothing|Protocol not known|install"):
        open_source("nothing://bucket/runs").signatures()
