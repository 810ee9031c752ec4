"""How well, how safely and how fast image metadata is read.

    python tools/bench/importing/read_metadata.py samples DIR     what was found in real files, by tool
    python tools/bench/importing/read_metadata.py fuzz DIR        mutated files: exceptions, slowest answer, memory
    python tools/bench/importing/read_metadata.py speed           PNGs of 1.4 MB whose pixels are stepped over

DIR holds a folder a tool; `_negative` holds files that say nothing. What a file holds at all is told by patterns over
its raw texts, apart from the readers; every miss is printed, for a person to judge.
"""

import argparse
import collections
import os
import random
import re
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path

from stablenew.image_metadata.metadata import ImageMetadata
from stablenew.image_metadata.reading import read_image_metadata

HOLDS = {
    "prompt": re.compile(r"prompt|\bSteps: |class_type|\"c\":|widgets_values|^\"", re.IGNORECASE),
    "seed": re.compile(r"seed\"?:\s*\"?\d|-S \d|\"noise_seed\"", re.IGNORECASE),
    "model": re.compile(r"ckpt_name|unet_name|\bModel(?: hash)?: |\"(?:base_)?model|NovelAI Diffusion|ModelName"),
}
FOLDERS = {"StabilityMatrix": "Stability Matrix", "HuggingFaceSpace": "Hugging Face Space", "DrawThings": "Draw Things"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=("samples", "fuzz", "speed"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--count", type=int, help="mutated files (100,000) or PNGs (2,000)")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.question == "speed":
        measure_speed(chosen.count or 2_000)
    elif chosen.folder is None:
        parser.error("which folder?")
    elif chosen.question == "samples":
        count_found(chosen.folder)
    else:
        fuzz(chosen.folder, chosen.count or 100_000, chosen.seed)


def read(path: Path) -> ImageMetadata:
    with path.open("rb", buffering=0) as file:
        return read_image_metadata(file)


def count_found(folder: Path) -> None:
    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for path in sorted(path for path in folder.glob("*/*") if path.is_file()):
        row = table[path.parent.name]
        said = read(path)
        row["files"] += 1
        if path.parent.name == "_negative":
            row["found"] += said.has_generation_data or said.tool is not None
            continue
        row["found"] += said.tool is not None
        row["tool"] += is_named(said, path.parent.name)
        facts = {
            "prompt": said.generation.prompt,
            **{name: said.generation.settings.get(name) for name in ("seed", "model")},
        }
        facts["model"] = facts["model"] or said.generation.settings.get("model_hash")
        raw = "\n".join(text.text for text in said.raw)
        for name, pattern in HOLDS.items():
            holds = bool(pattern.search(raw))
            row[f"{name} held"] += holds
            row[name] += holds and facts[name] is not None
            if holds and facts[name] is None:
                print(f"without {name}: {path.parent.name}/{path.name}")
        if not is_named(said, path.parent.name):
            print(f"named {said.tool}: {path.parent.name}/{path.name}")
    print_table(table)


def is_named(said: ImageMetadata, folder: str) -> bool:
    if folder == "C2PA":
        return said.has_c2pa and said.tool is not None
    return said.tool is not None and said.tool.replace(" ", "-") == FOLDERS.get(folder, folder).replace(" ", "-")


def print_table(table: dict[str, collections.Counter[str]]) -> None:
    names = ("files", "found", "tool", "prompt", "prompt held", "seed", "seed held", "model", "model held")
    print(f"{'':18}", *(f"{name:>11}" for name in names))
    total: collections.Counter[str] = collections.Counter()
    for folder, row in table.items():
        print(f"{folder:18}", *(f"{row[name]:>11}" for name in names))
        if folder != "_negative":
            total.update(row)
    print(f"{'all but negative':18}", *(f"{total[name]:>11}" for name in names))


def peak_mb() -> float:
    """The most memory that this process has had, in megabytes; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fuzz(folder: Path, count: int, seed: int) -> None:
    chance = random.Random(seed)
    # large files are cut: their metadata stands in front or at the end, and mutations shall hit it
    seeds = [shorten(path.read_bytes()) for path in sorted(folder.glob("*/*")) if path.is_file()]
    read_image_metadata(make_stealthy())  # loads what only hidden texts need
    before = peak_mb()
    slowest, raised, stumbled, understood = 0.0, 0, 0, 0
    begin = time.perf_counter()
    for number in range(count):
        data = mutate(chance.choice(seeds), seeds, chance)
        started = time.perf_counter()
        try:
            said = read_image_metadata(data)
        except Exception as error:  # noqa: BLE001  # exceptions are what is being counted
            raised += 1
            print(f"file {number} (seed {seed}) raised {type(error).__name__}: {error}")
            continue
        slowest = max(slowest, time.perf_counter() - started)
        understood += said.has_generation_data
        stumbled += any("stumbled" in problem for problem in said.problems)
        if number % 20_000 == 19_999:
            print(f"{number + 1:,} files, {time.perf_counter() - begin:.0f} s", flush=True)
    print(f"{count:,} mutated files: {raised} exceptions, {stumbled} readers stumbled, {understood:,} understood")
    print(f"slowest answer {slowest * 1000:.0f} ms; memory {before:.0f} MB before, {peak_mb():.0f} MB at most")


def make_stealthy() -> bytes:
    """A PNG with alpha and no text: its pixels are looked at."""
    pixels = zlib.compress(b"\0" * (64 * 4 + 1) * 64)
    head = struct.pack(">IIBBBBB", 64, 64, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def shorten(data: bytes, most: int = 60_000) -> bytes:
    return data if len(data) <= most else data[: most // 2] + data[-most // 2 :]


def mutate(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """A few changes: bits, bytes, numbers, parts that are cut, doubled or taken from other files."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16, 64))):
        at = (
            chance.randrange(len(changed) + 1)
            if chance.random() < 0.5
            else chance.randrange(min(len(changed), 2_000) + 1)
        )
        length = chance.choice((1, 2, 4, 16, 200))
        kind = chance.randrange(7)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[at : at + length] = chance.randbytes(length)
        elif kind == 2:
            changed[at : at + 4] = struct.pack(
                chance.choice((">I", "<I")), chance.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 65_535))
            )
        elif kind == 3:
            del changed[at : at + length]
        elif kind == 4:
            changed[at:at] = changed[at : at + length] * chance.choice((1, 2, 50))
        elif kind == 5:
            other = chance.choice(others)
            begin = chance.randrange(len(other) + 1)
            changed[at:at] = other[begin : begin + chance.choice((20, 500, 5_000))]
        else:
            changed[at : at + 1] = chance.choice(
                (b"[", b"{", b'"', b"\0", b"\\", b",", b"null", b"1e999", b"-1", b"[[[[")
            )
    return bytes(changed)


