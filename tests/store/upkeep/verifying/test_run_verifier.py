import json
import os
import random
import shutil

import pytest

from stablenew import RunStore, RunVerifier
from stablenew.formats.documents.feedback import build_event, build_feedback
from stablenew.formats.strict_json import encode_pretty_json
from stablenew.store.upkeep.verifying.verify_report import CODES, Finding
from tests.samples import huge_png, metadata, record, sealed_run, write_variant


def codes(run, **options):
    return {finding.code for finding in RunVerifier(run, **options).verify().findings}


def overwrite(path, data):
    path.chmod(0o644)
    path.write_bytes(data)


def add_feedback(run):
    output = next(run.iter_outputs())[1]
    event = build_event(
        clock="2026-11-21T08:00:00.000Z-0000", replica="r1", rater="alice", op="rate", image_id=output.digest, rating=4
    )
    document = build_feedback(run.run_id, [event])
    (run.path / "feedback.json").write_bytes(encode_pretty_json(document.to_dict()))
    (run.path / "feedback.r1.jsonl").write_bytes(json.dumps(event.to_dict()).encode() + b"\n")


@pytest.mark.parametrize("deep", [False, True])
def test_an_untouched_run_has_no_findings(store, deep):
    run = sealed_run(store)
    add_feedback(run)
    report = RunVerifier(run, deep=deep).verify()
    assert report.findings == ()
    assert report.is_ok
    assert (report.state, report.digest) == ("sealed", run.digest)
    assert report.files == 4


def test_a_flipped_bit_in_any_sealed_file_is_named(store, tmp_path):
    """Every file, the seal itself among them, with bits flipped all over it."""
    run = sealed_run(store)
    rng = random.Random(11)
    for path in sorted(one for one in run.path.rglob("*") if one.is_file()):
        name = path.relative_to(run.path).as_posix()
        size = path.stat().st_size
        for position in sorted({0, size - 1, *(rng.randrange(size) for _ in range(25))}):
            copy = tmp_path / "copy" / "sample-run"
            shutil.rmtree(tmp_path / "copy", ignore_errors=True)
            shutil.copytree(run.path, copy)
            data = bytearray(path.read_bytes())
            data[position] ^= 1 << rng.randrange(8)
            overwrite(copy / name, bytes(data))
            report = RunVerifier(RunStore(tmp_path / "copy").open("sample-run")).verify()
            assert not report.is_ok, (name, position)
            assert name == "SHA256SUMS" or name in {finding.path for finding in report.findings}


def test_every_flipped_bit_in_feedback_is_noticed(store):
    run = sealed_run(store)
    add_feedback(run)
    for name in ("feedback.json", "feedback.r1.jsonl"):
        good = (run.path / name).read_bytes()
        harmless = 0
        for position in range(0, len(good), 7):
            data = bytearray(good)
            data[position] ^= 1
            (run.path / name).write_bytes(data)
            report = RunVerifier(run).verify()
            harmless += report.is_ok
            if report.is_ok:  # white space, the schema hint, the minor version: nothing anybody said
                line = good[good.rfind(b"\n", 0, position) + 1 : good.find(b"\n", position)]
                assert chr(good[position]) in " \n" or b'"$schema"' in line or b'"schema_version"' in line
        (run.path / name).write_bytes(good)
        assert harmless < len(good) // 14


def test_a_missing_file_is_named(store):
    run = sealed_run(store)
    output = next(run.iter_outputs())[1]
    (run.path / output.path).unlink()
    findings = RunVerifier(run).verify().findings
    assert {finding.code for finding in findings} == {"file-missing", "output-missing"}
    assert {finding.path for finding in findings} == {output.path}


def test_a_file_that_was_slipped_in_is_named(store):
    run = sealed_run(store)
    (run.path / "outputs" / "0000-txt2img-9.000000000000.png").write_bytes(b"x")
    assert codes(run) == {"file-unlisted", "output-unrecorded"}


def test_leftovers_and_foreign_files_are_listed_and_harm_nothing(store):
    run = sealed_run(store)
    for name in (
        ".syncthing.a.png.tmp",
        ".run_metadata.json.0a1b2c3d.tmp",
        "run_metadata.sync-conflict-1.json",
        "a.partial",
    ):
        (run.path / name).write_bytes(b"x")
    (run.path / "my notes.txt").write_text("mine")
    (run.path / "subfolder").mkdir()
    report = RunVerifier(run).verify()
    assert report.is_ok
    assert sorted(finding.code for finding in report.findings) == ["file-foreign"] * 2 + ["file-leftover"] * 4


def test_links_and_pipes_are_refused_not_followed(store, tmp_path):
    run = sealed_run(store)
    output = next(run.iter_outputs())[1]
    (tmp_path / "same").write_bytes((run.path / output.path).read_bytes())
    (run.path / output.path).unlink()
    (run.path / output.path).symlink_to(tmp_path / "same")
    assert {"link-refused", "file-missing", "output-missing"} <= codes(run)
    os.mkfifo(run.path / "feedback.x.jsonl")
    assert "link-refused" in codes(run)


