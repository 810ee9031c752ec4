"""One call to the system fails, once. What was acknowledged is there, and nothing wrong is remembered or sealed in."""

import errno
import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from stablenew import FeedbackManager, RunRecorder, RunStore, RunVerifier
from stablenew.errors import StableNewError, Unreadable, WriteFailed
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.local_state import host_id
from stablenew.store.run import OutputFinder
from stablenew.store.upkeep.run_repair import repair_run
from stablenew.store.upkeep.store_merge import merge_stores
from tests.faults import every_call
from tests.samples import metadata, png, sealed_run, write_variant

RUN = "sample-run"
traced = pytest.mark.skipif(
    not shutil.which("strace"), reason="strace, which makes system calls fail, is not installed"
)


def errors_of(run):
    return [finding for finding in RunVerifier(run).verify().findings if finding.severity == "error"]


def attempt(function, *args, **kwargs):
    """The result, or the error, of something that may fail."""
    try:
        return function(*args, **kwargs)
    except (OSError, StableNewError) as error:
        return error


def run_traced(path, call, script, *, when="1"):
    """Run a script whose `call` on `path` fails with EIO as the kernel's answer. Returns its output."""
    inject = ["-P", str(path), "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={when}"]
    command = ["strace", "-f", "-qq", "-o", "/dev/null", *inject, sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True)
    if "ptrace" in done.stderr:
        pytest.skip("this machine does not allow tracing")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.heavy
def test_recording_keeps_what_it_acknowledged_whichever_call_fails(tmp_path, monkeypatch):
    sealed_run(RunStore(tmp_path / "template"))  # its marker takes a hundred calls of its own

    def record(root):
        recorder = RunRecorder(root)
        with recorder:
            acknowledged = [recorder.record_variant(prompt=f"{text}", images=[png(b"%d" % text)]) for text in (1, 2)]
        return recorder, acknowledged

    for (recorder, acknowledged), failure in every_call(monkeypatch, record, tmp_path / "template"):
        kept = [variant for variant in acknowledged if variant is not None]
        if recorder.run is None:
            assert kept == [], failure
            continue
        run = RunStore(recorder.run.path.parent).open(recorder.run_id)
        if not run.is_sealed:
            repair_run(run)
            run = RunStore(recorder.run.path.parent).open(recorder.run_id)
        assert errors_of(run) == [], failure
        recorded = {record.variant.index: record for record in run.iter_records()}
        for variant in kept:
            assert recorded[variant.variant.index].prompt.positive == variant.prompt.positive, failure


def rated_store(root):
    """A run with a rating that stands in `feedback.json` only, as after the repair of a conflict copy."""
    store = RunStore(root)
    run = sealed_run(store)
    FeedbackManager(store, rater="first").record_feedback(RUN, "0/0", 1)
    for log in run.path.glob("feedback.*.jsonl"):
        log.unlink()
    shutil.rmtree(os.environ["STABLENEW_STATE_DIR"] + "/journal", ignore_errors=True)
    return store


@pytest.mark.heavy
def test_rating_loses_nobody_elses_rating_whichever_call_fails(tmp_path, monkeypatch):
    template = rated_store(tmp_path / "template").root

    def rate(root):
        store = RunStore(root)
        return store, attempt(FeedbackManager(store, rater="second").record_feedback, RUN, "0/0", 5)

    for (store, answer), failure in every_call(monkeypatch, rate, template):
        manager = FeedbackManager(store, rater="third")
        manager.record_feedback(RUN, "1/0", 3)
        ratings = {rater: opinion["rating"] for (_, rater), opinion in manager.opinions(RUN).items()}
        expected = {"first": 1, "third": 3} if isinstance(answer, Exception) else {"first": 1, "second": 5, "third": 3}
        assert ratings == expected or ratings == expected | {"second": 5}, failure
        assert not list((store.root / RUN).glob("damaged-*")), failure
        assert errors_of(store.open(RUN)) == [], failure


