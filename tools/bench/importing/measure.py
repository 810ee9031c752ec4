"""How fast images are taken in, as ratios to what cannot be avoided.

    python tools/bench/importing/measure.py images [--count 2000]     beside SHA-256 of the same bytes in two processes
    python tools/bench/importing/measure.py rescan [--count 100000]   nothing new, beside scandir and stat
    python tools/bench/importing/measure.py memory [--count 200000]   the most memory of an import of small files
    python tools/bench/importing/measure.py watch [--count 40]        from a closed file to its row in the index
    python tools/bench/importing/measure.py stars [--count 1000]      six programs' databases, images that moved

Everything is made in a temporary folder (`TMPDIR`), with a state folder of its own.

What `images` cannot go below, as processor time beside one SHA-256 of all bytes (1.00, some 1 ms a file on the machine
where this was measured): the second digest 0.05, metadata of an A1111 PNG 0.15, start of two reading processes 0.12 at
2,000 files, building, checking and writing records 0.13, answers from process to process 0.03, runs, seals and the
cache of known files 0.1: 1.6 in all, and 1.75 was the least of a whole import on a busy machine. Records that the
reading processes build as finished lines were measured in turn with those of the importing process, 2,000 files, four
rounds: 1.78 beside 1.63, for each process must load the models first, and the same work is only moved. Without the
garbage collector in the readers: 0.02 less.
"""

import argparse
import contextlib
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stablenew import RunStore
    from stablenew.importing.importer import Importer, ImportReport

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
LARGE_BYTES = 1_400_000
TEXT = "a quiet harbour at dawn, number {n}\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, CFG scale: 7, "
TEXT += "Seed: {n}, Size: 64x48, Model: tiny, Version: v1.10.1"


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def make_file(number: int, size: int = 0) -> bytes:
    """A PNG of A1111 with `size` bytes of pixels that nobody decodes here."""
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", (64).to_bytes(4) + (48).to_bytes(4) + b"\x08\x02\0\0\0")
    text = chunk(b"tEXt", b"parameters\0" + TEXT.format(n=number).encode())
    pixels = chunk(b"IDAT", os.urandom(size)) if size else chunk(b"IDAT", zlib.compress(number.to_bytes(8) * 40))
    return head + text + pixels + chunk(b"IEND", b"")


def fill(folder: Path, count: int, size: int = 0) -> None:
    for number in range(count):
        place = folder / f"{number // 1000:04d}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        (place / f"{number:06d}.png").write_bytes(make_file(number, size))


def hash_files(paths: list[str]) -> int:
    total = 0
    for path in paths:
        with open(path, "rb") as file:
            total += len(hashlib.file_digest(file, "sha256").digest())
    return total


def importer(folder: Path) -> "Importer":
    from stablenew import RunStore
    from stablenew.importing.importer import Importer

    return Importer(RunStore(folder / "runs"))


def measure_images(folder: Path, count: int) -> None:
    fill(folder / "outputs", count, LARGE_BYTES)
    paths = sorted(str(path) for path in (folder / "outputs").rglob("*.png"))
    floors, imports = [], []
    floor_work, import_work = [], []
    first_after: list[float] = []
    for number in range(2):
        worked = processor_seconds()
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(hash_files, [paths[:1], paths[:1]]))
            began = time.perf_counter()
            list(pool.map(hash_files, [paths[::2], paths[1::2]]))
            floors.append(time.perf_counter() - began)
        floor_work.append(processor_seconds() - worked)
        taking = importer(folder / str(number))
        moments: list[float] = []

        def follow(report: "ImportReport", moments: list[float] = moments) -> None:
            if report.imported and not moments:
                moments.append(time.perf_counter())

        worked, began = processor_seconds(), time.perf_counter()
        assert taking.run(folder / "outputs", follow).imported == count
        imports.append(time.perf_counter() - began)
        import_work.append(processor_seconds() - worked)
        first_after.append(moments[0] - began)
    floor, took = min(floors), min(imports)
    print(
        f"{count:,} images of 1.4 MB: {took:.2f} s, {took / floor:.2f} times SHA-256 in two processes ({floor:.2f} s)"
    )
    print(f"processor time: {min(import_work):.2f} s, {min(import_work) / min(floor_work):.2f} times the same hashing")
    print(f"first images after {min(first_after):.2f} s; {count / took:,.0f} images a second")