def test_a_linked_outputs_folder_is_refused(store, tmp_path):
    run = sealed_run(store)
    (run.path / "outputs").rename(tmp_path / "outputs")
    (run.path / "outputs").symlink_to(tmp_path / "outputs")
    assert {"link-refused", "file-missing"} <= codes(run)


def test_unfinished_runs_say_what_they_are(store):
    writer = store.create(metadata())
    write_variant(writer)
    report = RunVerifier(writer.run).verify()
    assert report.is_ok
    assert {finding.code for finding in report.findings} == {"run-running"}
    writer.abandon()
    assert codes(writer.run) == {"run-incomplete"}


def test_a_torn_record_line_is_no_corruption(store):
    writer = store.create(metadata())
    write_variant(writer)
    writer.abandon()
    with (writer.path / "records.jsonl").open("ab") as file:
        file.write(b'{"kind":"stablen')
    findings = {finding.code: finding for finding in RunVerifier(writer.run).verify().findings}
    assert findings["record-torn"].line == 2
    assert "record-unreadable" not in findings


def test_records_that_a_sync_has_not_brought_yet_are_missing_and_contradict_nothing(store):
    writer = store.create(metadata())
    write_variant(writer)
    run = writer.seal(metadata(status="completed", record_count=1, output_count=1))
    overwrite(run.path / "records.jsonl", b"")
    assert codes(run) == {"file-changed", "output-unrecorded"}
    (run.path / "records.jsonl").unlink()
    assert "file-missing" in codes(run)
    assert "metadata-mismatch" not in codes(run)


def test_records_and_counts_that_do_not_fit_are_named(store):
    writer = store.create(metadata())
    write_variant(writer)
    run = writer.seal(metadata(status="completed", record_count=2, output_count=1))
    assert codes(run) == {"metadata-mismatch"}
    overwrite(run.path / "records.jsonl", (record("other").to_json() + "\n").encode())
    assert {"file-changed", "record-mismatch"} <= codes(run)


def test_a_later_format_is_reported_and_left_alone(store):
    run = sealed_run(store)
    document = json.loads((run.path / "run_metadata.json").read_bytes()) | {"schema_version": "2.0"}
    overwrite(run.path / "run_metadata.json", json.dumps(document).encode())
    assert "newer-format" in codes(store.open("sample-run"))


def test_a_renamed_run_folder_is_noticed(store):
    run = sealed_run(store)
    run.path.rename(store.root / "renamed")
    found = RunVerifier(store.open("renamed")).verify().findings
    assert {finding.code for finding in found} == {"metadata-mismatch", "record-mismatch"}


def test_forged_and_foreign_feedback_is_named(store):
    run = sealed_run(store)
    add_feedback(run)
    text = (run.path / "feedback.json").read_text()
    (run.path / "feedback.json").write_text(text.replace('"rating": 4', '"rating": 5'))
    assert codes(run) == {"feedback-forged", "feedback-stale"}
    (run.path / "feedback.json").write_text(text.replace('"run_id": "sample-run"', '"run_id": "other-run"'))
    assert codes(run) == {"feedback-mismatch"}
    (run.path / "feedback.json").write_text(text)
    (run.path / "feedback.sync-conflict-20261121-081203-MFDHANR.json").write_text(text)
    assert codes(run) == {"feedback-conflict-copy"}


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n" + b"not really a picture", huge_png(20_000, 20_000)])
def test_deep_decodes_images_and_asks_the_schemas(store, data):
    writer = store.create(metadata())
    write_variant(writer, 0, data=data)
    run = writer.seal(metadata(status="completed"))
    assert codes(run) == set()
    assert codes(run, deep=True) == {"image-undecodable"}
    document = json.loads((run.path / "run_metadata.json").read_bytes())
    overwrite(run.path / "run_metadata.json", json.dumps(document | {"record_count": -1}).encode())
    assert {"schema-violation", "metadata-unreadable"} <= codes(store.open("sample-run"), deep=True)


@pytest.mark.parametrize(
    "junk", [b"", b"x", b"0" * 64 + b"  a", b"0" * 64 + b"  ../a\n", b"0" * 64 + b" *a\n", b"\xff\n"]
)
def test_a_seal_that_is_none_is_named(store, junk):
    run = sealed_run(store)
    overwrite(run.path / "SHA256SUMS", junk)
    assert "seal-unreadable" in codes(run)


def test_every_code_has_a_severity_and_a_meaning():
    for code, (severity, meaning) in CODES.items():
        assert severity in {"error", "warning", "info"}
        assert len(meaning) > 10
        assert Finding(code, "", "").severity == severity
