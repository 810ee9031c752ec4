"""Small valid things that tests build on."""

import os
import struct
import zlib
from datetime import UTC, datetime

from stablenew import LearningRecord, RunMetadata
from stablenew.disk.line_log import append_line
from stablenew.formats.clock import Clock
from stablenew.formats.digest import digest_bytes, digest_json
from stablenew.formats.documents.feedback import build_event
from stablenew.formats.strict_json import encode_json
from stablenew.recording.image_content import build_image
from stablenew.store.feedback.feedback_log import FeedbackLog

STARTED = "2026-11-21T07:10:09.123Z"


def chunk(kind, body):
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(width=10_000, height=10_000):
    """A hundred megapixels in a few hundred bytes of header and zeros."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def png(text=b"", width=8, height=6, colour=(200, 120, 40)):
    """A real PNG; `text` makes its bytes its own."""
    rows = b"".join(b"\0" + bytes(colour) * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"tEXt", b"Comment\0" + text)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def metadata(run_id="sample-run", **fields):
    config = {"txt2img": {"steps": 30, "cfg_scale": 7.5}}
    return RunMetadata.from_dict(
        {
            "kind": "stablenew.run_metadata",
            "schema_version": "1.0",
            "run_id": run_id,
            "created_at": STARTED,
            "status": "running",
            "source": {"name": "StableNew", "version": "0.1.0"},
            "packs": [],
            "config": config,
            "config_digest": digest_json(config),
        }
        | fields
    )


def record(run_id="sample-run", index=0, outputs=(), **fields):
    return LearningRecord.from_dict(
        {
            "kind": "stablenew.learning_record",
            "schema_version": "1.0",
            "run_id": run_id,
            "variant": {"index": index, "total": max(4, index + 1), "label": "[time]=dawn"},
            "started_at": STARTED,
            "status": "completed",
            "prompt": {"positive": "a quiet harbour \u2028 at dawn"},
            "requested": {"steps": 30, "seed": -1},
            "actual": {"steps": 30, "seed": 123},
            "stages": [],
            "outputs": [output.to_dict() for output in outputs],
        }
        | fields
    )


def write_variant(writer, index=0, data=None):
    """A variant with one image, written as the recorder writes it."""
    image = build_image(data or png(f"{writer.run_id} {index}".encode()), variant=index, stage="txt2img", number=0)
    writer.write_output(image.data, variant=index, stage="txt2img", number=0, media_type="image/png")
    one = record(writer.run_id, index, [image.reference])
    writer.append_record(one)
    return one


def sealed_run(store, run_id="sample-run", variants=2, **fields):
    writer = store.create(metadata(run_id, **fields))
    for index in range(variants):
        write_variant(writer, index)
    return writer.seal(metadata(run_id, **fields, status="completed", record_count=variants, output_count=variants))


def add_event(run, op, *, at="2026-11-22T08:00:00.000Z-0000", replica="other", rater="alice", **fields):
    """An event in the log that `replica` has of a run, as another program would leave it; returns the event."""
    event = build_event(clock=at, replica=replica, rater=rater, op=op, **fields)
    log = FeedbackLog(run.path, replica=replica)
    with log.writing() as reading:
        log.append(reading, [event])
    return event


def add_scores(run, *scores, at="2026-11-22T00:00:00.000Z", replica="other"):
    """A line in the scores that `replica` has of a run; each of `scores` is (image id, metric, value)."""
    found = [{"image_id": image, "metric": metric, "value": value} for image, metric, value in scores]
    batch = {"kind": "stablenew.metric_batch", "schema_version": "1.0", "run_id": run.run_id, "replica": replica}
    append_line(run.path / f"metrics.{replica}.jsonl", encode_json(batch | {"scored_at": at, "scores": found}))
    os.utime(run.path)


def fake_clock():
    """A clock that moves one second each time it is asked."""
    ticks = iter(range(1, 1_000_000))
    return Clock(
        now=lambda: datetime.fromtimestamp(1_800_000_000 + next(ticks), UTC), monotonic=lambda: float(next(ticks))
    )


def digest_of(number):
    return digest_bytes(str(number).encode())
