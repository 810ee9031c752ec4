"""Every reader comes to the same verdict on an odd run: verify, history, show, the dataset and merge."""

import json
import shutil

import pytest

from stablenew import FeedbackManager, JobHistory, RunStore, RunVerifier
from stablenew.errors import FormatError
from stablenew.formats.digest import digest_json
from stablenew.learning.dataset.source.run_source import LeftOut, LocalSource
from stablenew.store.run_description import describe_run
from stablenew.store.run_folder import is_feedback, is_sync_leftover
from stablenew.store.upkeep.store_merge import merge_stores
from stablenew.store.upkeep.verifying.verifier_pool import iter_reports
from tests.samples import metadata, png, record, sealed_run, write_variant

RUN = "my-harbour"


def states(store):
    """The state of the run as each reader tells it."""
    run = store.open(RUN)
    history = JobHistory(store.root)
    history.refresh()
    (row,) = (row for row in history.recent(9).rows if row["run_id"] == RUN)
    return {
        "verify": RunVerifier(run).verify().state,
        "show": describe_run(run)["state"],
        "run": run.state,
        "history": row["state"] if "state" in row else row["status"],
    }


def findings(store, **options):
    return sorted({finding.code for finding in RunVerifier(store.open(RUN), **options).verify().findings})


def change(path, edit):
    path.chmod(0o644)
    path.write_bytes(edit(path.read_bytes()))


@pytest.mark.parametrize("lost", ["run_metadata.json", "records.jsonl"])
def test_a_sealed_run_that_lost_a_document_is_a_run_with_findings_whatever_its_name(store, tmp_path, lost):
    sealed_run(store, RUN)
    sealed_run(store, "another")
    (store.root / RUN / lost).unlink()
    assert [run.run_id for run in store.iter_runs()] == ["another", RUN]
    reports = {report.subject: report for report in iter_reports(list(store.iter_runs()))}
    assert not reports[RUN].is_ok
    assert set(states(store).values()) == {"incomplete"}
    assert isinstance(LocalSource(store.root).read(RUN), LeftOut)
    assert RUN in LocalSource(store.root).signatures()
    outcomes = {item.run_id: item.outcome for item in merge_stores(RunStore(tmp_path / "ours"), store).items}
    assert outcomes == {"another": "added", RUN: "skipped"}


