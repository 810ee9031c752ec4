"""What the history index costs, beside bare loops over the same folders. Prints JSON.

    python tools/make_example_runs.py FOLDER --count 100000
    python tools/bench/history/measure.py rebuild FOLDER      beside opening, reading and closing the same files
    python tools/bench/history/measure.py rebuild FOLDER --cold    with nothing in memory (Linux, root)
    python tools/bench/history/measure.py sweep FOLDER        beside os.scandir and stat of the run folders
    python tools/bench/history/measure.py queries FOLDER      pages, facets, bytes a run, the whole command's CPU
    python tools/bench/history/measure.py queries FOLDER --fill 1000000     the same for runs that have no folders
    python tools/bench/history/measure.py hostile FOLDER --fill 100000      the slowest of queries made to be slow
    python tools/bench/history/measure.py unsealed FOLDER     a look at runs without a seal, or with outputs missing
    python tools/bench/history/measure.py watch               a burst of new folders, and how soon one is heard of

The index is made in a state folder of its own, `FOLDER.state`, and kept there.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

assert sys.platform != "win32", "measures with calls that only POSIX systems have"

QUERIES = {
    "newest page": "",
    "model": "model:dreamshaper_8",
    "model and sampler": 'model:dreamshaper_8 sampler:"Euler a"',
    "rating": "rating:>=4",
    "a common word": "harbour",
    "a phrase without a word": '"oil painting" -birds',
    "settings": "cfg:5..6 steps:>=40",
    "few": "model:protogen* sampler:LMS rating:5",
    "tag": "tag:keeper",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["rebuild", "sweep", "queries", "hostile", "unsealed", "watch"])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="let the system forget all files before each measurement")
    parser.add_argument("--fill", type=int, default=0, help="fill the index with so many example runs first")
    arguments = parser.parse_args()
    if arguments.what != "watch" and arguments.folder is None:
        parser.error("which folder?")
    folder = arguments.folder or Path(tempfile.mkdtemp()) / "runs"
    os.environ["STABLENEW_STATE_DIR"] = f"{folder.absolute()}.state"
    if arguments.fill:
        fill(folder, arguments.fill)
    measures: dict[str, Callable[[Path, int], dict[str, Any]]] = {
        "rebuild": measure_cold_rebuild if arguments.cold else measure_rebuild,
        "sweep": measure_sweep,
        "queries": measure_queries,
        "hostile": measure_hostile,
        "unsealed": measure_unsealed,
        "watch": measure_watch,
    }
    print(json.dumps(measures[arguments.what](folder, arguments.rounds), indent=2))


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def iter_files(folder: Path) -> Iterator[str]:
    """The files that the index reads: everything at the top of a run folder."""
    with os.scandir(folder) as runs:
        for run in runs:
            if not run.name.startswith("."):
                with os.scandir(run.path) as entries:
                    yield from (entry.path for entry in entries if entry.is_file())


def read_bare(files: Iterable[str]) -> int:
    size = 0
    for name in files:
        with open(name, "rb") as file:
            size += len(file.read())
    return size


def measure_rebuild(folder: Path, rounds: int) -> dict[str, Any]:
    files = list(iter_files(folder))
    read_bare(files)
    floors, rebuilds = [], []
    command = [sys.executable, "-m", "stablenew", "--quiet", "--runs-dir", str(folder), "index", "rebuild"]
    for _ in range(rounds):
        floors.append(timed(lambda: read_bare(files)))
        rebuilds.append(timed(lambda: subprocess.run(command, check=True)))
    floors.append(timed(lambda: read_bare(files)))
    floor, rebuild = statistics.median(floors), statistics.median(rebuilds)
    return {
        "files": len(files),
        "bare_read_seconds": floor,
        "rebuild_seconds": rebuild,
        "ratio": rebuild / floor,
        "peak_mb_of_the_largest_process": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def measure_cold_rebuild(folder: Path, rounds: int) -> dict[str, Any]:
    """As after a night: the bare loop has to find the files too, because nobody else has looked for them."""
    command = [sys.executable, "-m", "stablenew", "--quiet", "--runs-dir", str(folder), "index"]
    floors, rebuilds = [], []
    for _ in range(rounds):
        forget_files([*command, "status"])
        floors.append(timed(lambda: read_bare(iter_files(folder))))
        forget_files([*command, "status"])
        rebuilds.append(timed(lambda: subprocess.run([*command, "rebuild"], check=True)))
    ratios = [rebuild / floor for rebuild, floor in zip(rebuilds, floors, strict=True)]
    return {"bare_read_seconds": floors, "rebuild_seconds": rebuilds, "ratio": statistics.median(ratios)}


def forget_files(command: list[str]) -> None:
    """Empty the system's cache of files, then load our own program again with a command that reads no run."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def scan_bare(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)


