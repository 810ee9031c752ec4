"""How long a dataset takes, beside the raw floor and beside other ways to the same table.

    python tools/bench/dataset/measure.py FOLDER [--cold] [--count 100000] [--ways floor,ours,again,newest,...]

FOLDER takes the example store, which is made when it is not there. Every way runs in a process of its own, one after
the other, and prints wall seconds, CPU seconds with its children, peak memory of the whole process tree, and wall time
as a multiple of the floor: opening, reading and closing the same files in as many processes.

`again` builds once more when nothing changed; `newest` after the newest 1 % of the runs were rated, `scattered` after
1 % of the runs all over the store were. With `--cold` (Linux, root) nothing of the store is in memory when a way
begins, as after a night. The other ways (pydantic, duckdb, polars, pandas) read the same files into one row an image
with as many columns as are theirs to read without more work: about 25 of our 113, and feedback taken from the `state`
that `feedback.json` holds, neither checked nor merged. They need `pip install duckdb polars pandas`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

assert sys.platform != "win32", "measures with calls that only POSIX systems have"

FILES = ("SHA256SUMS", "run_metadata.json", "records.jsonl")
PROCESSES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--variants", type=float, default=7.5)
    parser.add_argument("--ways", default="floor,ours,again,newest,scattered")
    parser.add_argument("--cold", action="store_true", help="let the system forget all files before each way")
    parser.add_argument("--way", choices=sorted(WAYS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ["STABLENEW_STATE_DIR"] = str(arguments.folder / "state")  # not that of whoever measures
    if arguments.way:
        print(WAYS[arguments.way](arguments.folder))
        return
    make_store(arguments.folder, arguments.count, arguments.variants)
    measure_all(arguments.folder, arguments.ways.split(","), is_cold=arguments.cold)


def make_store(folder: Path, count: int, variants: float) -> None:
    if not (folder / "runs").exists():
        command = [sys.executable, "tools/make_example_runs.py", str(folder / "runs"), "--outputs", "named"]
        subprocess.run([*command, "--count", str(count), "--variants", str(variants)], check=True)
    warm(folder)


def warm(folder: Path) -> None:
    """Have every file in the page cache, so that all ways meet the same disk."""
    read_all(folder)


def forget_files() -> None:
    """Empty the system's cache of files, then load our own program again."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    subprocess.run([sys.executable, "-c", "import stablenew.learning.dataset.build"], check=True)


def measure_all(folder: Path, ways: list[str], *, is_cold: bool) -> None:
    floor = None
    for way in ways:
        if way in ("newest", "scattered"):
            rate_some(folder, way)
            time.sleep(2.5)  # a folder that changed this lately would be read again by the next build
        if is_cold:
            forget_files()
        wall, cpu, peak, said = measure(folder, way)
        floor = wall if way == "floor" else floor
        ratio = f"{wall / floor:6.2f} x floor" if floor else ""
        print(f"{way:10} {wall:7.2f} s  {cpu:7.2f} s cpu  {peak:6.0f} MB  {ratio}  {said}", flush=True)


def measure(folder: Path, way: str) -> tuple[float, float, float, str]:
    before, started = os.times(), time.monotonic()
    process = subprocess.Popen([sys.executable, __file__, str(folder), "--way", way], stdout=subprocess.PIPE)
    peak = [0.0]
    threading.Thread(target=watch_memory, args=(process, peak), daemon=True).start()
    said = process.communicate()[0].decode().strip()
    wall, after = time.monotonic() - started, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, peak[0], said


def watch_memory(process: "subprocess.Popen[bytes]", peak: list[float]) -> None:
    """The most that the process and its children have together; memory they share counts once."""
    while process.poll() is None:
        peak[0] = max(peak[0], sum(map(own_memory, tree(process.pid))) / 1e6)
        time.sleep(0.05)


def tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from tree(int(child))