ODD = {
    "a missing output": lambda path: next((path / "outputs").iterdir()).unlink(),
    "a longer output": lambda path: change(next((path / "outputs").iterdir()), lambda data: data + b"x"),
    "a changed output": lambda path: change(next((path / "outputs").iterdir()), lambda data: data[:-1] + b"x"),
    "a damaged line": lambda path: change(path / "records.jsonl", lambda data: data.replace(b'{"kind"', b'{"kind', 1)),
    "a torn line": lambda path: change(path / "records.jsonl", lambda data: data[:-9]),
    "a lost line": lambda path: change(path / "records.jsonl", lambda data: data[data.index(b"\n") + 1 :]),
    "a byte order mark": lambda path: change(path / "records.jsonl", lambda data: b"\xef\xbb\xbf" + data),
    "an unreadable seal": lambda path: change(path / "SHA256SUMS", lambda data: data[:-5]),
    "an empty seal": lambda path: change(path / "SHA256SUMS", lambda _: b""),
    "unreadable metadata": lambda path: change(path / "run_metadata.json", lambda data: data[:-9]),
    "a link for feedback": lambda path: (path / "feedback.m-1.jsonl").symlink_to(path / "records.jsonl"),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("name", ODD)
def test_the_state_of_an_odd_run_is_one_word_for_all(store, name):
    sealed_run(store, RUN)
    ODD[name](store.root / RUN)
    told = states(store)
    assert len(set(told.values())) == 1, told


def test_nesting_beyond_the_limit_is_refused_by_every_reader_of_a_record(store):
    writer = store.create(metadata(RUN))
    write_variant(writer, 0)
    deep = "x"
    for _ in range(70):
        deep = [deep]
    writer.append_record(record(RUN, 1))
    writer.abandon()
    path = writer.path / "records.jsonl"
    first, second, _ = path.read_bytes().split(b"\n")
    path.write_bytes(first + b"\n" + json.dumps(json.loads(second) | {"later": deep}).encode() + b"\n")
    run = store.open(RUN)
    assert [line.record is not None for line in run.iter_record_lines()] == [True, False]
    assert "record-unreadable" in findings(store)
    history = JobHistory(store.root)
    history.refresh()
    (row,) = history.recent(9).rows
    assert "nested deeper" in row["problem"]


@pytest.mark.parametrize(
    "name", ["feedback.json~", "feedback.r1.jsonl~", "feedback.json.bak", "feedback (1).json", "feedback.json.orig"]
)
def test_backups_of_feedback_count_as_the_specification_says(store, name):
    run = sealed_run(store, RUN)
    FeedbackManager(store, rater="alice", replica="r1").record_feedback(RUN, "0/0", 1)
    source = "feedback.r1.jsonl" if "jsonl" in name else "feedback.json"
    shutil.move(run.path / source, run.path / name)
    for path in run.path.glob("feedback*"):
        if path.name != name:
            path.unlink()
    assert [opinion["rating"] for opinion in FeedbackManager(store, replica="other").opinions(RUN).values()] == [1]
    assert findings(store) == ["feedback-conflict-copy"]


ON_THEIR_WAY = [
    "feedback.json.!sync",
    "feedback.json.part",
    "feedback.json.filepart",
    "feedback.json.partial",
    "feedback.json.crdownload",
    "feedback.json.sb-1a2b3c4d-AbCdEf",
    "feedback.r1.jsonl.tmp",
    "feedback.json.swp",
]


@pytest.mark.heavy
@pytest.mark.parametrize("name", ON_THEIR_WAY)
@pytest.mark.parametrize("folder", ["", "outputs"])
def test_a_file_that_is_still_coming_in_is_no_damage(store, name, folder):
    run = sealed_run(store, RUN)
    FeedbackManager(store).record_feedback(RUN, "0/0", 3)
    (run.path / folder / name).write_bytes(b"\0" * 64)
    assert not is_feedback(name)
    assert is_sync_leftover(name)
    assert RunVerifier(run).verify().is_ok
    assert findings(store) == ["file-leftover"]
    assert FeedbackManager(store).read(RUN).problems == ()


@pytest.mark.parametrize("name", ["@eaDir", "#recycle", ".@__thumb", "lost+found", "thumbs", "a.png"])
def test_folders_that_a_file_server_makes_are_told_and_no_fault(store, name):
    run = sealed_run(store, RUN)
    (run.path / "outputs" / name).mkdir()
    (run.path / "outputs" / name / "a.jpg").write_bytes(b"x")
    report = RunVerifier(run).verify()
    assert report.is_ok
    assert [finding.code[:5] for finding in report.findings] == ["file-"]
    assert "link" not in report.findings[0].message


def test_copies_of_sealed_outputs_are_leftovers_and_a_slipped_in_file_is_an_error(store):
    run = sealed_run(store, RUN)
    output = run.path / next(run.iter_outputs())[1].path
    for suffix in (" (1)", " 2", " - Copy", "-DESKTOP-AB12", "_conflict"):
        shutil.copy(output, output.with_name(f"{output.stem}{suffix}.png"))
    report = RunVerifier(run).verify()
    assert report.is_ok
    assert {finding.code for finding in report.findings} <= {"file-leftover", "file-foreign", "output-unrecorded"}
    (run.path / "outputs" / "0007-txt2img-0.3f9a1c2b4d5e.png").write_bytes(png(b"slipped in"))
    assert "file-unlisted" in findings(store)


def disagreeing(fields):
    return lambda document: document | fields


CONTRADICTIONS = {
    "a config digest of another config": (disagreeing({"config_digest": digest_json({"other": 1})}), [{}]),
    "sealed while running": (disagreeing({"status": "running"}), [{}]),
    "a stage with an output that nobody recorded": (
        disagreeing({"stages": [{"name": "txt2img", "outputs": ["outputs/0009-txt2img-0.3f9a1c2b4d5e.png"]}]}),
        [{}],
    ),
    "an index twice": (dict, [{"variant": {"index": 0, "total": 2}}] * 2),
    "an index beyond the last": (dict, [{"variant": {"index": 5, "total": 1}}]),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_deep_verification_names_documents_that_contradict_each_other(store, name):
    edit, records = CONTRADICTIONS[name]
    writer = store.create(metadata(RUN))
    for index, fields in enumerate(records):
        writer.append_record(record(RUN, index, **fields))
    document = metadata(RUN, status="completed", record_count=len(records), output_count=0).to_dict()
    writer.seal(metadata(**edit(document)))
    assert findings(store) == []
    assert findings(store, deep=True) == ["documents-disagree"]


def test_a_run_of_ours_does_not_contradict_itself(store):
    sealed_run(store, RUN)
    assert findings(store, deep=True) == []
    with pytest.raises(FormatError):
        metadata(RUN, config_digest="none")


def test_a_link_for_feedback_is_ignored_by_all_and_named_by_verify(store):
    run = sealed_run(store, RUN)
    FeedbackManager(store, replica="r1").record_feedback(RUN, "0/0", 2)
    (run.path / "feedback.m-1.jsonl").symlink_to(run.path / "feedback.r1.jsonl")
    assert findings(store) == ["link-refused"]
    assert not isinstance(LocalSource(store.root).read(RUN), LeftOut)
    assert len(FeedbackManager(store).read(RUN).events) == 1
    assert set(states(store).values()) == {"sealed"}