def processor_seconds() -> float:
    """What this process and its children that ended have used so far."""
    return sum(os.times()[:4])


def look(folder: str) -> int:
    found = 0
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    entry.stat(follow_symlinks=False)
                    found += 1
    return found


def measure_rescan(folder: Path, count: int) -> None:
    fill(folder / "outputs", count)
    began = time.perf_counter()
    assert importer(folder).run(folder / "outputs").imported == count
    print(f"{count:,} small images taken in: {count / (time.perf_counter() - began):,.0f} a second")
    floors, rescans = [], []
    floor_work, rescan_work = [], []
    for _ in range(5):
        worked, began = processor_seconds(), time.perf_counter()
        assert look(str(folder / "outputs")) == count
        floors.append(time.perf_counter() - began)
        floor_work.append(processor_seconds() - worked)
        worked, began = processor_seconds(), time.perf_counter()
        assert importer(folder).run(folder / "outputs").imported == 0
        rescans.append(time.perf_counter() - began)
        rescan_work.append(processor_seconds() - worked)
    floor, took = min(floors), min(rescans)
    print(f"nothing new in {count:,}: {took:.2f} s, {took / floor:.2f} times scandir and stat ({floor:.2f} s)")
    work, least = min(rescan_work), min(floor_work)
    print(f"processor time: {work:.2f} s, {work / least:.2f} times scandir and stat")


def measure_memory(folder: Path, count: int) -> None:
    fill(folder / "outputs", count)
    code = (
        "import resource, sys; from pathlib import Path; from stablenew import RunStore; "
        "from stablenew.importing.importer import Importer; "
        "print(Importer(RunStore(sys.argv[1])).run(Path(sys.argv[2])).imported, "
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, str(folder / "runs"), str(folder / "outputs")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
    unit = 1 if sys.platform == "darwin" else 1024
    own, child = (int(value) * unit / 1e6 for value in said[1:])
    print(f"{int(said[0]):,} small images: {own:.0f} MB, and {child:.0f} MB in each child process")


def measure_watch(folder: Path, count: int) -> None:
    from stablenew import JobHistory, RunWatcher
    from stablenew.importing.folder_watch import FolderWatch

    taking = importer(folder)
    taking.store.prepare()
    outputs = folder / "outputs"
    outputs.mkdir()
    stop = threading.Event()
    watch = threading.Thread(target=FolderWatch(taking, outputs).run, args=(stop,), daemon=True)
    watcher = RunWatcher(taking.store.root)
    watcher.start()
    history = JobHistory(taking.store.root)
    watch.start()
    delays = []
    try:
        for number in range(count):
            time.sleep(0.3)
            (outputs / f"{number:06d}.png").write_bytes(make_file(number, LARGE_BYTES))
            began = time.perf_counter()
            while history.count_images() <= number:
                time.sleep(0.005)
            delays.append(time.perf_counter() - began)
    finally:
        stop.set()
        watch.join()
        watcher.stop()
        history.close()
    milliseconds = sorted(1000 * delay for delay in delays)
    median, late = statistics.median(milliseconds), milliseconds[int(0.95 * len(milliseconds))]
    print(f"from a closed file to its row: median {median:.0f} ms, 95 % within {late:.0f} ms")


def measure_stars(folder: Path, count: int) -> None:
    total: Counter[str] = Counter()
    for program in PROGRAMS:
        measure_program(program, folder / program, count, total)
    print(f"in all {total['right'] / total['expected']:.1%} found, {total['wrong']} wrong, ", end="")
    print(f"{total['listed']:,} of {total['lost']:,} lost ones listed")


def measure_program(program: str, base: Path, count: int, total: "Counter[str]") -> None:
    from tests.importing.images import INFOTEXT

    from stablenew import RunStore
    from stablenew.importing.importer import Importer
    from stablenew.importing.pixel_index import PixelIndex
    from stablenew.importing.stars.image_finder import ImageFinder
    from stablenew.importing.stars.star_import import StarImport
    from stablenew.importing.stars.star_sources import read_stars

    outputs = base / "outputs" / "images"
    paths = [draw(outputs, number, INFOTEXT) for number in range(count)]
    store = RunStore(base / "runs")
    Importer(store).run(outputs)
    with PixelIndex(store) as pixels:  # as the import lets it be done beside
        pixels.update()
    source = write_source(program, base, paths)
    began = time.perf_counter()
    report = StarImport(store, "me").run(read_stars(source), ImageFinder(store))
    took = time.perf_counter() - began
    right, wrong = count_right(store, is_flag=program == "invokeai")
    lost, known = sum(is_lost(program, number) for number in range(count)), len(report.unmatched)
    total.update(right=right, wrong=wrong, expected=count - lost, lost=lost, listed=known)
    print(f"{program:24} {right:5,} of {count - lost:5,} found, {wrong} wrong, ", end="")
    print(f"{known:4,} of {lost:4,} lost ones listed, ", end="")
    print(f"{dict(report.matched)}, {took:.1f} s")


def is_lost(program: str, number: int) -> bool:
    """Whether nobody can know the image: its file is gone, and the program has no hash of it."""
    return number % 5 == 4 or (number % 5 == 3 and program not in HASHING)


def write_source(program: str, base: Path, paths: list[Path]) -> Path:
    """The database of a program, after a fifth of the images were renamed, a fifth rewritten, two fifths taken away."""
    from tests.importing.stars import databases

    outputs = base / "outputs" / "images"
    stars, hashes, pixels = {}, {}, {}
    for number, path in enumerate(paths):
        there = path
        if number % 5 == 1:
            there = path.rename(outputs / f"renamed {number}.png")
        elif number % 5 == 2:
            there = rewrite(path, outputs / f"stripped {number}.png")
        elif number % 5 > 2:
            there = outputs / "gone" / f"{number}.png"
            if not is_lost(program, number):
                hashes[there], pixels[there] = databases.sha256(path), databases.sha512_of_pixels(path.read_bytes())
        stars[there] = number % 5 + 1
    if program == "invokeai":
        return Path(databases.invokeai(base, [str(path.relative_to(outputs)) for path in stars]))
    options = {
        "diffusion-toolkit": {"hashes": hashes},
        "majoor": {"hashes": hashes},
        "images-browser": {"pixels": pixels},
    }
    make = getattr(databases, program.replace("-", "_"))
    return Path(make(base / "source.db", stars, **options.get(program, {})))


def rewrite(path: Path, target: Path) -> Path:
    """Another file of the same pixels, without what the first one said, in its stead."""
    from PIL import Image

    with Image.open(path) as image:
        image.save(target, "PNG", compress_level=1)
    path.unlink()
    return target


def draw(folder: Path, number: int, infotext: str) -> Path:
    """An image with pixels of its own."""
    from PIL import Image, PngImagePlugin

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number:05d}-{number}.png"
    noise = hashlib.sha256(str(number).encode()).digest()
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", infotext.format(seed=number, steps=20))
    Image.frombytes("L", (8, 4), noise).resize((64, 48)).convert("RGB").save(path, pnginfo=info)
    return path


