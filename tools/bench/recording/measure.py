"""What recording a run costs, beside plain writes of the same bytes to the same number of files."""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from stablenew.formats.clock import SYSTEM_CLOCK
from stablenew.formats.digest import DoubleHash
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.pipeline_result import GeneratedImage
from stablenew.formats.run_id import new_run_id
from stablenew.recording.background_recording import BackgroundRecording
from stablenew.recording.image_content import build_image
from stablenew.recording.new_run import RunDescription, build_source
from stablenew.recording.recording_session import RecordingSession
from stablenew.recording.side_channel import SideChannel
from stablenew.store.run_store import RunStore

VARIANTS = 4
IMAGE_BYTES = 1_400_000
PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1024).to_bytes(4, "big") * 2


def make_images() -> list[bytes]:
    return [PNG_HEAD + random.randbytes(IMAGE_BYTES - len(PNG_HEAD)) for _ in range(VARIANTS)]


def record_run(root: Path, images: list[bytes], *, is_queued: bool) -> Path:
    """The real thing: create, four variants, seal."""
    run_id = new_run_id(SYSTEM_CLOCK.now())
    source = build_source(engine="bench")
    config = {"txt2img": {"steps": 30, "cfg_scale": 7.5, "sampler": "Euler a"}}
    description = RunDescription(run_id=run_id, config=config, source=source)
    own = RecordingSession(RunStore(root), description)
    recording = BackgroundRecording(own, SideChannel("recording")) if is_queued else own.start()
    for index, data in enumerate(images):
        image = build_image(data, variant=index, stage="txt2img", number=0, seed=index, role="final")
        recording.add_variant(build_record(run_id, index, image), [image])
    run = recording.finish("completed")
    assert run is not None
    return run.path


def build_record(run_id: str, index: int, image: GeneratedImage) -> LearningRecord:
    settings = {"steps": 30, "cfg_scale": 7.5, "sampler": "Euler a", "seed": index, "width": 1024, "height": 1024}
    now = SYSTEM_CLOCK.timestamp()
    context = {
        "run_id": run_id,
        "variant": {"index": index, "total": VARIANTS, "mode": "fanout", "label": f"txt2img.steps={index}"},
        "started_at": now,
        "finished_at": now,
        "duration_seconds": 1.0,
        "prompt": {"positive": "a quiet harbour at dawn, fishing boats, soft light", "negative": "blurry"},
        "actual": settings,
        "stages": [
            {"name": "txt2img", "status": "completed", "started_at": now, "duration_seconds": 1.0, "output_count": 1}
        ],
        "outputs": [image.reference.to_dict()],
    }
    return LearningRecord.from_pipeline_context(settings, context)


def copy_plainly(run: Path, target: Path, kind: str) -> None:
    """The same bytes to the same files, with nothing but system calls."""
    os.mkdir(target)
    os.mkdir(target / "outputs")
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.name != "records.jsonl")
    contents = [(str(target / path.relative_to(run)), path.read_bytes()) for path in files]
    lines = (run / "records.jsonl").read_bytes().splitlines(keepends=True)
    records = str(target / "records.jsonl")
    started = time.perf_counter(), time.process_time()
    for path, data in contents:
        write_file(path, data, kind)
    for line in lines:
        append_line(records, line, durable=kind != "plain", is_first=line is lines[0])
    TIMES[kind].append(time.perf_counter() - started[0])
    CPU[kind].append(time.process_time() - started[1])


def write_file(path: str, data: bytes, kind: str) -> None:
    place = path if kind != "atomic" else f"{path}.tmp"
    descriptor = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.write(descriptor, data)
    if kind != "plain":
        os.fsync(descriptor)
    os.close(descriptor)
    if kind == "atomic":
        os.rename(place, path)
    if kind != "plain":
        sync_folder(os.path.dirname(path))


def append_line(path: str, line: bytes, *, durable: bool, is_first: bool) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(descriptor, line)
    if durable:
        os.fsync(descriptor)
    os.close(descriptor)
    if durable and is_first:
        sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    folder = os.open(path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


WAYS = ("queued", "one by one")
FLOORS = ("fsync", "atomic", "plain")
TIMES: dict[str, list[float]] = {name: [] for name in (*WAYS, *FLOORS, "hashing")}
CPU: dict[str, list[float]] = {name: [] for name in TIMES}


def timed(name: str, work: Callable[[], Path | None]) -> Path | None:
    started = time.perf_counter(), time.process_time()
    result = work()
    TIMES[name].append(time.perf_counter() - started[0])
    CPU[name].append(time.process_time() - started[1])
    return result


def hash_images(images: list[bytes]) -> None:
    for data in images:
        hashes = DoubleHash()
        hashes.update(data)
        _ = hashes.digest, hashes.sha256


def measure_round(folder: Path) -> None:
    images = make_images()
    for way in WAYS:
        run = timed(way, lambda: record_run(folder / "runs", images, is_queued=way == "queued"))  # noqa: B023
        assert run is not None
        for kind in FLOORS:
            copy_plainly(run, folder / kind, kind)
            shutil.rmtree(folder / kind)
        shutil.rmtree(run)
    timed("hashing", lambda: hash_images(images))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--folder", help="where to write; by default beside this file, on the same disk as the source")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder or Path(__file__).parent))
    os.environ["STABLENEW_STATE_DIR"] = str(folder / "state")
    try:
        for number in range(arguments.rounds + 3):
            measure_round(folder)
            if number == 2:  # the first rounds warm up imports, caches and the allocator
                for series in (*TIMES.values(), *CPU.values()):
                    series.clear()
    finally:
        shutil.rmtree(folder)
    report(as_json=arguments.json)
    return 0


def report(*, as_json: bool) -> None:
    times = {name: statistics.median(series) * 1000 for name, series in TIMES.items()}
    cpu = {name: statistics.mean(series) * 1000 for name, series in CPU.items()}
    beyond = {way: cpu[way] - cpu["hashing"] - cpu["fsync"] for way in WAYS}
    ratios = {way: {kind: ratio(way, kind) for kind in FLOORS} for way in WAYS}
    if as_json:
        result = {"milliseconds": times, "ratios": ratios, "cpu_ms": cpu, "cpu_ms_beyond_hashing_and_writing": beyond}
        print(json.dumps(result, indent=2))
        return
    print(
        f"one run: {VARIANTS} variants, {VARIANTS} images of {IMAGE_BYTES / 1e6} MB; medians of {len(TIMES[WAYS[0]])}"
    )
    for kind in FLOORS:
        print(f"  {kind + ' floor':15} {times[kind]:7.1f} ms")
    for way in WAYS:
        beside = ", ".join(f"{value:.2f} x {kind}" for kind, value in ratios[way].items())
        print(
            f"  {way:15} {times[way]:7.1f} ms   {beside}; CPU {cpu[way]:.1f} ms, {beyond[way]:.1f} beyond the floor's"
        )


def ratio(way: str, kind: str) -> float:
    """Each way was followed by all floors; each is compared with the one right after it."""
    floors = TIMES[kind][WAYS.index(way) :: len(WAYS)]
    return statistics.median(a / b for a, b in zip(TIMES[way], floors, strict=True))


if __name__ == "__main__":
    sys.exit(main())
