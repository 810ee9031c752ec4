"""What lists of very many images cost: first pages, counts, facets, size, memory, a rating. Prints JSON.

    python tools/bench/history/images.py FOLDER --jobs 1000000                   2,600,000 images
    python tools/bench/history/images.py FOLDER --jobs 10000 --images 100        100 images a job
    python tools/bench/history/images.py FOLDER                                  measure what was filled before

Made-up runs: prompts of 25 words out of 30,000, ten settings of their own a variant out of 150, a tenth of the images
rated by one to three people, a third with one to three metrics. They have no folders; the index is filled directly, in
a state folder of its own, `FOLDER.state`.
"""

import argparse
import hashlib
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stablenew.formats.settings import INDEXED
from stablenew.index.reading.index_rows import build_rows
from stablenew.index.reading.run_entry import (
    ImageOpinion,
    MetadataEntry,
    OpinionEntry,
    OutputEntry,
    RunEntry,
    RunReading,
    ScoreEntry,
    VariantEntry,
)
from stablenew.index.reading.run_rows import RunRows

WORDS = 30_000
OWN_NAMES = 150
AT = "2026-11-22T07:10:09.123Z-0000"
FIRST_MS = 1_700_000_000_000
CHOICES: dict[str, list[Any]] = {
    "model": [f"model-{number}" for number in range(40)],
    "vae": ["vae-ft-mse", "auto", None],
    "sampler": ["Euler a", "Euler", "DPM++ 2M", "DDIM", "UniPC", "LMS", "Heun", "DPM++ SDE"],
    "scheduler": ["karras", "normal", "exponential"],
    "steps": [15, 20, 25, 28, 30, 35, 40, 50],
    "cfg_scale": [3.0, 4.5, 5.0, 6.0, 7.0, 7.5, 8.0, 9.0, 12.0],
    "width": [512, 640, 768, 832, 1024, 1216],
    "height": [512, 640, 768, 832, 1024, 1216],
    "denoising_strength": [None, None, None, 0.3, 0.5, 0.7],
    "clip_skip": [None, 1, 2],
    "eta": [None, None, 0.0, 1.0],
}
QUERIES = {
    "newest": "",
    "one condition": "model:model-0",
    "three conditions": 'model:model-1 sampler:"Euler a" steps:30',
    "three conditions, rare": "model:model-39 sampler:Heun cfg:12",
    "five conditions": "model:model-3 sampler:LMS cfg:9 steps:15 rating:5",
    "seed": "seed:123456",
    "a common word": "w1",
    "a rare word": "w9000",
    "a phrase of common words": '"w0 w1"',
    "a word and a model": "w20 model:model-30",
    "a setting of its own": "settings.own_3:2",
    "its range": "settings.own_10:20..40",
    "a metric's range": "metric.aesthetic:>6",
    "stars": "rating:>=4",
    "unrated": "unrated:yes model:model-2",
    "mine": "mine:5",
    "not": "-model:model-0 -tag:keeper",
}
SORTED = {"best": "best", "by a metric": "metric.aesthetic", "oldest": "oldest", "by steps": "steps"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--images", type=int, default=0, help="images a job; by default 1 to 8, 2.6 on average")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    os.environ["STABLENEW_STATE_DIR"] = f"{arguments.folder.absolute()}.state"
    filled = fill(arguments.folder, arguments.jobs, arguments.images) if arguments.jobs else {}
    print(json.dumps(filled | measure(arguments.folder, arguments.rounds), indent=2))


def fill(folder: Path, jobs: int, images: int) -> dict[str, float]:
    from stablenew.index.index_file import delete_index, index_path
    from stablenew.index.reading.folder_snapshot import root_signature
    from stablenew.index.run_index import RunIndex

    folder.mkdir(parents=True, exist_ok=True)
    delete_index(index_path(folder))
    started = time.perf_counter()
    index = RunIndex(index_path(folder))
    part: list[RunRows] = []
    for rows in iter_rows(jobs, images):
        part.append(rows)
        if len(part) * max(images, 3) > 6_000:
            index.upsert_runs(part, is_quiet=True, are_new=True)
            part = []
    index.upsert_runs(part, is_quiet=True, are_new=True)
    index.finish_filling()
    index.announce_reset()
    signature = root_signature(folder)
    index.set_meta(is_complete=1, hints_place="", root_signature=signature, swept_at=time.time(), sweep_seconds=60)
    index.close()
    return {"fill_seconds": time.perf_counter() - started}


def iter_rows(jobs: int, images: int) -> Iterator[RunRows]:
    chance = random.Random(7)
    shapes = [sorted(chance.sample(range(OWN_NAMES), 10)) for _ in range(60)]
    weights = [1 / (rank + 10) for rank in range(WORDS)]
    words = [f"w{rank}" for rank in chance.choices(range(WORDS), weights, k=2_000_000)]
    prompts: list[str] = []
    for number in range(jobs):
        count = images or chance.choice((1, 1, 1, 1, 2, 3, 4, 8))
        variants = [build_variant(chance, shapes, words, prompts, number, place) for place in range(count)]
        digests = [variant.outputs[0].digest for variant in variants]
        created = FIRST_MS + number * 60_000
        run_id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(created / 1000))}-000-{number:010d}"
        metadata = MetadataEntry(created, "completed", "webui", "StableNew", None, (), (), count, count, 9.5)
        entry = RunEntry(
            run_id, "sealed", "completed", created, metadata, tuple(variants), opinions(chance, digests), (), None
        )
        yield build_rows(RunReading(run_id, 1 << 62, 1 << 62, is_hot=False, entry=entry))


