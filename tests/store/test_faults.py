"""Disks and permissions as they really fail: small and read-only file systems, another user, names without case."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from stablenew import FeedbackManager, PipelineConfig, PipelineRunner, RunRecorder, RunStore, RunVerifier, SketchEngine
from stablenew.errors import RunExists, StoreError
from stablenew.store.upkeep.run_repair import repair_run
from tests.samples import metadata, png, sealed_run

SMALL = PipelineConfig(txt2img={"width": 64, "height": 64, "seed": 1})


@contextlib.contextmanager
def mounted(target, *arguments):
    """A file system of its own at `target`, or a skip that says why there is none."""
    target.mkdir(exist_ok=True)
    try:
        done = subprocess.run(["mount", *arguments, str(target)], capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("mount is not installed")
    if done.returncode:
        pytest.skip(f"this machine mounts nothing for us: {done.stderr.strip()}")
    try:
        yield target
    finally:
        subprocess.run(["umount", str(target)], check=False, timeout=30)


def remount(target, mode):
    subprocess.run(["mount", "-o", f"remount,{mode}", str(target)], check=True, capture_output=True, timeout=30)


@contextlib.contextmanager
def as_another_user():
    """The code inside has the rights of user 65534. Import what it needs before."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.heavy
def test_a_full_disk_ends_recording_but_not_the_run(tmp_path):
    """Room for the store and a few images; then it is full, for records and seal as well."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=400k", "tmpfs") as disk:
        store = RunStore(disk / "runs")
        results = [PipelineRunner(SketchEngine(), run_store=store).run(SMALL) for _ in range(60)]
        assert all(result.succeeded and result.outputs for result in results)
        assert results[0].recording_error is None
        assert "No space left on device" in results[-1].recording_error
        for run in store.iter_runs():
            report = RunVerifier(run).verify()
            assert {finding.severity for finding in report.findings} <= {"info", "warning"}, report.findings
        assert not list(store.root.glob("*/.*.tmp")) + list(store.root.glob(".*.tmp"))


def test_a_rating_on_a_full_disk_is_refused_whole_and_works_again_when_there_is_room(tmp_path):
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=400k", "tmpfs") as disk:
        store = RunStore(disk / "runs")
        run = sealed_run(store)
        manager = FeedbackManager(store, rater="alice")
        manager.record_feedback("sample-run", "0/0", 4)
        with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(b"x" * 4096)
        refused = 0
        for number in range(40):
            try:
                manager.record_feedback("sample-run", "0/0", number % 6)
            except StoreError:
                refused += 1
        assert refused > 0
        before = manager.read("sample-run")
        assert before.problems == ()
        assert before.build_document().state.images
        (disk / "filler").unlink()
        manager.record_feedback("sample-run", "1/0", 5)
        reading = FeedbackManager(store, replica="nobody").read("sample-run")
        assert len(reading.events) == len(before.events) + 1
        assert reading.problems == ()
        assert RunVerifier(run).verify().findings == ()


def test_a_read_only_store_is_read_and_verified_and_refuses_the_rest(tmp_path):
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=2m", "tmpfs") as disk:
        store = RunStore(disk / "runs")
        run = sealed_run(store)
        FeedbackManager(store).record_feedback("sample-run", None, 4)
        remount(disk, "ro")
        assert RunVerifier(run, deep=True).verify().findings == ()
        assert FeedbackManager(store).state("sample-run").run
        with pytest.raises(StoreError, match="Read-only file system"):
            FeedbackManager(store).record_feedback("sample-run", None, 5)
        with pytest.raises(StoreError, match="Read-only file system"):
            store.create(metadata("other"))
        assert PipelineRunner(SketchEngine(), run_store=store).run(SMALL).succeeded
        with RunRecorder(store) as recorder:
            recorder.record_variant(prompt="x", images=[png()])
        assert "Read-only file system" in recorder.failure
        assert repair_run(run).actions == []
        remount(disk, "rw")
        FeedbackManager(store).record_feedback("sample-run", None, 5)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
def test_a_store_of_another_user_is_a_clear_refusal(tmp_path):
    """A real other user, in a process of its own, who may look but not write."""
    store = RunStore(tmp_path / "runs")
    sealed_run(store)
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o555)
    script = f"""
        import os, sys
        sys.path[:0] = {sys.path!r}
        os.environ["STABLENEW_STATE_DIR"] = {str(tmp_path / "state-of-nobody")!r}
        os.mkdir(os.environ["STABLENEW_STATE_DIR"]); os.chmod(os.environ["STABLENEW_STATE_DIR"], 0o777)
        from stablenew import FeedbackManager, RunRecorder, RunStore, RunVerifier
        from tests.samples import png
        with RunRecorder({str(tmp_path / "warm-up")!r}) as run:  # the other user may not read this Python's modules
            run.record_variant(prompt="x", images=[png()])
        FeedbackManager({str(tmp_path / "warm-up")!r}).record_feedback(run.run_id, None, 4)
        RunVerifier(run.run).verify()
        for folder, names, files in os.walk(os.environ["STABLENEW_STATE_DIR"]):
            for name in names + files:
                os.chown(os.path.join(folder, name), 65534, 65534)
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        store = RunStore({str(store.root)!r})
        print(RunVerifier(store.open("sample-run")).verify().is_ok)
        try:
            FeedbackManager(store).record_feedback("sample-run", None, 4)
        except OSError as error:
            print(type(error).__name__, error.strerror)
        with RunRecorder(store) as run:
            run.record_variant(prompt="x", images=[png()])
        print(run.failure)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    said = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert said[:2] == ["True", "WriteFailed could not write: Permission denied"]
    assert "Permission denied" in said[2]
    assert sorted(os.listdir(store.root)) == [".stablenew", "sample-run"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
def test_a_run_beneath_a_folder_that_may_not_be_entered_is_not_called_absent(tmp_path):
    store = RunStore(tmp_path / "barred" / "runs")
    run = sealed_run(store)
    (tmp_path / "barred").chmod(0o700)
    RunVerifier(run).verify()  # imports what it needs
    with as_another_user():
        for ask in (store.open, store.resolve):
            with pytest.raises(PermissionError):
                ask(run.run_id)
        findings = RunVerifier(run).verify().findings
    assert [finding.code for finding in findings] == ["run-unreadable"]


@pytest.mark.heavy
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
def test_what_somebody_may_not_read_is_named_and_hides_no_other(tmp_path):
    store = RunStore(tmp_path / "runs")
    barred, torn, whole, hidden = (f"2026112{number}-000000-000-aaaaaaaaaa" for number in range(4))
    for run_id in (barred, torn, whole, hidden):
        sealed_run(store, run_id)
    (store.root / barred).chmod(0o700)
    (store.root / hidden / "outputs").chmod(0o744)
    (store.root / torn / "records.jsonl").chmod(0o400)
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o555)
    script = f"""
        import json, os, sys
        sys.path[:0] = {sys.path!r}
        from stablenew import AppController, DatasetBuilder, JobHistory  # the other user may not read these modules
        from stablenew.learning.dataset.source.run_source import LocalSource

        def look(root):
            controller, history = AppController(runs_dir=root), JobHistory(root)
            history.refresh()
            return {{
                "verify": {{r.subject: sorted(f.code for f in r.findings) for r, *_ in controller.iter_verify()}},
                "repair": {{r.subject: [a.code for a in r.actions] for r, *_ in controller.iter_repair()}},
                "history": {{row["run_id"]: row["problem"] for row in history.recent(9).rows}},
                "dataset": {{n: getattr(LocalSource(root).read(n), "reason", "joined") for n in os.listdir(root)}},
            }}

        look({str(store.root)!r})  # models are built and modules imported when they are first needed
        state = os.environ["STABLENEW_STATE_DIR"] = {str(tmp_path / "state-of-nobody")!r}
        os.mkdir(state)
        os.chown(state, 65534, 65534)
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        print(json.dumps(look({str(store.root)!r})))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["verify"][barred] == ["run-unreadable"]
    assert set(said["verify"][torn]) == {"file-unreadable", "record-unreadable", "output-unrecorded"}
    assert "file-unreadable" in said["verify"][hidden]
    assert not [code for code in said["verify"][hidden] if "missing" in code]
    assert said["repair"][barred][-1] == "skipped"
    assert "Permission denied" in said["history"][barred]
    assert "Permission denied" in said["history"][torn]
    assert (said["dataset"][barred], said["dataset"][torn]) == ("unreadable", "unreadable")
    whole_says = {kind: answers[whole] for kind, answers in said.items()}
    assert whole_says == {"verify": [], "repair": [], "history": None, "dataset": "joined"}


@pytest.mark.skipif(not shutil.which("mkntfs") or not shutil.which("lowntfs-3g"), reason="ntfs-3g is not installed")
def test_a_file_system_without_case_and_with_windows_names_holds_a_store(tmp_path):
    image, disk = tmp_path / "image", tmp_path / "disk"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    subprocess.run(["mkntfs", "-F", "-Q", "-q", str(image)], check=True, capture_output=True)
    done = subprocess.run(
        ["lowntfs-3g", "-o", "ignore_case,windows_names", str(image), str(disk)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"this machine mounts no NTFS: {done.stderr.strip()}")
    try:
        (disk / "probe").touch()
        assert (disk / "PROBE").exists()
        store = RunStore(disk / "runs")
        run = sealed_run(store)
        with pytest.raises(RunExists):
            store.create(metadata("sample-run"))
        FeedbackManager(store, rater="alice").record_feedback("sample-run", "0/0", 5, tags=["keeper"])
        report = RunVerifier(run, deep=True).verify()
        assert {finding.severity for finding in report.findings} <= {"info"}, "it lists SHA256SUMS in small letters"
        result = PipelineRunner(SketchEngine(), run_store=store).run(SMALL)
        assert result.recording_error is None
        assert RunVerifier(store.open(result.run_id)).verify().is_ok
    finally:
        subprocess.run(["umount", str(disk)], check=False)


@pytest.mark.heavy
@pytest.mark.parametrize("step", ["fsync", "rename,renameat,renameat2", "write"])
@pytest.mark.parametrize("when", range(1, 13))
@pytest.mark.skipif(not shutil.which("strace"), reason="strace, which makes system calls fail, is not installed")
def test_every_step_of_a_rating_may_fail_and_nothing_said_before_is_lost(tmp_path, step, when):
    """The n-th call fails, for n as far as there are calls: each time the rating is there whole or not at all."""
    store = RunStore(tmp_path / "runs")
    sealed_run(store)
    FeedbackManager(store, rater="alice").record_feedback("sample-run", "0/0", 2)
    script = f"""
        import os, sys
        from stablenew import FeedbackManager
        manager = FeedbackManager({str(store.root)!r}, rater="alice")
        manager.read("sample-run")
        os.kill(os.getpid(), 0)
        try:
            manager.record_feedback("sample-run", "0/0", 5)
        except OSError:
            os._exit(7)
        os._exit(0)
    """
    inject = f"inject={step}:error=EIO:when={when}+"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={step}", "-e", inject]
    done = subprocess.run([*command, sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    if done.returncode not in {0, 7}:
        pytest.skip(f"this machine does not allow tracing, or the interpreter itself failed: {done.stderr[-200:]}")
    reading = FeedbackManager(store, replica="nobody").read("sample-run")
    ratings = [one.rating for one in reading.events]
    assert ratings in ([2], [2, 5])
    assert done.returncode == 7 or ratings == [2, 5]
    assert all(problem.is_torn for problem in reading.problems)
    FeedbackManager(store, rater="alice").record_feedback("sample-run", "0/0", 3)
    state = FeedbackManager(store, replica="nobody").state("sample-run")
    assert [one["alice"].rating for one in state.images.values()] == [3]