def measure_sweep(folder: Path, rounds: int) -> dict[str, Any]:
    from stablenew.index.index_keeper import IndexKeeper

    keeper = IndexKeeper(folder)
    keeper.refresh(is_patient=True)
    time.sleep(2.1)
    keeper.sweep()
    bare, sweeps = [], []
    for _ in range(max(rounds, 5)):
        bare.append(timed(lambda: scan_bare(folder)))
        sweeps.append(timed(keeper.sweep))
    floor, sweep = statistics.median(bare), statistics.median(sweeps)
    return {"bare_scan_seconds": floor, "sweep_seconds": sweep, "ratio": sweep / floor}


def measure_unsealed(folder: Path, rounds: int) -> dict[str, Any]:
    """A look at a store without a single whole run: three of four lose their seal, the others an output.

    In milliseconds of processor time. The runs in the folder are spoilt for other measurements.
    """
    from contextlib import closing

    from stablenew.index.index_keeper import IndexKeeper
    from stablenew.index.reconciler import Reconciler
    from stablenew.index.run_index import RunIndex

    runs = sorted(run for run in folder.iterdir() if (run / "outputs").is_dir())
    for number, run in enumerate(runs):
        outputs = sorted((run / "outputs").iterdir())
        lost = outputs[:1] if number % 4 == 0 else [run / "SHA256SUMS"]
        for path in lost:
            path.unlink(missing_ok=True)
    keeper = IndexKeeper(folder)
    keeper.rebuild()
    with closing(RunIndex(keeper.path)) as index:
        reconciler = Reconciler(index, folder)
        looks = [processor_ms(lambda _: reconciler.check_hot_runs(), "") for _ in range(4 * rounds)]
        attended = [processor_ms(lambda _: reconciler.check_attended_runs(), "") for _ in range(4 * rounds)]
        sweeps = [processor_ms(lambda _: reconciler.sweep(), "") for _ in range(4 * rounds)]
    return {"runs": len(runs), "look_ms": looks, "attended_ms": attended, "sweep_ms": sweeps}


def fill(folder: Path, count: int) -> None:
    """An index of `count` example runs, from their documents, without a million folders on the disk."""
    from concurrent.futures import ProcessPoolExecutor

    from stablenew.index.index_file import delete_index, index_path
    from stablenew.index.reading.folder_snapshot import root_signature
    from stablenew.index.run_index import RunIndex

    folder.mkdir(parents=True, exist_ok=True)
    delete_index(index_path(folder))
    index = RunIndex(index_path(folder))
    step = 2_000
    parts = [(first, min(first + step, count), count) for first in range(0, count, step)]
    with ProcessPoolExecutor() as pool:
        for rows in pool.map(read_examples, parts):
            index.upsert_runs(rows, is_quiet=True, are_new=True)
    index.finish_filling()
    index.announce_reset()
    signature = root_signature(folder)
    index.set_meta(is_complete=1, hints_place="", root_signature=signature, swept_at=time.time(), sweep_seconds=60)
    index.close()


