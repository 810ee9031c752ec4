"""Building the small runs of the conformance suite with the writers of the program, and damaging them."""

import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stablenew.formats.digest import digest_json
from stablenew.formats.documents.feedback import FeedbackEvent, build_event
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.formats.strict_json import encode_json
from stablenew.recording.image_content import build_image
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.run_folder import METADATA, RECORDS, SEAL, is_unsealed
from stablenew.store.run_store import RunStore
from stablenew.store.run_writer import RunWriter
from stablenew.store.seal import encode_seal, read_seal

RUN: Final = "20261121-071009-123-k3v9q2m4xw"
OTHER_RUN: Final = "20261122-081500-000-0a1b2c3d4e"
STARTED: Final = "2026-11-21T07:10:09.123Z"
FINISHED: Final = "2026-11-21T07:10:19.123Z"
CONFIG: Final[dict[str, Any]] = {"txt2img": {"steps": 20, "cfg_scale": 7.5}}
ABSENT: Final = "xxh128:" + "0" * 32

Outputs = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Case:
    """A store of the suite."""

    name: str
    about: str
    build: Callable[[Path], None]


def picture(number: int, width: int = 4, height: int = 3) -> bytes:
    """A PNG of one colour, the same for the same number."""
    rows = b"".join(b"\0" + bytes((number * 37 % 256, number * 91 % 256, 128)) * width for _ in range(height))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def metadata(run_id: str = RUN, **fields: Any) -> RunMetadata:
    """Metadata of a run that was begun on a machine that nobody knows."""
    config = fields.pop("config", CONFIG)
    return RunMetadata.from_dict(
        {
            "kind": "stablenew.run_metadata",
            "schema_version": "1.0",
            "run_id": run_id,
            "created_at": STARTED,
            "status": "running",
            "source": {"name": "StableNew", "version": "0.2.0", "engine": "sketch", "host_id": "desk-7f3a9c2e"},
            "packs": [{"id": "harbour"}],
            "config": config,
            "config_digest": digest_json(config),
        }
        | fields
    )


def record(index: int = 0, *, run_id: str = RUN, outputs: Outputs = (), **fields: Any) -> dict[str, Any]:
    """The fields of a record of one variant."""
    stages = {output["stage"]: output for output in outputs}
    return {
        "kind": "stablenew.learning_record",
        "schema_version": "1.0",
        "run_id": run_id,
        "variant": {"index": index, "total": max(2, index + 1)},
        "started_at": STARTED,
        "finished_at": FINISHED,
        "duration_seconds": 10.0,
        "status": "completed",
        "prompt": {"positive": f"a quiet harbour {index}"},
        "requested": {"steps": 20, "cfg_scale": 7.5, "seed": -1},
        "actual": {"steps": 20, "cfg_scale": 7.5, "seed": 100 + index},
        "stages": [
            {"name": name, "status": "completed", "started_at": STARTED, "duration_seconds": 5.0, "output_count": 1}
            for name in stages
        ],
        "outputs": [dict(output) for output in outputs],
    } | fields


def held(writer: RunWriter, data: bytes, index: int = 0, stage: str = "txt2img", **fields: Any) -> dict[str, Any]:
    """An output that was written to the run, as its record names it."""
    image = build_image(data, variant=index, stage=stage, number=0)
    path = writer.write_output(data, variant=index, stage=stage, number=0, media_type=image.reference.media_type)
    return image.reference.to_dict() | {"path": path.path, "sha256": path.sha256, "role": "final"} | fields


def begin(root: Path, run_id: str = RUN, **fields: Any) -> RunWriter:
    """A new run in the store at `root`."""
    return RunStore(root).create(metadata(run_id, **fields))


def append(writer: RunWriter, *records: Mapping[str, Any]) -> None:
    """Add records, as the recorder does."""
    for fields in records:
        writer.append_record(LearningRecord.from_dict(dict(fields)))