def build_variant(
    chance: random.Random, shapes: list[list[int]], words: list[str], prompts: list[str], job: int, place: int
) -> VariantEntry:
    if not prompts or chance.random() < 0.2:
        start = chance.randrange(len(words) - 25)
        prompts.append(" ".join(words[start : start + 25]))
    prompt = prompts[-1] if chance.random() < 0.7 else chance.choice(prompts)
    settings = {name: values[min(int(chance.expovariate(0.4)), len(values) - 1)] for name, values in CHOICES.items()}
    settings["seed"] = chance.randrange(2**32)
    own = [(f"own_{name}", own_value(chance, name)) for name in chance.choice(shapes)]
    digest = "xxh128:" + hashlib.blake2b(f"{job} {place}".encode(), digest_size=16).hexdigest()
    path = f"outputs/{place:04d}-txt2img-0.{digest[7:19]}.png"
    at = "2026-11-21T07:10:09.123Z"
    scores = tuple(
        ScoreEntry(digest, f"metric.{name}", "scorer 1", round(chance.gauss(5, 1), 4), at)
        for name in ("aesthetic", "sharpness", "clip")[: chance.choice((0, 0, 0, 1, 2, 3))]
    )
    return VariantEntry(
        number=place,
        status="completed",
        prompt=prompt,
        negative="blurry",
        settings=tuple(settings[setting.name] for setting in INDEXED),
        other_settings=tuple(sorted(own)),
        duration_seconds=4.5,
        loras=(),
        embeddings=(),
        pack=None,
        outputs=(OutputEntry(path, digest, settings["width"], settings["height"], "image/png", "txt2img"),),
        output_sizes=(),
        scores=scores,
    )


def own_value(chance: random.Random, name: int) -> int | float | str:
    if name % 3 == 0:
        return chance.randrange(6)
    if name % 3 == 1:
        return round(chance.random() * 100, 2)
    return f"word-{chance.randrange(12)}"


def opinions(chance: random.Random, digests: list[str]) -> OpinionEntry:
    rated = [digest for digest in digests if chance.random() < 0.1]
    found = [
        ImageOpinion(digest, rater, chance.choice((1, 2, 3, 3, 4, 4, 5)), AT, None, None, is_empty=False)
        for digest in rated
        for rater in ("me", "alice", "bob")[: chance.choice((1, 1, 2, 3))]
    ]
    given = ((digest, chance.choice(("keeper", "print", "label:red"))) for digest in rated if chance.random() < 0.5)
    tags = tuple((digest, "me", tag, AT, True) for digest, tag in given)
    ratings = tuple((one.image, one.rating or 0) for one in found)
    return OpinionEntry(image_ratings=ratings, opinions=tuple(found), image_tags=tags)


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    from stablenew.index.job_history import JobHistory

    history = JobHistory(folder, rater="me")
    started = time.perf_counter()
    columns = history.columns
    loaded = time.perf_counter() - started
    pages, counts, facets = {}, {}, {}
    for name, text in QUERIES.items():
        query = history.parse(text)
        pages[name] = fresh_ms(columns, lambda q=query: history.find_images(q), rounds)  # type: ignore[misc]
        counts[name] = fresh_ms(columns, lambda q=query: history.count_images(q), rounds)  # type: ignore[misc]
        facets[name] = fresh_ms(columns, lambda q=query: columns.count_facets("images", q), max(3, rounds // 3))  # type: ignore[misc]
    for name, sort in SORTED.items():
        pages[name] = fresh_ms(columns, lambda s=sort: history.find_images(sort=s), rounds)  # type: ignore[misc]
    query = history.parse(QUERIES["three conditions"])
    pages["three conditions, best"] = fresh_ms(columns, lambda: history.find_images(query, sort="best"), rounds)
    images = history.count_images()
    return {
        "jobs": history.count(),
        "images": images,
        "first_columns_seconds": round(loaded, 2),
        "page_ms": pages,
        "count_ms": counts,
        "facets_ms": facets,
        **memory(),
        **sizes(history.keeper.path, images),
    }


def fresh_ms(columns: Any, work: Callable[[], object], rounds: int) -> float:
    """The median processor time of a query that nobody asked before; what only depends on the index is kept."""
    spent = []
    for _ in range(rounds + 1):
        columns.forget_queries()
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return round(statistics.median(spent[1:]) * 1000, 2)


def memory() -> dict[str, float]:
    """Of this process, in MB: what it does not share with files, and the most it ever took."""
    private = 0
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean", "Private_Dirty")):
            private += int(line.split()[1])
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0])
    return {"private_mb": private / 1024, "peak_mb": peak / 1024}


def sizes(path: Path, images: int) -> dict[str, Any]:
    """Bytes an image: in all, beyond the bodies of prompts, and by table."""
    import sqlite3

    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC").fetchall()
    connection.close()
    beside = sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file() and file.suffix != ".sqlite")
    bodies = dict(rows).get("text", 0)
    return {
        "bytes_an_image": (sum(size for _, size in rows) + beside) / images,
        "beyond_prompts": (sum(size for _, size in rows) + beside - bodies) / images,
        "beside_sqlite": beside / images,
        "by_table": {name: round(size / images, 1) for name, size in rows if size / images > 0.5},
    }


if __name__ == "__main__":
    main()
