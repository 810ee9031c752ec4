"""Outputs that were removed on purpose: nothing fails for them, and nothing brings them back."""

import shutil
import subprocess
import zipfile

import pytest

from stablenew import JobHistory, RunStore
from stablenew.cli.main import main
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.upkeep.run_archive import open_archive
from stablenew.store.upkeep.run_repair import repair_run
from stablenew.store.upkeep.store_merge import ADDED, COMPLETED, SKIPPED, UNCHANGED, merge_stores
from stablenew.store.upkeep.verifying.run_verifier import RunVerifier
from tests import samples


@pytest.fixture
def stores(tmp_path):
    return RunStore(tmp_path / "here"), RunStore(tmp_path / "there")


def outputs_of(run):
    return [output for _, output in run.iter_outputs()]


def remove(run, output, **changes):
    """What emptying the trash leaves: a tombstone, and no file."""
    sums = dict(line.split("  ")[::-1] for line in (run.path / "SHA256SUMS").read_text().splitlines())
    facts = {"digest": output.digest, "sha256": sums[output.path], "size_bytes": output.size_bytes}
    event = samples.add_event(run, "remove", reason="trash emptied", **(facts | changes))
    (run.path / output.path).unlink()
    return event


def restore(run, event):
    return samples.add_event(run, "retract", event_ids=[event.id], at="2026-11-23T08:00:00.000Z-0000")


def codes(run, **options):
    return [(finding.code, finding.path) for finding in RunVerifier(run, **options).verify().findings]


def merged(here, there):
    return [item.outcome for item in merge_stores(here, there).items]


@pytest.mark.parametrize("deep", [False, True])
def test_verify_says_that_an_output_was_removed_and_nothing_is_wrong(stores, deep):
    run = samples.sealed_run(stores[0])
    first, second = outputs_of(run)
    remove(run, first)
    report = RunVerifier(run, deep=deep).verify()
    assert codes(run, deep=deep) == [("output-removed", first.path)]
    assert report.is_ok
    assert not report.is_whole
    assert report.state == "sealed"
    (run.path / second.path).unlink()
    assert codes(run) == [
        ("output-removed", first.path),
        ("file-missing", second.path),
        ("output-missing", second.path),
    ]


def test_an_output_whose_removal_was_taken_back_is_missing(stores):
    run = samples.sealed_run(stores[0])
    first, _ = outputs_of(run)
    restore(run, remove(run, first))
    assert codes(run) == [("file-missing", first.path), ("output-missing", first.path)]
    assert run.state == "incomplete"


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"digest": samples.digest_of(7)}, {"size_bytes": 1}])
def test_a_removal_of_something_else_excuses_nothing(stores, wrong):
    run = samples.sealed_run(stores[0])
    first, _ = outputs_of(run)
    remove(run, first, **wrong)
    assert not RunVerifier(run).verify().is_ok


def test_a_removal_never_excuses_what_is_no_output(stores):
    run = samples.sealed_run(stores[0])
    first, _ = outputs_of(run)
    sums = dict(line.split("  ")[::-1] for line in (run.path / "SHA256SUMS").read_text().splitlines())
    facts = {"digest": first.digest, "sha256": sums["records.jsonl"], "size_bytes": 1, "reason": "hostile"}
    samples.add_event(run, "remove", **facts)
    (run.path / "records.jsonl").unlink()
    assert ("file-missing", "records.jsonl") in codes(run)
    assert run.state == "incomplete"


def test_history_and_verify_have_one_word_for_a_run_without_what_was_removed(stores):
    store = stores[0]
    run = samples.sealed_run(store)
    first, second = outputs_of(run)
    history = JobHistory(store.root)

    def states():
        history.refresh(is_patient=True)
        (row,) = history.page("").rows
        return {run.state, row["state"], RunVerifier(run).verify().state}

    event = remove(run, first)
    assert states() == {"sealed"}
    restore(run, event)
    assert states() == {"incomplete"}
    remove(run, second)
    assert states() == {"incomplete"}
    history.close()


def test_stock_tools_pass_over_what_was_removed(stores):
    run = samples.sealed_run(stores[0])
    remove(run, outputs_of(run)[0])
    check = ["sha256sum", "--check", "--ignore-missing", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=run.path, capture_output=True, check=False).returncode == 0