def seal(writer: RunWriter, status: str = "completed", **fields: Any) -> Path:
    """Seal the run with the counts of what it holds. Returns its folder."""
    outputs = [output for line in writer.run.iter_records() for output in line.outputs]
    by_stage: dict[str, list[str]] = {}
    for output in outputs:
        if output.path is not None:
            by_stage.setdefault(output.stage, []).append(output.path)
    ended = {
        "status": status,
        "finished_at": FINISHED,
        "duration_seconds": 10.0,
        "record_count": writer.record_count,
        "output_count": len(outputs),
        "stages": [{"name": name, "outputs": paths} for name, paths in by_stage.items()],
    }
    return writer.seal(metadata(writer.run_id, **ended | fields)).path


def plain_run(root: Path, run_id: str = RUN, pictures: Iterable[int] = (1, 2), **fields: Any) -> Path:
    """A sealed run of a variant for each picture."""
    writer = begin(root, run_id)
    for index, number in enumerate(pictures):
        append(writer, record(index, run_id=run_id, outputs=[held(writer, picture(number), index)]))
    return seal(writer, **fields)


def images_of(run: Path) -> list[str]:
    """The digests of a run's outputs, in order."""
    lines = (run / RECORDS).read_bytes().split(b"\n")[:-1]
    return [output["digest"] for line in lines for output in json.loads(line)["outputs"]]


def say(
    run: Path, op: str, *, at: int = 0, replica: str = "desk-1", rater: str = "anna", **fields: Any
) -> FeedbackEvent:
    """Append an event to a machine's log of the run and to `feedback.json`, `at` minutes after the run."""
    event = make_event(op, at=at, replica=replica, rater=rater, **fields)
    log = FeedbackLog(run, replica=replica)
    with log.writing() as reading:
        log.append(reading, [event])
    return event


def make_event(
    op: str, *, at: int = 0, replica: str = "desk-1", rater: str = "anna", clock: str = "", **fields: Any
) -> FeedbackEvent:
    """An event that is written nowhere."""
    clock = clock or f"2026-11-22T08:{at:02d}:00.000Z-0000"
    return build_event(clock=clock, replica=replica, rater=rater, op=op, **fields)


def write_scores(run: Path, *batches: Mapping[str, Any], replica: str = "desk-1") -> None:
    """Append batches of scores to a machine's file."""
    head = {"kind": "stablenew.metric_batch", "schema_version": "1.0", "run_id": run.name, "replica": replica}
    with (run / f"metrics.{replica}.jsonl").open("ab") as file:
        for batch in batches:
            file.write(encode_json(head | dict(batch)) + b"\n")


def change(path: Path, edit: Callable[[bytes], bytes]) -> None:
    """Damage a file."""
    path.chmod(0o644)
    path.write_bytes(edit(path.read_bytes()))


def change_json(path: Path, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Rewrite a document."""
    change(path, lambda data: encode_json(edit(json.loads(data))) + b"\n")


def change_records(run: Path, edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Rewrite the records of a run, and seal it again over them."""

    def rewrite(data: bytes) -> bytes:
        records = [json.loads(line) for line in data.split(b"\n") if line]
        return b"".join(encode_json(fields) + b"\n" for fields in edit(records))

    change(run / RECORDS, rewrite)
    seal_again(run)


def seal_again(run: Path, *, count: bool = True) -> None:
    """Seal a run over what is there now, as a program of somebody else would; `count` mends `held` as well."""
    paths = [path for path in run.rglob("*") if path.is_file() and not path.is_symlink()]
    names = {path.relative_to(run).as_posix(): path for path in paths}
    sealed = {name: path for name, path in names.items() if name != SEAL and not is_unsealed(name)}
    if count:
        rest = [path for name, path in sealed.items() if name != METADATA]
        counts = {"file_count": len(rest), "size_bytes": sum(path.stat().st_size for path in rest)}
        change_json(run / METADATA, lambda fields: fields | {"held": counts})
    sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sealed.items()}
    change(run / SEAL, lambda _: encode_seal(sums))


def sealed_names(run: Path) -> list[str]:
    """What the seal of a run lists."""
    return sorted(read_seal(run))