def read_examples(part: tuple[int, int, int]) -> list[Any]:
    """The rows that a reading of some example runs would give."""
    import random

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from make_example_runs import Options, build_run  # type: ignore[import-not-found]
    from stablenew.formats.documents.feedback import Feedback
    from stablenew.index.reading import run_entry as entries
    from stablenew.index.reading.fast_document_reader import read_metadata_fast, read_record_fast
    from stablenew.index.reading.index_rows import build_rows
    from stablenew.index.reading.opinion_entry import build_opinion_entry
    from stablenew.index.reading.variant_entry import build_variant_entry

    first, last, count = part
    options = Options(Path(), seed=1, count=count, outputs="links", fresh_prompts=0.3)
    rows = []
    for number in range(first, last):
        run = build_run(options, number, random.Random(f"1/{number}"))
        metadata = entries.build_metadata_entry(read_metadata_fast(run.metadata))
        events = Feedback.from_json(run.feedback["feedback.json"]).events if run.feedback else ()
        variants = tuple(build_variant_entry(read_record_fast(line)) for line in run.records.splitlines())
        entry = entries.RunEntry(
            run_id=run.run_id,
            state="sealed",
            status=metadata.status,
            created_ms=metadata.created_ms,
            metadata=metadata,
            variants=variants,
            opinions=build_opinion_entry(events),
            scores=(),
            problem=None,
        )
        reading = entries.RunReading(run.run_id, 1 << 62, 1 << 62, is_hot=False, entry=entry)
        rows.append(build_rows(with_own_images(reading)))
    return rows


def with_own_images(reading: Any) -> Any:
    """The same run with images that no other run has; the examples share a few pictures."""
    import hashlib

    def own(digest: str) -> str:
        return digest and "xxh128:" + hashlib.blake2b(f"{reading.run_id} {digest}".encode(), digest_size=16).hexdigest()

    entry = reading.entry
    renamed: dict[str, str] = {}
    variants = []
    for variant in entry.variants:
        outputs = []
        for output in variant.outputs:
            renamed[output.digest] = own(f"{variant.number} {output.digest}")
            outputs.append(output._replace(digest=renamed[output.digest]))
        variants.append(variant._replace(outputs=tuple(outputs)))
    opinions = entry.opinions._replace(
        opinions=tuple(one._replace(image=renamed.get(one.image, "")) for one in entry.opinions.opinions),
        image_tags=tuple((renamed.get(image, ""), *word) for image, *word in entry.opinions.image_tags),
        notes=tuple((renamed.get(image, ""), note) for image, note in entry.opinions.notes),
    )
    unique = {(one.image, one.rater): one for one in opinions.opinions}
    opinions = opinions._replace(
        opinions=tuple(unique.values()), image_tags=tuple({tag[:3]: tag for tag in opinions.image_tags}.values())
    )
    return reading._replace(entry=entry._replace(variants=tuple(variants), opinions=opinions, scores=()))


def measure_queries(folder: Path, rounds: int) -> dict[str, Any]:
    from stablenew.index.job_history import JobHistory

    history = JobHistory(folder)
    history.refresh()
    pages = {name: median_ms(lambda q=query: history.page(q), 20 * rounds) for name, query in QUERIES.items()}  # type: ignore[misc]
    deep = history.page("before:2026-03-01", limit=1).next_cursor
    pages["a page far down"] = median_ms(lambda: history.page("", after=deep), 20 * rounds)
    pages["a word far down"] = median_ms(lambda: history.page("harbour", after=deep), 20 * rounds)
    columns = timed(lambda: history.columns)
    facets = {}
    for name, query in QUERIES.items():
        parsed = history.parse(query)
        history.columns.facets("jobs", parsed)
        facets[name] = median_ms(lambda q=parsed: history.columns.count_facets("jobs", q), 5 * rounds)  # type: ignore[misc]
    images = {name: median_ms(lambda q=query: history.find_images(q), 5 * rounds) for name, query in QUERIES.items()}  # type: ignore[misc]
    images["best first"] = median_ms(lambda: history.find_images(sort="best"), 5 * rounds)
    return {
        "runs": history.count(),
        "images": history.count_images(),
        "page_ms": pages,
        "images_page_ms": images,
        "first_columns_seconds": columns,
        "facets_ms": facets,
        **measure_size(history.keeper.path, history.count()),
        **measure_command(folder),
    }


