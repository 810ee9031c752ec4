"""How soon a rating is in every list of a real server: wall, best first, jobs, a search, facets. Prints JSON.

    python tools/bench/history/ratings.py FOLDER                 an empty folder, or an index that images.py filled
    python tools/bench/history/ratings.py FOLDER --images 1      runs of one image instead of a hundred

A run with real files is made in the folder. Its images are rated over HTTP, one after the other, and each list is asked
for again and again until it shows the rating; what the lists themselves cost is in these times. The server writes the
index as always, but does not look for the run folders of a filled index, because there are none.
"""

import argparse
import contextlib
import http.client
import json
import os
import statistics
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "web"))

from server import serving

_SERVE = """
from stablenew.index.reconciler import Reconciler
Reconciler.sweep = lambda *_, **__: []
from stablenew.cli.main import main
main()
"""
_SEEN = 100
_PATIENCE_SECONDS = 10


class Client:
    """A browser's requests to one server."""

    def __init__(self, link: str) -> None:
        self.host, _, path = link.removeprefix("http://").partition("/")
        self._connection = http.client.HTTPConnection(self.host)
        self._connection.request("GET", f"/{path}")
        answer = self._connection.getresponse()
        answer.read()
        self._headers = {"Cookie": (answer.getheader("set-cookie") or "").partition(";")[0]}

    def get(self, path: str) -> bytes:
        """The body of an answer."""
        self._connection.request("GET", path, headers=self._headers)
        return self._connection.getresponse().read()

    def get_json(self, path: str) -> Any:
        """The same, parsed."""
        return json.loads(self.get(path))

    def post(self, path: str, body: Any) -> Any:
        """The answer to something that is posted, parsed."""
        headers = self._headers | {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(body), headers)
        return json.loads(self._connection.getresponse().read())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100, help="images a run")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    os.environ["STABLENEW_STATE_DIR"] = f"{folder}.state"
    os.environ["STABLENEW_CONFIG_DIR"] = f"{folder}.config"
    images = make_images(folder, arguments.images, arguments.rounds)
    with serving(folder, ("-c", _SERVE)) as (link, pid):
        client = Client(link)
        delays = [watch_rating(client, *image) for image in images]
        memory = private_memory(pid)
        remove(folder, images)
    names = delays[0]
    print(json.dumps({name: spread([found[name] for found in delays]) for name in names} | memory, indent=2))


def make_images(folder: Path, count: int, rounds: int) -> list[tuple[str, str]]:
    """Run and digest of as many new images as there are rounds, indexed; runs have `count` images each."""
    from stablenew import PipelineConfig, PipelineRunner, Prompt, RunStore, SketchEngine, VariantPlan
    from stablenew.index.index_file import index_path
    from stablenew.index.job_history import JobHistory
    from stablenew.index.reconciler import Reconciler
    from stablenew.index.run_index import RunIndex
    from stablenew.pipeline.randomizer import SWEEP, Axis

    runner = PipelineRunner(SketchEngine(), run_store=RunStore(folder))
    found: list[tuple[str, str]] = []
    while len(found) < rounds:
        config = PipelineConfig(txt2img={"width": 64, "height": 64, "seed": time.time_ns() % (1 << 32)})
        axis = Axis(SWEEP, "txt2img.cfg_scale", tuple(1 + number / 10 for number in range(count)))
        result = runner.run(config, plan=VariantPlan((Prompt("a quiet harbour"),), sweeps=(axis,)))
        with contextlib.closing(RunIndex(index_path(folder))) as index:
            if not index.get_meta("is_complete", 0):
                JobHistory(folder).refresh()
            else:
                Reconciler(index, folder).update([result.run_id])
        history = JobHistory(folder)
        number = history.number_of(result.run_id)
        images = None if number is None else history.images(number)
        found += [(result.run_id, digest) for _, _, digest in (images[1] if images else ())]
        history.close()
    return found[:rounds]


def remove(folder: Path, images: list[tuple[str, str]]) -> None:
    """Take the new runs out of the folder; the server's index follows."""
    import shutil

    for run_id in dict.fromkeys(run_id for run_id, _ in images):
        shutil.rmtree(folder / run_id)
    time.sleep(1)


def watch_rating(client: Client, run_id: str, digest: str) -> dict[str, float]:
    """Milliseconds from the press until the rating is durable, in each list, and in all of them."""
    tests = lists_of(client, run_id, digest)
    time.sleep(0.3)
    started = time.perf_counter()
    said = {"act": f"bench-{time.time_ns()}", "run_id": run_id, "image_id": digest, "rating": 5}
    answer = client.post("/api/feedback", {"says": [said]})
    assert answer.get("saved"), answer
    delays = {"durable": milliseconds(started)}
    while len(delays) <= len(tests):
        for name in [name for name in tests if name not in delays]:
            if tests[name]():
                delays[name] = milliseconds(started)
        assert milliseconds(started) < _PATIENCE_SECONDS * 1000, delays
    return delays | {"every list": max(delays.values())}


def lists_of(client: Client, run_id: str, digest: str) -> dict[str, Callable[[], bool]]:
    """For each list a question to the server: whether it shows that the image has five stars."""
    rows = client.get_json(f"/api/images/rows?ids={','.join(map(str, ids_of(client, 'newest')[0]))}")["images"]
    image = next(row["id"] for row in rows if row["digest"] == digest)
    best = f"sort=best&query=run:{run_id}"
    five, rated = fives_of(client), rated_of(client, run_id)
    return {
        "wall": lambda: dict(zip(*ids_of(client, "newest"), strict=True))[image],
        "best first": lambda: dict(zip(*ids_of(client, best), strict=True)).get(image, False),
        "stars searched": lambda: image in ids_of(client, f"newest&query=mine:5+run:{run_id}")[0],
        "jobs": lambda: rated_of(client, run_id) > rated,
        "facets": lambda: fives_of(client) > five,
    }


def ids_of(client: Client, sort: str) -> tuple[list[int], list[bool]]:
    """The first images of a wall, and which of them are rated."""
    sort = sort if "=" in sort.partition("&")[0] else f"sort={sort}"
    data = client.get(f"/api/images/snapshot?limit={_SEEN}&{sort}")
    _, count, groups, _ = struct.unpack_from("<4I", data)
    ids = struct.unpack_from(f"<{count}i", data, 16)
    rated = data[16 + 4 * count + 4 * groups + 2 * count :]
    return list(ids), [bool(value) for value in rated]


def rated_of(client: Client, run_id: str) -> int:
    jobs = client.get_json("/api/jobs?limit=50")["jobs"]
    return next(int(job["rated_count"]) for job in jobs if job["run_id"] == run_id)


def fives_of(client: Client) -> int:
    facets = client.get_json("/api/images/facets?query=")
    found = facets.get("facets", facets)["rating"]
    return sum(item["count"] for item in found if item["value"] == 5)


def milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50": round(statistics.median(ordered), 1), "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 1)}


def private_memory(pid: int) -> dict[str, float]:
    """Of the server, in MB: what it does not share with files or other processes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    private = sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))
    return {"server_private_mb": round(private / 1024, 1)}


if __name__ == "__main__":
    main()
