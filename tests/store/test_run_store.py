import json
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import time

import pytest

from stablenew import RunStore
from stablenew.errors import (
    AmbiguousRun,
    NotAStore,
    OutputNotFound,
    RunExists,
    RunLocked,
    RunNotFound,
    RunSealed,
    SyncFailed,
    WriteFailed,
)
from stablenew.formats.schema_catalog import iter_published_schemas
from stablenew.recording.image_content import build_image
from stablenew.store.local_state import host_id
from stablenew.store.run_lock import RunLock
from stablenew.store.upkeep.run_repair import repair_run
from tests.samples import metadata, png, record, sealed_run, write_variant


def here(**fields):
    return {"source": {"name": "StableNew", "host_id": host_id()}} | fields


def test_a_store_is_made_with_its_first_run_and_describes_itself(store):
    assert list(store.iter_runs()) == []
    assert not store.root.exists()
    store.create(metadata()).abandon()
    marker = store.root / ".stablenew"
    assert json.loads((marker / "store.json").read_bytes()) == {"kind": "stablenew.store", "schema_version": "1.0"}
    assert {path.name for path in (marker / "schemas" / "v1").iterdir()} == dict(iter_published_schemas()).keys()
    assert "sha256sum -c SHA256SUMS" in (marker / "README.md").read_text()


def test_the_files_that_mark_a_store_are_alike_on_every_machine_down_to_their_times(tmp_path):
    """Else a sync tool that goes by times sees a dozen conflicts in two stores that only just began."""
    looks = []
    for name in ("one", "other"):
        RunStore(tmp_path / name).prepare()
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        looks.append({path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files})
        time.sleep(0.02)
    assert looks[0] == looks[1]
    assert len(looks[0]) > 5


def test_a_sealed_run_reads_back_as_it_was_written(store):
    run = sealed_run(store, variants=3)
    assert (run.state, run.status, run.metadata.record_count) == ("sealed", "completed", 3)
    records, problems = run.read_records()
    assert [one.variant.index for one in records] == [0, 1, 2]
    assert problems == []
    assert run.digest.startswith("sha256:")


def test_sealed_files_are_read_only_and_stock_tools_check_them(store):
    run = sealed_run(store)
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o444}
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=run.path, capture_output=True, text=True)
    assert checked.returncode == 0
    assert checked.stdout.count(": OK") == len(files) - 1


@pytest.mark.skipif(not shutil.which("xxh128sum"), reason="xxh128sum is not installed")
def test_digests_in_records_are_what_xxh128sum_checks(store):
    run = sealed_run(store)
    lines = "".join(f"{output.digest[7:]}  {output.path}\n" for _, output in run.iter_outputs())
    checked = subprocess.run(["xxh128sum", "-c", "-"], cwd=run.path, input=lines, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout.count("OK")) == (0, 2)


def test_an_output_is_named_by_variant_stage_number_and_digest(store):
    writer = store.create(metadata())
    data = png()
    stored = writer.write_output(data, variant=3, stage="img2img", number=1, media_type="image/png")
    assert stored.path == f"outputs/0003-img2img-1.{stored.digest[7:19]}.png"
    assert (writer.path / stored.path).read_bytes() == data
    writer.abandon()


def test_outputs_may_come_as_chunks_or_as_a_file(store, tmp_path):
    data = png()
    (tmp_path / "source.png").write_bytes(data)
    writer = store.create(metadata())
    for number, content in enumerate([data, iter([data[:5], data[5:]]), tmp_path / "source.png"]):
        stored = writer.write_output(content, variant=0, stage="txt2img", number=number, media_type="image/png")
        assert (writer.path / stored.path).read_bytes() == data
        assert stored.size_bytes == len(data)
    writer.abandon()


def test_chunks_that_break_off_leave_nothing_behind(store):
    def broken():
        yield b"half"
        raise ConnectionResetError("the server hung up")

    writer = store.create(metadata())
    with pytest.raises(OSError, match="hung up|could not write"):
        writer.write_output(broken(), variant=0, stage="txt2img", number=0, media_type="image/png")
    assert os.listdir(writer.path / "outputs") == []
    writer.abandon()


def test_a_run_is_recorded_once(store):
    sealed_run(store)
    before = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    with pytest.raises(RunExists, match="recorded once"):
        store.create(metadata())
    assert {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()} == before


