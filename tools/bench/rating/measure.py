"""What a durable rating costs, beside one appended line plus one replaced file with the same fsyncs."""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from stablenew.formats.documents.feedback_input import FeedbackInput
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.recording.feedback_manager import FeedbackManager
from stablenew.recording.image_content import build_image
from stablenew.recording.new_run import RunDescription, build_source
from stablenew.recording.recording_session import RecordingSession
from stablenew.store.run_store import RunStore

IMAGES = 5
BATCH_RUNS = 200


def make_run(store: RunStore, run_id: str) -> None:
    source = build_source(engine="bench")
    recording = RecordingSession(store, RunDescription(run_id=run_id, config={}, source=source)).start()
    for index in range(IMAGES):
        image = build_image(f"{run_id} {index}".encode(), variant=index, stage="txt2img", number=0)
        context = {
            "run_id": run_id,
            "variant": {"index": index, "total": IMAGES},
            "started_at": "2026-11-21T07:10:09.123Z",
            "outputs": [image.reference.to_dict()],
        }
        recording.add_variant(LearningRecord.from_pipeline_context({}, context), [image])
    recording.finish("completed")


def pay_floor(folder: Path, line: bytes, document: bytes) -> float:
    """Seconds for the least a durable rating must do."""
    started = time.perf_counter()
    is_new = not (folder / "log").exists()
    descriptor = os.open(folder / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(descriptor, line)
    os.fsync(descriptor)
    os.close(descriptor)
    if is_new:
        sync_folder(folder)
    descriptor = os.open(folder / "temporary", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.write(descriptor, document)
    os.fsync(descriptor)
    os.close(descriptor)
    os.rename(folder / "temporary", folder / "document")
    sync_folder(folder)
    return time.perf_counter() - started


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def last_write(run_path: Path) -> tuple[bytes, bytes]:
    (log,) = run_path.glob("feedback.*.jsonl")
    return log.read_bytes().splitlines(keepends=True)[-1], (run_path / "feedback.json").read_bytes()


def measure_single(store: RunStore, rounds: int) -> dict[str, float]:
    """A session: each image of a run rated in turn, then the next run."""
    manager = FeedbackManager(store, rater="bench")
    ours, floor = [], []
    for number in range(rounds):
        run_id = f"single-{number}"
        make_run(store, run_id)
        (store.root / "floor").mkdir(exist_ok=True)
        digests = [output.digest for _, output in store.open(run_id).iter_outputs()]
        for index, digest in enumerate(digests):
            started = time.perf_counter()
            manager.record_feedback(run_id, digest, index)
            ours.append(time.perf_counter() - started)
            floor.append(pay_floor(store.root / "floor", *last_write(store.root / run_id)))
        shutil.rmtree(store.root / "floor")
    return {
        "rating_ms": statistics.median(ours) * 1000,
        "floor_ms": statistics.median(floor) * 1000,
        "ratio": statistics.median(a / b for a, b in zip(ours, floor, strict=True)),
    }


def measure_batch(store: RunStore, name: str) -> dict[str, float]:
    """1,000 ratings over 200 runs in one call, between two halves of 200 floors, because the disk changes its pace."""
    said = []
    for number in range(BATCH_RUNS):
        run_id = f"{name}-{number}"
        make_run(store, run_id)
        said += [
            FeedbackInput(run_id=run_id, image_id=output.digest, rating=4)
            for _, output in store.open(run_id).iter_outputs()
        ]
    FeedbackManager(store, rater="bench").record_feedback(f"{name}-0", None, 4)
    line, document = last_write(store.root / f"{name}-0")
    floor = pay_floors(store, range(BATCH_RUNS // 2), line * IMAGES, document * IMAGES)
    started = time.perf_counter()
    FeedbackManager(store, rater="bench").record_many(said)
    ours = time.perf_counter() - started
    floor += pay_floors(store, range(BATCH_RUNS // 2, BATCH_RUNS), line * IMAGES, document * IMAGES)
    return {"batch_ms": ours * 1000, "floor_ms": floor * 1000, "ratio": ours / floor, "ratings": float(len(said))}


def pay_floors(store: RunStore, numbers: range, line: bytes, document: bytes) -> float:
    seconds = 0.0
    for number in numbers:
        folder = store.root / f"floor-{number}"
        folder.mkdir()
        seconds += pay_floor(folder, line, document)
        shutil.rmtree(folder)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--folder", help="where to write; by default beside this file, on the same disk as the source")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder or Path(__file__).parent))
    os.environ["STABLENEW_STATE_DIR"] = str(folder / "state")
    try:
        store = RunStore(folder / "runs")
        measure_single(RunStore(folder / "warm-up"), 3)
        single = measure_single(store, arguments.rounds)
        batches = [measure_batch(store, f"batch-{number}") for number in range(3)]
        batch = sorted(batches, key=lambda one: one["ratio"])[1]
    finally:
        shutil.rmtree(folder)
    if arguments.json:
        print(json.dumps({"single": single, "batch": batch}, indent=2))
        return 0
    print(
        f"one rating    {single['rating_ms']:8.2f} ms, floor {single['floor_ms']:8.2f} ms: {single['ratio']:.2f} times"
    )
    print(f"1,000 ratings {batch['batch_ms']:8.2f} ms, floor {batch['floor_ms']:8.2f} ms: {batch['ratio']:.2f} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