def own_memory(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def run_folders(folder: Path) -> list[str]:
    with os.scandir(folder / "runs") as entries:
        return sorted(entry.path for entry in entries if not entry.name.startswith("."))


def spread(folder: Path, work: Callable[[list[str]], Any]) -> list[Any]:
    """`work` on all run folders, in as many processes as there are processors."""
    paths = run_folders(folder)
    chunks = [paths[start : start + 1000] for start in range(0, len(paths), 1000)]
    with ProcessPoolExecutor(PROCESSES) as pool:
        return list(pool.map(work, chunks))


def read_all(folder: Path) -> str:
    total = sum(spread(folder, read_folders))
    return f"{total / 1e6:,.0f} MB"


def read_folders(paths: list[str]) -> int:
    total = 0
    for path in paths:
        for name in os.listdir(path):
            if name != "outputs":
                total += len(read(f"{path}/{name}"))
    return total


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def build_full(folder: Path) -> str:
    shutil.rmtree(folder / "dataset", ignore_errors=True)
    return build_again(folder)


def build_again(folder: Path) -> str:
    from stablenew.learning.dataset_builder import DatasetBuilder

    ledger = DatasetBuilder(folder / "runs").build_learning_dataset(folder / "dataset")
    size = sum(one.size_bytes for one in ledger.files)
    counts = ledger.counts
    return f"{counts.images:,} rows, {counts.images_rated:,} rated, {size / 1e6:.0f} MB, {ledger.digest[:15]}"


def rate_some(folder: Path, which: str) -> None:
    """Rate 1 % of the runs, as another machine would."""
    from stablenew.formats.documents.feedback import build_event
    from stablenew.store.feedback.feedback_log import FeedbackLog
    from stablenew.store.run import Run

    paths = run_folders(folder)
    chosen = paths[-len(paths) // 100 :] if which == "newest" else paths[::100]
    now = time.time_ns()
    for number, path in enumerate(chosen):
        output = next((output for _, output in Run(Path(path)).iter_outputs()), None)
        if output is not None:
            clock = f"2026-11-21T08:00:{number % 60:02d}.{now // 1000 % 1000:03d}Z-0000"
            log = FeedbackLog(Path(path), replica="bench-0000")
            with log.writing() as reading:
                event = build_event(
                    clock=clock,
                    replica="bench-0000",
                    rater="carl",
                    op="rate",
                    image_id=output.digest,
                    rating=number % 6,
                )
                log.append(reading, [event])


def rows_of(path: str, load: Callable[[bytes], Any]) -> Iterator[dict[str, Any]]:
    """The plain way: documents as dicts, joined by hand."""
    metadata = load(read(f"{path}/run_metadata.json"))
    images = {}
    if os.path.exists(f"{path}/feedback.json"):
        images = load(read(f"{path}/feedback.json"))["state"]["images"]
    for line in read(f"{path}/records.jsonl").splitlines():
        record = load(line)
        for output in record["outputs"]:
            stars = [one["rating"] for one in images.get(output["digest"], {}).values() if "rating" in one]
            yield flat_row(metadata, record, output, stars)


def flat_row(metadata: Any, record: Any, output: Any, stars: list[int]) -> dict[str, Any]:
    settings = record.get("actual") or record["requested"]
    names = ("model", "sampler", "scheduler", "steps", "cfg_scale", "seed", "width", "height", "clip_skip")
    return {
        "run_id": metadata["run_id"],
        "created_at": metadata["created_at"],
        "status": metadata["status"],
        "engine": metadata["source"].get("engine"),
        "variant": record["variant"]["index"],
        "started_at": record["started_at"],
        "duration_seconds": record.get("duration_seconds"),
        "prompt": record["prompt"]["positive"],
        "negative": record["prompt"].get("negative"),
        "pack_id": record["prompt"].get("pack_id"),
        **{name: settings.get(name) for name in names},
        "image_id": output["digest"],
        "path": output["path"],
        "size_bytes": output["size_bytes"],
        "stage": output["stage"],
        "role": output.get("role"),
        "rating": sum(stars) / len(stars) if stars else None,
    }


def pandas_part(paths: list[str]) -> Any:
    import pandas as pd

    return pd.DataFrame([row for path in paths for row in rows_of(path, json.loads)])


def build_pandas(folder: Path) -> str:
    import pandas as pd

    table = pd.concat(spread(folder, pandas_part))
    table.to_parquet(folder / "pandas.parquet", compression="zstd")
    return f"{len(table):,} rows"


def pydantic_part(paths: list[str]) -> list[dict[str, Any]]:
    from stablenew.formats.documents.feedback import Feedback
    from stablenew.formats.documents.learning_record import LearningRecord
    from stablenew.formats.documents.run_metadata import RunMetadata

    rows = []
    for path in paths:
        metadata = RunMetadata.model_validate_json(read(f"{path}/run_metadata.json")).to_dict()
        images: Any = {}
        if os.path.exists(f"{path}/feedback.json"):
            images = Feedback.model_validate_json(read(f"{path}/feedback.json")).state.to_dict()["images"]
        for line in read(f"{path}/records.jsonl").splitlines():
            record = LearningRecord.model_validate_json(line).to_dict()
            for output in record["outputs"]:
                stars = [one["rating"] for one in images.get(output["digest"], {}).values() if "rating" in one]
                rows.append(flat_row(metadata, record, output, stars))
    return rows


def build_pydantic(folder: Path) -> str:
    import pyarrow as pa
    from pyarrow import parquet as pq

    table = pa.concat_tables(
        [pa.Table.from_pylist(rows) for rows in spread(folder, pydantic_part)], promote_options="permissive"
    )
    pq.write_table(table, folder / "pydantic.parquet", compression="zstd")
    return f"{len(table):,} rows"


def build_duckdb(folder: Path) -> str:
    import duckdb

    query = f"""
        COPY (
          WITH meta AS (SELECT content::JSON AS j FROM read_text('{folder}/runs/*/run_metadata.json')),
          line AS (SELECT unnest(string_split(rtrim(content, chr(10)), chr(10)))::JSON AS r
                   FROM read_text('{folder}/runs/*/records.jsonl') WHERE length(content) > 0),
          image AS (SELECT r, unnest((r->'outputs')::JSON[]) AS o FROM line),
          said AS (SELECT content::JSON->'state'->'images' AS s, content::JSON->>'run_id' AS run_id
                   FROM read_text('{folder}/runs/*/feedback.json')),
          rated AS (SELECT run_id, unnest(json_keys(s)) AS image_id, s FROM said),
          star AS (SELECT run_id, image_id, avg((value->>'rating')::INT) AS rating FROM rated,
                   json_each(s->image_id) GROUP BY ALL)
          SELECT r->>'run_id' AS run_id, j->>'created_at' AS created_at, j->>'status' AS status,
                 j->'source'->>'engine' AS engine, (r->'variant'->>'index')::INT AS variant,
                 r->>'started_at' AS started_at,
                 (r->>'duration_seconds')::DOUBLE AS duration_seconds, r->'prompt'->>'positive' AS prompt,
                 r->'prompt'->>'negative' AS negative, r->'prompt'->>'pack_id' AS pack_id,
                 r->'actual'->>'model' AS model, r->'actual'->>'sampler' AS sampler,
                 r->'actual'->>'scheduler' AS scheduler, (r->'actual'->>'steps')::INT AS steps,
                 (r->'actual'->>'cfg_scale')::DOUBLE AS cfg_scale, (r->'actual'->>'seed')::UBIGINT AS seed,
                 (r->'actual'->>'width')::INT AS width, (r->'actual'->>'height')::INT AS height,
                 (r->'actual'->>'clip_skip')::INT AS clip_skip, o->>'digest' AS image_id, o->>'path' AS path,
                 (o->>'size_bytes')::BIGINT AS size_bytes, o->>'stage' AS stage, o->>'role' AS role, star.rating
          FROM image JOIN meta ON r->>'run_id' = j->>'run_id'
          LEFT JOIN star ON star.run_id = r->>'run_id' AND star.image_id = o->>'digest'
        ) TO '{folder}/duckdb.parquet' (FORMAT parquet, COMPRESSION zstd)"""
    duckdb.execute(query)
    count = duckdb.execute(f"SELECT count(*) FROM '{folder}/duckdb.parquet'").fetchone()[0]
    return f"{count:,} rows"


def build_polars(folder: Path) -> str:
    """Polars' own reader of JSON Lines over the joined bytes of all runs."""
    import io

    import polars as pl

    paths = run_folders(folder)
    records = b"".join(read(f"{path}/records.jsonl") for path in paths)
    metadata = b"".join(json.dumps(json.loads(read(f"{path}/run_metadata.json"))).encode() + b"\n" for path in paths)
    stars = []
    for path in paths:
        if os.path.exists(f"{path}/feedback.json"):
            feedback = json.loads(read(f"{path}/feedback.json"))
            for image, raters in feedback["state"]["images"].items():
                given = [one["rating"] for one in raters.values() if "rating" in one]
                if given:
                    stars.append((feedback["run_id"], image, sum(given) / len(given)))
    runs = pl.read_ndjson(io.BytesIO(metadata), infer_schema_length=200).select("run_id", "created_at", "status")
    table = pl.read_ndjson(io.BytesIO(records), infer_schema_length=2000)
    rows = (
        table.explode("outputs")
        .filter(pl.col("outputs").is_not_null())
        .select(
            "run_id",
            pl.col("variant").struct.field("index").alias("variant"),
            "started_at",
            "duration_seconds",
            pl.col("prompt").struct.field("positive", "negative", "pack_id"),
            pl.col("actual").struct.unnest(),
            pl.col("outputs").struct.field("digest").alias("image_id"),
            pl.col("outputs").struct.field("path", "size_bytes", "stage", "role"),
        )
    )
    rated = pl.DataFrame(stars, schema=["run_id", "image_id", "rating"], orient="row")
    rows = rows.join(runs, on="run_id").join(rated, on=["run_id", "image_id"], how="left")
    rows.write_parquet(folder / "polars.parquet", compression="zstd")
    return f"{len(rows):,} rows"


WAYS: dict[str, Callable[[Path], str]] = {
    "floor": read_all,
    "ours": build_full,
    "again": build_again,
    "newest": build_again,
    "scattered": build_again,
    "pandas": build_pandas,
    "pydantic": build_pydantic,
    "duckdb": build_duckdb,
    "polars": build_polars,
}

if __name__ == "__main__":
    main()