def test_a_sealed_run_takes_nothing_more(store):
    writer = store.create(metadata())
    write_variant(writer)
    writer.seal(metadata(status="completed"))
    for act in (
        lambda: writer.append_record(record()),
        lambda: writer.write_output(b"x", variant=1, stage="txt2img", number=0, media_type="image/png"),
        lambda: writer.seal(metadata()),
    ):
        with pytest.raises(RunSealed, match="finished"):
            act()


def test_a_record_of_another_run_or_of_an_unwritten_output_is_refused(store):
    writer = store.create(metadata())
    with pytest.raises(ValueError, match="record of run sample-run, found one of other"):
        writer.append_record(record("other"))
    ghost = build_image(png(b"ghost"), variant=0, stage="txt2img", number=0)
    with pytest.raises(ValueError, match="was not written"):
        writer.append_record(record(outputs=[ghost.reference]))
    assert not (writer.path / "records.jsonl").exists()
    writer.abandon()


def test_append_returns_the_line_number(store):
    writer = store.create(metadata())
    assert [writer.append_record(record(index=index)) for index in range(3)] == [0, 1, 2]
    writer.abandon()


def test_the_state_of_an_unfinished_run_is_derived(store):
    writer = store.create(metadata(**here()))
    assert store.open("sample-run").state == "running"
    writer.abandon()
    assert store.open("sample-run").state == "interrupted"
    elsewhere = store.create(metadata("other", source={"name": "StableNew", "host_id": "another-machine"}))
    elsewhere.abandon()
    assert store.open("other").state == "incomplete"


def test_a_half_synced_run_is_incomplete(store):
    run = sealed_run(store)
    output = next(run.iter_outputs())[1]
    (run.path / output.path).unlink()
    assert store.open(run.run_id).state == "incomplete"


@pytest.mark.parametrize("name", ["records.jsonl", "run_metadata.json", "SHA256SUMS", "output"])
@pytest.mark.parametrize("part", [0, 0.5, 0.99])
def test_a_run_of_which_a_file_came_only_in_part_is_incomplete(store, name, part):
    run = sealed_run(store)
    path = run.path / (next(run.iter_outputs())[1].path if name == "output" else name)
    path.chmod(0o644)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert store.open(run.run_id).state == "incomplete"


def test_a_run_has_one_writer(store):
    writer = store.create(metadata(**here()))
    lock = RunLock(store.root, "sample-run")
    with pytest.raises(RunLocked, match="being written"):
        lock.acquire()
    writer.seal(metadata(status="completed"))
    lock.acquire()
    lock.release()


def test_runs_are_found_by_id_prefix_and_latest(store):
    first, second = "20261121-071009-123-k3v9q2m4xw", "20261121-081009-123-k3v9q2m4xw"
    sealed_run(store, second)
    sealed_run(store, first)
    sealed_run(store, "zzz-my-own", created_at="2020-01-01T00:00:00.000Z")
    assert [run.run_id for run in store.iter_runs()] == [first, second, "zzz-my-own"]
    assert store.resolve("latest").run_id == second
    assert store.resolve("20261121-07").run_id == first
    assert store.resolve("zzz").run_id == "zzz-my-own"
    with pytest.raises(AmbiguousRun, match="fits 2 runs"):
        store.resolve("20261121")
    for name in ("", "nothing", "../runs", "/etc", "."):
        with pytest.raises(RunNotFound):
            store.resolve(name)
        with pytest.raises(RunNotFound):
            store.open(name)


def test_what_is_no_run_is_not_listed(store, tmp_path):
    sealed_run(store)
    (store.root / "stray").mkdir()
    (store.root / "sample-run.sync-conflict-20261121-081203-MFDHANR").mkdir()
    (store.root / ".~tmp~").mkdir()
    (store.root / "file").write_text("x")
    shutil.copytree(store.root / "sample-run", tmp_path / "elsewhere")
    (store.root / "linked").symlink_to(tmp_path / "elsewhere")
    assert [run.run_id for run in store.iter_runs()] == ["sample-run"]
    with pytest.raises(RunNotFound):
        store.open("linked")


def test_a_file_in_the_place_of_the_store_is_a_clear_error(tmp_path):
    (tmp_path / "runs").write_text("not a folder")
    store = RunStore(tmp_path / "runs")
    with pytest.raises(NotAStore):
        list(store.iter_runs())
    with pytest.raises(NotAStore):
        store.create(metadata())