def interrupted_run(root):
    store = RunStore(root)
    source = {"name": "StableNew", "host_id": host_id()}
    writer = store.create(metadata(source=source))
    for index in range(2):
        write_variant(writer, index)
    writer.abandon()
    return store


@pytest.mark.heavy
def test_repair_seals_all_or_nothing_whichever_call_fails(tmp_path, monkeypatch):
    template = interrupted_run(tmp_path / "template").root

    def repair(root):
        store = RunStore(root)
        return store, attempt(lambda: repair_run(store.open(RUN)))

    for (store, _), failure in every_call(monkeypatch, repair, template):
        repair_run(store.open(RUN))
        run = store.open(RUN)
        assert (run.state, run.metadata.record_count, run.metadata.output_count) == ("sealed", 2, 2), failure
        assert RunVerifier(run).verify().findings == (), failure


@pytest.mark.heavy
def test_a_merge_harms_neither_side_whichever_call_fails(tmp_path, monkeypatch):
    theirs = rated_store(tmp_path / "theirs")
    template = RunStore(tmp_path / "template")
    sealed_run(template, "another-run")
    sealed_run(template)

    def merge(root):
        ours = RunStore(root)
        return ours, attempt(merge_stores, ours, theirs)

    before = {path: path.read_bytes() for path in theirs.root.rglob("*") if path.is_file()}
    for (ours, _), failure in every_call(monkeypatch, merge, template.root):
        merge_stores(ours, theirs)
        ratings = FeedbackManager(ours, replica="nobody").opinions(RUN)
        assert [opinion["rating"] for opinion in ratings.values()] == [1], failure
        for run in ours.iter_runs():
            assert errors_of(run) == [], failure
    assert {path: path.read_bytes() for path in theirs.root.rglob("*") if path.is_file()} == before


@traced
def test_a_feedback_file_that_cannot_be_opened_once_is_not_set_aside(store):
    run = rated_store(store.root).open(RUN)
    script = f"""
        from stablenew import FeedbackManager
        manager = FeedbackManager({str(store.root)!r}, rater="second")
        for stars in (4, 5):
            try:
                manager.record_feedback("sample-run", "0/0", stars)
                print("rated", stars)
            except OSError as error:
                print(type(error).__name__, error)
    """
    said = run_traced(run.path / "feedback.json", "openat", script)
    assert (
        said[0] == f"WriteFailed could not be read, so nothing was added: Input/output error: {run.path}/feedback.json"
    )
    assert said[1] == "rated 5"
    opinions = FeedbackManager(store).opinions(RUN)
    assert sorted((rater, opinion["rating"]) for (_, rater), opinion in opinions.items()) == [
        ("first", 1),
        ("second", 5),
    ]


@pytest.mark.heavy
@traced
def test_records_that_cannot_be_read_once_are_asked_again_by_the_same_process(store):
    run = sealed_run(store)
    script = f"""
        from stablenew import FeedbackManager
        manager = FeedbackManager({str(store.root)!r})
        for stars in (4, 5):
            try:
                manager.record_feedback("sample-run", "0/0", stars)
                print("rated", stars)
            except OSError as error:
                print(type(error).__name__)
    """
    assert run_traced(run.path / "records.jsonl", "openat", script) == ["Unreadable", "rated 5"]


@pytest.mark.heavy
@traced
def test_a_folder_that_cannot_be_synced_after_the_first_line_leaves_a_run_that_verifies(tmp_path):
    script = f"""
        from stablenew import RunRecorder
        from tests.samples import png
        with RunRecorder({str(tmp_path / "runs")!r}, run_id="sample-run") as recorder:
            for text in (b"1", b"2"):
                print(recorder.record_variant(prompt="x", images=[png(text)]) is not None)
    """
    # The folder of the run is synced for the first time after the first line was appended to it.
    said = run_traced(tmp_path / "runs" / "sample-run", "fsync", script)
    run = RunStore(tmp_path / "runs").open("sample-run")
    assert said == ["False", "True"]
    assert run.metadata.record_count == 1
    assert [variant.index for variant in run.metadata.unrecorded] == [0]
    assert errors_of(run) == []