def hostile_queries() -> dict[str, str]:
    """Queries of up to 4,000 characters that ask for as much work as they can."""
    from stablenew.formats.query_language import MAX_CONDITIONS, MAX_LENGTH, MAX_VALUES, WORDS

    stars = "*a*e*i*o*u" * 30
    questions = "*" + "?a" * 100 + "*"
    queries = {
        **{f"stars in {field}": f"{field}:{stars}*" for field in WORDS},
        **{f"not stars in {field}": f"-{field}:{stars}*" for field in WORDS},
        **{f"questions in {field}": f"{field}:{questions}" for field in WORDS},
        **{
            f"many patterns in {field}": f"{field}:" + ",".join(f"*{number}*a*" for number in range(250))
            for field in WORDS
        },
        "every field with stars": " ".join(f"{field}:*a*,*e*,*i*,*o*" for field in WORDS),
        "many words": " ".join(f"word{number}" for number in range(MAX_CONDITIONS)),
        "many common words": " ".join(["harbour", "oil", "painting", "dawn"] * (MAX_CONDITIONS // 4)),
        "many negated words": " ".join(f"-word{number}" for number in range(MAX_CONDITIONS)),
        "many negated common words": " ".join(["-harbour", "-oil", "-painting", "-dawn"] * (MAX_CONDITIONS // 4)),
        "words with alternatives": "prompt:" + ",".join(f"word{number}" for number in range(MAX_VALUES)),
        "prefixes": " ".join(f"{a}{b}r*" for a in "abcdefgh" for b in "aeioulrn"),
        "prefixes as alternatives": "prompt:"
        + ",".join(f"{a}{b}r*" for a in "abcdefghijklmnop" for b in "aeioulrnstchmpgd"),
        "negated prefixes": " ".join(f"-{a}{b}r*" for a in "abcdefgh" for b in "aeioulrn"),
        "a phrase": '"' + "harbour " * 480 + '"',
        "a phrase of prefixes": '"' + "har " * 900 + 'har*"',
        "notes": "note:" + ",".join(f"{a}{b}r*" for a in "abcdefghijklmnop" for b in "aeioulrnstchmpgd"),
        "negative words": "negative:" + ",".join(f"{a}{b}r*" for a in "abcdefghijklmnop" for b in "aeioulrnstchmpgd"),
        "ranges": "steps:" + ",".join(f"{number}..{number + 1}" for number in range(250)),
        "many ranges": " ".join(f"-cfg:{number}.5..{number}.6" for number in range(MAX_CONDITIONS)),
        "seeds": "seed:" + ",".join(str(2**63 + number) for number in range(180)),
        "scores": " ".join(f"-metric.m{number}:>1" for number in range(MAX_CONDITIONS)),
        "settings": " ".join(f"-settings.s{number}:*a*b*c*" for number in range(MAX_CONDITIONS)),
        "one setting": "settings.s_churn:" + ",".join(f"*{number}*a*" for number in range(250)),
        "raters and flags": " ".join(
            ["-rater:*a*", "-tag:*a*b*", "unrated:mine", "-flag:pick"] * (MAX_CONDITIONS // 4)
        ),
        "brackets": "(" * MAX_LENGTH,
        "quotes": '"' * MAX_LENGTH,
        "a regex": "model:" + "(a+)+" * 700,
        "colons": "a:" * (MAX_LENGTH // 2),
        "one word": "x" * MAX_LENGTH,
        "spaces": " " * MAX_LENGTH,
        "unicode": "model:" + "*\u0130\u1e9e" * 1000,
    }
    return {name: query[:MAX_LENGTH] for name, query in queries.items()}


def processor_ms(work: Callable[[str], object], query: str) -> float:
    started = time.process_time()
    work(query)
    return round((time.process_time() - started) * 1000, 1)


def measure_hostile(folder: Path, rounds: int) -> dict[str, Any]:
    """The slowest answers to hostile queries: pages of jobs and images, counts, facets.

    In milliseconds of processor time, which others who use the machine do not change.
    """
    from stablenew.errors import InvalidQuery
    from stablenew.index.job_history import JobHistory

    history = JobHistory(folder)
    history.refresh()
    history.columns.facets("jobs", history.parse(""))
    answers: dict[str, Callable[[str], object]] = {
        "jobs": history.page,
        "images": history.find_images,
        "count": history.count,
        "facets": lambda query: history.columns.count_facets("jobs", history.parse(query)),
        "image facets": lambda query: history.columns.count_facets("images", history.parse(query)),
    }
    times, refused = {}, []
    for name, query in hostile_queries().items():
        try:
            for kind, answer in answers.items():
                times[f"{name}: {kind}"] = max(processor_ms(answer, query) for _ in range(rounds))
        except InvalidQuery as error:
            refused.append(f"{name}: {str(error).splitlines()[0][:100]}")
    slowest = dict(sorted(times.items(), key=lambda item: -item[1])[:25])
    return {"runs": history.count(), "answers": len(times), "slowest_ms": slowest, "refused": refused}


def median_ms(work: Callable[[], object], rounds: int) -> float:
    work()
    return round(statistics.median(timed(work) for _ in range(rounds)) * 1000, 2)


def measure_size(path: Path, runs: int) -> dict[str, Any]:
    """Bytes a run, in all and without the prompts and their full-text table."""
    import sqlite3

    connection = sqlite3.connect(path)
    query = "SELECT sum(pgsize) FROM dbstat WHERE name NOT GLOB 'use_text*' AND name NOT GLOB '*text*'"
    beyond = connection.execute(query).fetchone()[0]
    connection.close()
    return {"bytes_a_run": path.stat().st_size / runs, "bytes_a_run_beyond_prompts": beyond / runs}


def measure_command(folder: Path) -> dict[str, Any]:
    helps, histories = [], []
    for _ in range(9):
        helps.append(cpu_of("--help"))
        histories.append(cpu_of("--runs-dir", str(folder), "history"))
    help_seconds, history_seconds = statistics.median(helps), statistics.median(histories)
    return {
        "help_cpu_seconds": help_seconds,
        "history_cpu_seconds": history_seconds,
        "ratio": history_seconds / help_seconds,
    }


def cpu_of(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "stablenew", *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_watch(folder: Path, rounds: int) -> dict[str, Any]:
    """10,000 folders as fast as the disk takes them, then single ones."""
    from stablenew.index.job_history import JobHistory
    from stablenew.index.run_index import RUN_ADDED
    from stablenew.index.run_watcher import RunWatcher

    script = Path(__file__).parents[2] / "make_example_runs.py"
    burst = 10_000
    with RunWatcher(folder) as watcher:
        subscription = watcher.subscribe()
        watcher.wait_until_ready()
        started = time.perf_counter()
        command = [sys.executable, str(script), str(folder), "--count", str(burst), "--seed", "5"]
        subprocess.run(command, check=True, capture_output=True)
        written = time.perf_counter() - started
        history = JobHistory(folder)
        while history.count("-status:incomplete") < burst:
            time.sleep(0.01)
        indexed = time.perf_counter() - started
        added = []
        while (change := subscription.get(1)) is not None:
            added += [change.run_id] if change.kind == RUN_ADDED else []
        delays = [delay_of_one(folder, subscription, number) for number in range(10 * rounds)]
    shutil.rmtree(folder)
    return {
        "folders": burst,
        "written_seconds": written,
        "all_indexed_after_seconds": indexed,
        "heard_of": len(added),
        "heard_of_twice": len(added) - len(set(added)),
        "single_run_heard_after_ms": statistics.median(delays) * 1000,
    }


def delay_of_one(folder: Path, subscription: Any, number: int) -> float:
    source = next(path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    parked = folder.parent / "parked"
    shutil.copytree(source, parked)
    while subscription.get(0.3) is not None:
        pass
    target = folder / f"20261121-{number:06d}-000-aaaaaaaaaa"
    started = time.perf_counter()
    parked.rename(target)
    while (change := subscription.get(5)) is not None and change.run_id != target.name:
        pass
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