def test_an_empty_store_says_how_to_get_a_run(store):
    with pytest.raises(RunNotFound, match="stablenew demo"):
        store.resolve("latest")


def test_outputs_are_found_by_digest_prefix_path_and_position(store):
    run = sealed_run(store)
    first, second = (output for _, output in run.iter_outputs())
    for name in (first.digest, first.digest[7:15], first.path, first.path[8:], "0/0"):
        assert run.find_output(name) == first
    assert run.find_output("1/0") == second
    for name in ("2/0", "0/1", first.digest[7:12], "../run_metadata.json", ""):
        with pytest.raises(OutputNotFound, match="has no output"):
            run.find_output(name)


def test_the_store_resolves_a_digest(store):
    sealed_run(store, "a")
    run = sealed_run(store, "b")
    output = next(run.iter_outputs())[1]
    found, reference = store.find_output(output.digest)
    assert (found.run_id, reference) == ("b", output)
    with pytest.raises(OutputNotFound):
        store.find_output("xxh128:" + "0" * 32)


def test_one_bad_line_hides_no_other(store):
    run = sealed_run(store, variants=2)
    path = run.path / "records.jsonl"
    path.chmod(0o644)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"{broken", b'{"kind":"else"}', lines[1]]) + b'\n{"torn":')
    records, problems = run.read_records()
    assert [one.variant.index for one in records] == [0, 1]
    assert [(problem.line, problem.is_torn) for problem in problems] == [(2, False), (3, False), (5, True)]


def test_metadata_that_cannot_be_read_names_the_file(store):
    run = sealed_run(store)
    (run.path / "run_metadata.json").chmod(0o644)
    (run.path / "run_metadata.json").write_text("{}")
    with pytest.raises(ValueError, match=r"sample-run/run_metadata.json: expected a 'stablenew.run_metadata' document"):
        _ = store.open("sample-run").metadata


def test_after_a_failed_fsync_a_run_takes_no_more_records(store, monkeypatch):
    """The bytes in memory are not to be trusted any more; what was acknowledged before is."""
    writer = store.create(metadata(**here()))
    write_variant(writer, 0)

    def fail(_descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("stablenew.disk.atomic_file.os.fsync", fail)
        with pytest.raises(SyncFailed, match="the disk failed: Input/output error"):
            writer.append_record(record(index=1))
    for act in (lambda: writer.append_record(record(index=2)), lambda: writer.seal(metadata(status="completed"))):
        with pytest.raises(WriteFailed, match="takes no more records"):
            act()
    writer.abandon()
    assert repair_run(store.open("sample-run")).actions
    assert store.open("sample-run").status == "interrupted"
    assert next(store.open("sample-run").iter_records()).variant.index == 0


def test_a_record_that_does_not_fit_on_the_disk_leaves_room_for_the_next(store):
    """A real limit: the long line is taken back, and the run goes on."""
    script = """
        import resource, sys
        from stablenew import RunStore
        from stablenew.errors import WriteFailed
        from tests.samples import metadata, record
        writer = RunStore(sys.argv[1]).create(metadata())
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        writer.append_record(record(index=0))
        try:
            writer.append_record(record(index=1, x_padding="p" * 5000))
        except WriteFailed as error:
            print(error)
        writer.append_record(record(index=2))
        print(writer.seal(metadata(status="completed", record_count=2)).state)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), store.root]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "could be appended" in done.stdout
    assert done.stdout.endswith("sealed\n")
    assert [one.variant.index for one in store.open("sample-run").iter_records()] == [0, 2]


def test_an_output_of_an_unusual_record_is_found_all_the_same(store):
    writer = store.create(metadata())
    one = write_variant(writer)
    writer.abandon()
    path = store.root / "sample-run" / "records.jsonl"
    plain = path.read_bytes()
    (output,) = one.outputs
    for line in (plain, plain.replace(b'"index":0', b'"index":0.0'), b"nonsense\n" + plain + b'{"kind"'):
        path.write_bytes(line)
        for name in ("0/0", output.path, output.digest, output.digest[7:17]):
            assert store.open("sample-run").find_output(name).digest == output.digest
    path.write_bytes(plain.replace(b"outputs/0000", b"outputs/../0"))
    with pytest.raises(OutputNotFound):
        store.open("sample-run").find_output("0/0")