def test_a_reading_with_an_unreadable_file_is_not_cached(store, monkeypatch):
    rated_store(store.root)
    log = FeedbackLog(store.root / RUN)
    real = os.open

    def fail(path, *args, **kwargs):
        if str(path).endswith("feedback.json"):
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        assert log.read_if_changed().unreadable[0].name == "feedback.json"
        with pytest.raises(Unreadable):
            patch.setattr(os, "open", lambda *_args, **_options: fail("feedback.json"))
            OutputFinder(store.open(RUN))
    assert len(log.read_if_changed().events) == 1


def test_a_damaged_line_inside_is_sealed_in_and_the_run_is_sealed_for_every_reader(store):
    run = interrupted_run(store.root).open(RUN)
    path = run.path / "records.jsonl"
    first, second, _ = path.read_bytes().split(b"\n")
    path.write_bytes(first + b"\n{damaged\n" + second + b"\n")
    repair_run(run)
    run = store.open(RUN)
    assert run.state == "sealed"
    assert run.metadata.record_count == 2
    assert [finding.code for finding in RunVerifier(run).verify().findings] == ["record-unreadable"]


def test_a_long_torn_tail_is_removed_whole(store):
    """Longer than any line that is read."""
    run = interrupted_run(store.root).open(RUN)
    path = run.path / "records.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * (65 << 20))
    repair_run(run)
    assert path.read_bytes() == whole
    assert store.open(RUN).state == "sealed"


@pytest.mark.heavy
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
def test_two_users_with_private_files_lose_nothing_of_each_other(tmp_path):
    """Both have umask 077 and rate the same run in turn: whoever may not read the other's file is told so."""
    store = RunStore(tmp_path / "runs")
    sealed_run(store)
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o555)
    (store.root / RUN).chmod(0o777)
    script = f"""
        import os, sys
        sys.path[:0] = {sys.path!r}
        from stablenew import FeedbackManager, RunStore
        from stablenew import RunRecorder
        import encodings.ascii, platformdirs
        os.environ["STABLENEW_STATE_DIR"] = {str(tmp_path / "warm-up-state")!r}
        with RunRecorder({str(tmp_path / "warm-up")!r}) as run:  # the other user may not read this Python's modules
            run.record_variant(prompt="x", images=[])
        FeedbackManager({str(tmp_path / "warm-up")!r}).record_feedback(run.run_id, None, 4)
        user = int(sys.argv[1])
        os.environ["STABLENEW_STATE_DIR"] = {str(tmp_path)!r} + f"/state-{{user}}"
        os.makedirs(os.environ["STABLENEW_STATE_DIR"], exist_ok=True)
        os.chown(os.environ["STABLENEW_STATE_DIR"], user, user)
        os.setgroups([]); os.setgid(user); os.setuid(user); os.umask(0o077)
        manager = FeedbackManager(RunStore({str(store.root)!r}), rater=f"user-{{user}}")
        try:
            manager.record_feedback("sample-run", None, 4)
            print("rated")
        except OSError as error:
            print(type(error).__name__)
    """
    said = []
    for user in (4242, 4343, 4242):
        command = [sys.executable, "-c", textwrap.dedent(script), str(user)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.strip())
    assert said == ["rated", "WriteFailed", "rated"]
    assert not list((store.root / RUN).glob("damaged-*"))
    assert {rater for _, rater in FeedbackManager(store).opinions(RUN)} == {"user-4242"}


def test_a_write_is_refused_when_nobody_knows_whether_a_file_is_there(store, monkeypatch):
    """`os.path.lexists` would say that it is not."""
    from stablenew.disk.atomic_file import write_once

    store.root.mkdir()

    def fail(*_args, **_options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "lstat", fail)
    with pytest.raises(WriteFailed, match="Input/output error"):
        write_once(store.root / "a", b"x")
    assert os.listdir(store.root) == []