def test_a_merge_takes_a_run_without_what_was_removed_there(stores):
    here, there = stores
    run = samples.sealed_run(there)
    first, second = outputs_of(run)
    remove(run, first)
    assert merged(here, there) == [ADDED]
    ours = here.open(run.run_id)
    assert not (ours.path / first.path).exists()
    assert (ours.path / second.path).exists()
    assert RunVerifier(ours).verify().is_ok
    assert merged(here, there) == [UNCHANGED]
    (run.path / second.path).unlink()
    shutil.rmtree(here.root)
    assert merged(here, there) == [SKIPPED]


def test_a_merge_does_not_bring_back_what_was_removed_here_and_removes_nothing_there(stores):
    here, there = stores
    run = samples.sealed_run(there)
    first, second = outputs_of(run)
    merged(here, there)
    ours = here.open(run.run_id)
    event = remove(ours, first)
    (ours.path / second.path).unlink()
    assert merged(here, there) == [COMPLETED]
    assert not (ours.path / first.path).exists()
    assert (ours.path / second.path).exists()
    assert merged(there, here) == ["feedback"]
    assert (run.path / first.path).exists()
    assert codes(run) == []
    restore(ours, event)
    assert merged(here, there) == [COMPLETED]
    assert (ours.path / first.path).read_bytes() == (run.path / first.path).read_bytes()


def test_repair_neither_fails_nor_brings_anything_back(stores):
    run = samples.sealed_run(stores[0])
    first, _ = outputs_of(run)
    remove(run, first)
    assert repair_run(run).actions == []
    assert codes(run) == [("output-removed", first.path)]


def test_a_zip_of_such_a_run_is_taken(stores, tmp_path):
    here, there = stores
    run = samples.sealed_run(there)
    first, second = outputs_of(run)
    remove(run, first)
    samples.add_scores(run, (second.digest, "aesthetic", 5.0))
    path = tmp_path / "run.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in run.path.rglob("*"):
            archive.write(file, f"{run.run_id}/{file.relative_to(run.path)}")
    with open_archive(path) as unpacked:
        assert merged(here, unpacked) == [ADDED]
    ours = here.open(run.run_id)
    assert RunVerifier(ours).verify().is_ok
    assert len(list(ours.path.glob("metrics.*.jsonl"))) == 1


def test_strict_verify_exits_with_1_for_what_was_removed(stores, capsys):
    run = samples.sealed_run(stores[0])
    remove(run, outputs_of(run)[0])
    command = ["--runs-dir", str(stores[0].root), "verify"]
    for options, status in (([], 0), (["--strict"], 1)):
        with pytest.raises(SystemExit) as ended:
            main([*command, *options])
        assert ended.value.code == status
    assert "output-removed" in capsys.readouterr().out


def test_scores_are_merged_once_and_checked(stores):
    here, there = stores
    run = samples.sealed_run(there)
    digest = outputs_of(run)[0].digest
    merged(here, there)
    ours = here.open(run.run_id)
    samples.add_scores(run, (digest, "aesthetic", 5.0))
    samples.add_scores(ours, (digest, "aesthetic", 6.0), replica="mine")
    assert merged(here, there) == ["feedback"]
    assert merged(here, there) == [UNCHANGED]
    assert merged(there, here) == ["feedback"]
    assert merged(here, there) == [UNCHANGED]
    assert codes(run) == codes(ours) == []
    lines = {line for path in ours.path.glob("metrics.*") for line in path.read_bytes().splitlines()}
    assert len(lines) == 2
    (ours.path / "metrics.odd.jsonl").write_bytes(
        b'no json\n{"kind":"stablenew.metric_batch","schema_version":"1.0","run_id":"other-run","replica":"x",'
        b'"scored_at":"2026-11-22T00:00:00.000Z","scores":[]}\n{"kind":"torn'
    )
    found = RunVerifier(ours).verify().findings
    assert [(finding.code, finding.line) for finding in found] == [
        ("metrics-unreadable", 1),
        ("metrics-mismatch", 2),
        ("metrics-torn", 3),
    ]
    assert merged(there, here) == [UNCHANGED]


def test_a_removal_that_cannot_be_read_excuses_nothing(stores):
    run = samples.sealed_run(stores[0])
    first, _ = outputs_of(run)
    remove(run, first)
    for path in run.path.glob("feedback*"):
        path.chmod(0o644)
        path.write_bytes(b"{")
    assert ("file-missing", first.path) in codes(run)
    assert FeedbackLog(run.path).read().events == ()