def count_right(store: "RunStore", *, is_flag: bool) -> tuple[int, int]:
    from stablenew import FeedbackManager

    right = wrong = 0
    for run in store.iter_runs():
        seeds = {output.digest: record.actual.seed for record, output in run.iter_outputs() if record.actual}
        for (digest, _), opinion in FeedbackManager(store).opinions(run.run_id).items():
            said = (
                opinion.get("flag") == "pick" if is_flag else opinion.get("rating") == int(seeds[digest] or 0) % 5 + 1
            )
            right += said
            wrong += not said
    return right, wrong


PROGRAMS = (*("diffusion-toolkit", "infinite-image-browsing", "images-browser", "smart-gallery", "majoor", "invokeai"),)
HASHING = frozenset({"diffusion-toolkit", "images-browser", "majoor"})
QUESTIONS = {
    "images": (measure_images, 2_000),
    "rescan": (measure_rescan, 100_000),
    "memory": (measure_memory, 200_000),
    "watch": (measure_watch, 40),
    "stars": (measure_stars, 1_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=QUESTIONS)
    parser.add_argument("--count", type=int)
    chosen = parser.parse_args()
    measure, count = QUESTIONS[chosen.question]
    with tempfile.TemporaryDirectory(prefix="stablenew-bench-") as folder:
        os.environ["STABLENEW_STATE_DIR"] = f"{folder}/state"
        with contextlib.suppress(KeyboardInterrupt):
            measure(Path(folder), chosen.count or count)


if __name__ == "__main__":
    main()
