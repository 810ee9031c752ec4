"""What the documents of a run say about each other, and what only two hashes of one file can show."""

import json
from hashlib import sha256

from stablenew import RunVerifier
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.recording.image_content import build_image
from stablenew.recording.learning_record_builder import LearningContext, build_learning_record
from stablenew.store.feedback.removals import read_removals
from stablenew.store.seal import encode_seal, read_seal
from stablenew.store.upkeep.run_repair import repair_run
from tests.recording.test_learning_record_builder import CONFIG, variant
from tests.samples import add_event, metadata, png, record, sealed_run, write_variant

RUN = "sample-run"


def findings(store, **options):
    return sorted({finding.code for finding in RunVerifier(store.open(RUN), **options).verify().findings})


def write_records(store, *, status="completed", lines, **fields):
    """A sealed run whose records are these lines, sealed over whatever they say."""
    writer = store.create(metadata(RUN))
    (writer.path / "records.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    writer._records_hash = None  # these lines did not pass through the writer
    final = metadata(RUN, status=status, record_count=len(lines), **fields)
    return writer.seal(final)


def as_line(document):
    return json.dumps(document).encode()


def output(data, index, **fields):
    reference = build_image(data, variant=index, stage="txt2img", number=0).reference.to_dict()
    return reference | {"origin": {"root": "pictures", "path": f"{index}.png", "name": "a"}, "path": None} | fields


def test_a_sealed_run_says_how_many_files_it_holds_and_how_long_they_are(store):
    run = sealed_run(store, RUN)
    names = [path for path in run.path.rglob("*") if path.is_file() and path.name != "SHA256SUMS"]
    sizes = [path.stat().st_size for path in names if path.name != "run_metadata.json"]
    assert (run.metadata.held.file_count, run.metadata.held.size_bytes) == (len(sizes), sum(sizes))
    assert findings(store, deep=True) == []


def test_a_repaired_run_says_so_too(store):
    writer = store.create(metadata(RUN))
    write_variant(writer, 0)
    writer.abandon()
    repair_run(writer.run, force=True)
    run = store.open(RUN)
    assert run.metadata.held.file_count == 2
    assert findings(store) == []


def test_verify_reports_a_run_that_holds_other_files_than_it_says(store):
    run = sealed_run(store, RUN)
    document = run.metadata.to_dict()
    document["held"]["size_bytes"] += 1
    for name in ("run_metadata.json", "SHA256SUMS"):
        (run.path / name).chmod(0o644)
    data = json.dumps(document).encode()
    (run.path / "run_metadata.json").write_bytes(data)
    sums = read_seal(run.path) | {"run_metadata.json": sha256(data).hexdigest()}
    (run.path / "SHA256SUMS").write_bytes(encode_seal(sums))
    assert findings(store) == ["metadata-mismatch"]


def test_two_files_of_one_digest_are_told_apart_by_their_sha256(store):
    lines = [
        as_line(record(RUN, index).to_dict() | {"outputs": [output(png(), index, sha256=digit * 64)]})
        for index, digit in enumerate("ab")
    ]
    write_records(store, lines=lines, output_count=2)
    assert "digest-collision" in findings(store)


def test_the_same_file_twice_is_no_collision(store):
    lines = [
        as_line(record(RUN, index).to_dict() | {"outputs": [output(png(), index, sha256="a" * 64)]}) for index in (0, 1)
    ]
    write_records(store, lines=lines, output_count=2)
    assert "digest-collision" not in findings(store)


def test_a_removal_excuses_no_file_of_the_same_digest_and_another_sha256(store):
    run = sealed_run(store, RUN, variants=1)
    (line,) = run.iter_records()
    image = line.outputs[0]
    (run.path / image.path).unlink()
    fields = {"digest": image.digest, "size_bytes": image.size_bytes, "reason": "trashed"}
    add_event(run, "remove", sha256="0" * 64, **fields)
    recorded = LearningRecord.from_dict(line.to_dict() | {"outputs": [image.to_dict() | {"sha256": "1" * 64}]})
    assert "file-missing" in findings(store)
    assert read_removals(run.path).find(image) is not None  # a record without one goes by digest and size
    assert read_removals(run.path).find(recorded.outputs[0]) is None


def test_a_record_of_a_later_version_is_no_damage(store):
    lines = [as_line(record(RUN).to_dict()), as_line(record(RUN, 1).to_dict() | {"schema_version": "2.0"})]
    write_records(store, lines=lines, output_count=0)
    assert findings(store, deep=True) == ["newer-format"]


def test_a_seal_that_cannot_be_read_is_one_finding(store):
    run = sealed_run(store, RUN)
    (run.path / "SHA256SUMS").chmod(0o644)
    (run.path / "SHA256SUMS").write_bytes(b"")
    assert findings(store) == ["seal-unreadable"]


def test_a_forged_event_does_not_count_in_the_state_that_is_compared(store):
    run = sealed_run(store, RUN)
    add_event(run, "rate", image_id=None, rating=4)
    path = run.path / "feedback.json"
    document = json.loads(path.read_bytes())
    document["events"][0]["rating"] = document["state"]["run"]["alice"]["rating"] = 5
    path.write_text(json.dumps(document))
    assert findings(store) == ["feedback-forged", "feedback-stale"]


def test_records_that_a_run_counts_and_does_not_hold_are_missed(store):
    store.create(metadata(RUN)).seal(metadata(RUN, status="completed", record_count=3, output_count=0))
    assert findings(store) == ["metadata-mismatch"]


def test_an_extension_without_a_name_of_its_own_is_kept_as_text():
    context = LearningContext(run_id=RUN, ext={"org.example.farm": {"gpu": 1}, "gpu": 1})
    built = build_learning_record(CONFIG, variant(), context)
    assert built.ext == {"org.example.farm": {"gpu": 1}}
    assert built.odd["ext.gpu"] == "1"
    assert digest_bytes(b"") == "xxh128:99aa06d3014798d86001c324468d497f"
