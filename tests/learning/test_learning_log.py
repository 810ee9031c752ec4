from stablenew import LearningLog, RunStore
from stablenew.learning.learning_log import LogLedger
from stablenew.store.run_folder import METADATA, RECORDS
from tests import samples


def test_records_come_oldest_first_whatever_the_runs_are_called(tmp_path):
    store = RunStore(tmp_path)
    for run_id, created in (
        ("20261110-000000-000-aaaaaaaaaa", "2026-11-10T00:00:00.000Z"),
        ("a-name-of-later", "2026-11-12T00:00:00.000Z"),
        ("20261111-000000-000-aaaaaaaaaa", "2026-11-11T00:00:00.000Z"),
        ("z-name-of-earlier", "2026-11-09T00:00:00.000Z"),
    ):
        samples.sealed_run(store, run_id, created_at=created)
    order = [(record.run_id, record.variant.index) for record in LearningLog(store)]
    names = ["z-name-of-earlier", "20261110-000000-000-aaaaaaaaaa", "20261111-000000-000-aaaaaaaaaa", "a-name-of-later"]
    assert order == [(name, index) for name in names for index in (0, 1)]


def test_the_ledger_says_what_could_not_be_read(tmp_path):
    store = RunStore(tmp_path)
    samples.sealed_run(store, "whole")
    samples.sealed_run(store, "damaged")
    store.create(samples.metadata("empty")).abandon()
    path = tmp_path / "damaged" / RECORDS
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"nonsense\n{torn")
    ledger = LogLedger()
    records = list(LearningLog(tmp_path).iter_records(ledger))
    assert len(records) == ledger.record_count == 4
    assert ledger.run_count == 3
    assert ledger.empty_run_ids == ["empty"]
    assert [(run_id, problem.line, problem.is_torn) for run_id, problem in ledger.problems] == [
        ("damaged", 3, False),
        ("damaged", 4, True),
    ]


def test_a_run_without_metadata_that_can_be_read_keeps_its_records(tmp_path):
    store = RunStore(tmp_path)
    samples.sealed_run(store, "sample-run")
    (tmp_path / "sample-run" / METADATA).chmod(0o644)
    (tmp_path / "sample-run" / METADATA).write_bytes(b"{")
    assert len(list(LearningLog(store))) == 2


def test_no_store_is_an_empty_log(tmp_path):
    assert list(LearningLog(tmp_path / "nothing")) == []


def test_an_entry_needs_no_join(tmp_path):
    store = RunStore(tmp_path)
    samples.sealed_run(store, "whole")
    samples.sealed_run(store, "headless")
    metadata = tmp_path / "headless" / METADATA
    metadata.unlink()
    entries = [entry.to_dict() for entry in LearningLog(store).iter_entries()]
    whole = [entry for entry in entries if entry["job_id"] == "whole"]
    config = store.open("whole").metadata.config
    assert [(entry["variant_index"], entry["run_config"]) for entry in whole] == [(0, config), (1, config)]
    assert whole[0]["outputs"] == [output.path for output in next(store.open("whole").iter_records()).outputs]
    assert {entry["num_outputs"] for entry in whole} == {len(whole[0]["outputs"])}
    assert [entry["run_config"] for entry in entries if entry["job_id"] == "headless"] == [{}, {}]