def measure_speed(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(min(count, 200)):
            (folder / f"{number}.png").write_bytes(make_png(number))
        paths = [folder / f"{number % min(count, 200)}.png" for number in range(count)]
        for path in paths:
            path.read_bytes()  # warm
        for what, question in (("metadata", read), ("stat alone", os.stat)):
            begin, processor = time.perf_counter(), time.process_time()
            for path in paths:
                question(path)
            seconds, processor = time.perf_counter() - begin, time.process_time() - processor
            print(
                f"{what}: {count / seconds:,.0f} files a second ({count / processor:,.0f} a second of processor time)"
            )


def make_png(number: int) -> bytes:
    """A PNG as a WebUI saves it: the text in front, then 64 kB parts of pixels that do not pack."""
    text = "a quiet harbour at dawn, boats, fog <lora:ink:0.7>\nNegative prompt: blurry\nSteps: 20, Sampler: DPM++ 2M, "
    text += (
        f"Schedule type: Karras, CFG scale: 7, Seed: {number}, Size: 1024x1024, Model hash: 45a21ea00a, Model: tiny, "
    )
    text += 'Lora hashes: "ink: 0123456789ab", Version: v1.10.1'
    parts = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", 1024, 1024, 8, 2, 0, 0, 0)),
        chunk(b"tEXt", b"parameters\0" + text.encode()),
    ]
    parts += [chunk(b"IDAT", random.Random(number).randbytes(65_536)) for _ in range(21)]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IEND", b"")])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    main()
