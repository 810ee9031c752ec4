import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stablenew import RunVerifier
from stablenew.store.upkeep.verifying import verifier_pool
from stablenew.store.upkeep.verifying.verifier_pool import iter_reports
from tests.samples import metadata, png, sealed_run, write_variant


@pytest.fixture
def runs(store):
    """Some whole, one with a changed image, one without its records, one that nobody finished."""
    for number in range(7):
        sealed_run(store, f"run-{number}")
    image = next((store.root / "run-2" / "outputs").iterdir())
    image.chmod(0o644)
    image.write_bytes(b"other")
    (store.root / "run-5" / "records.jsonl").unlink()
    writer = store.create(metadata("unfinished"))
    write_variant(writer)
    writer.abandon()
    return list(store.iter_runs())


@pytest.mark.heavy
@pytest.mark.parametrize("deep", [False, True])
def test_processes_say_what_one_would_say(runs, monkeypatch, deep):
    expected = [RunVerifier(run, deep=deep).verify() for run in runs]
    assert {report.subject for report in expected if not report.is_ok} == {"run-2", "run-5", "unfinished"}
    assert list(iter_reports(runs, deep=deep)) == expected
    monkeypatch.setattr(verifier_pool, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(verifier_pool, "CHUNK", 3)
    assert list(iter_reports(runs, deep=deep)) == expected


def test_a_run_that_this_program_writes_is_running_for_the_processes_too(store, monkeypatch):
    monkeypatch.setattr(verifier_pool, "WORTH_PROCESSES", 1)
    sealed_run(store, "done")
    writer = store.create(metadata("live"))
    states = {report.subject: report.state for report in iter_reports(list(store.iter_runs()))}
    writer.abandon()
    assert states == {"done": "sealed", "live": "running"}


CRASHING_DECODER = """
import os, signal
from PIL import Image

def open_or_die(file, *args, _open=Image.open, **options):
    if b"kills its decoder" in file.getvalue():
        os.kill(os.getpid(), signal.SIGSEGV)
    return _open(file, *args, **options)

Image.open = open_or_die
"""


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGSEGV")
@pytest.mark.parametrize("count", [1, 20])
def test_an_image_that_crashes_its_decoder_is_a_finding_and_ends_no_check(store, tmp_path, monkeypatch, count):
    (tmp_path / "decoder").mkdir()
    (tmp_path / "decoder" / "sitecustomize.py").write_text(CRASHING_DECODER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "decoder"), os.environ.get("PYTHONPATH", "")]))
    for number in range(count):
        if number == count // 2:
            writer = store.create(metadata("crash"))
            write_variant(writer, 0)
            write_variant(writer, 1, png() + b"kills its decoder")
            writer.seal(metadata("crash", status="completed", record_count=2, output_count=2))
        else:
            sealed_run(store, f"run-{number}", variants=1)
    reports = {report.subject: report for report in iter_reports(list(store.iter_runs()), deep=True)}
    assert len(reports) == count
    (finding,) = reports.pop("crash").findings
    assert (finding.code, finding.path[:18]) == ("image-undecodable", "outputs/0001-txt2i")
    assert "crashed" in finding.message
    assert all(report.findings == () for report in reports.values())


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_the_processes_too(store):
    for number in range(40):
        sealed_run(store, f"run-{number}")
    code = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may have been started where it is ignored
from stablenew import RunStore
from stablenew.store.upkeep.verifying import verifier_pool
verifier_pool.WORTH_PROCESSES = verifier_pool.CHUNK = 1
for report in verifier_pool.iter_reports(list(RunStore(sys.argv[1]).iter_runs()) * 1000):
    print(report.subject, flush=True)
"""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, str(store.root)]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        assert process.stdout.readline().startswith("run-")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert errors.strip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1  # none of a child that still started
    assert members_of(process.pid) == []


def members_of(session):
    """The processes of a session that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if os.getsid(int(folder.name)) == session and state != "Z":
                found.append(int(folder.name))
    return found
