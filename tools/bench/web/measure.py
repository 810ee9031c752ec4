"""What a person waits for on the page, in a real Chromium. Prints JSON; see the README beside this file.

python tools/bench/web/measure.py list FOLDER [--fill 1000000]
python tools/bench/web/measure.py wall FOLDER [--fill 1000000]
python tools/bench/web/measure.py rate
python tools/bench/web/measure.py arrive
python tools/bench/web/measure.py start FOLDER
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

assert sys.platform != "win32", "measures with calls that only POSIX systems have"

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-precise-memory-info"]
READY = """() => {
  window.firstRow = new Promise((resolve) => {
    const look = () => {
      const found = document.querySelector(".row .time")?.textContent;
      if (found) requestAnimationFrame(() => resolve(performance.now())); else requestAnimationFrame(look);
    };
    look();
  });
}"""
ALL_COUNTED = "() => /^[0-9,]+ jobs$/.test(document.querySelector('.total')?.textContent ?? '')"
WAIT_FOR_TOTAL = """(before) => new Promise((resolve) => {
  const started = performance.now();
  const look = () => {
    const text = document.querySelector(".total").textContent;
    const row = [...document.querySelectorAll(".row:not([hidden])")].find((one) => one.getBoundingClientRect().top > 0);
    const isThere = text !== before && !text.includes("+") && row && !row.classList.contains("loading");
    if (isThere) resolve([performance.now() - started, text]);
    else requestAnimationFrame(look);
  };
  look();
})"""
JUMP = """(place) => {
  const viewport = document.querySelector(".viewport");
  viewport.scrollTop = place * viewport.scrollHeight;
}"""
WAIT_FOR_ROWS = """() => new Promise((resolve) => {
  const started = performance.now();
  const look = () => {
    const shown = [...document.querySelectorAll(".row:not([hidden])")].filter((one) => {
      const box = one.getBoundingClientRect();
      return box.bottom > 120 && box.top < innerHeight;
    });
    if (shown.length && !shown.some((one) => one.classList.contains("loading"))) {
      const places = shown.map((one) => Number(one.getAttribute("aria-posinset")));
      resolve([performance.now() - started, Math.max(...places)]);
    } else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
WATCH_KEYS = """() => {
  window.times = [];
  let pressed = 0;
  document.addEventListener("keydown", () => { pressed = performance.now(); }, true);
  const place = document.querySelector(".stage");
  new MutationObserver(() => {
    const image = document.querySelector(".loupe img.current");
    if (!pressed || !image?.complete || !image.naturalWidth) return;
    const from = pressed;
    pressed = 0;
    requestAnimationFrame(() => window.times.push(performance.now() - from));
  }).observe(place, { subtree: true, childList: true, attributeFilter: ["data-index"] });
}"""
FIRST_PICTURE = """() => {
  const look = () => {
    if (!window.firstCell && document.querySelector(".cell:not([hidden])")) window.firstCell = performance.now();
    if (document.querySelector(".cell img.there")) window.firstPicture = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
FIRSTS = """() => {
  const script = performance.getEntriesByType("resource").find((one) => one.name.endsWith("/js/app.js"));
  const found = { first_cell_ms: window.firstCell, script_there_ms: script?.responseEnd ?? 0 };
  return window.firstPicture ? { ...found, first_picture_ms: window.firstPicture } : found;
}"""
SCROLL = """(speed) => new Promise((resolve) => {
  const viewport = document.querySelector(".wall .viewport");
  const frames = [];
  let last = 0;
  let direction = 1;
  const step = (now) => {
    if (last) frames.push(now - last);
    last = now;
    const before = viewport.scrollTop;
    viewport.scrollTop += direction * speed;
    if (Math.abs(viewport.scrollTop - before) < speed / 2) direction = -direction;
    if (frames.length < 90) requestAnimationFrame(step);
    else { viewport.scrollTop = 0; setTimeout(() => resolve(frames), 300); }
  };
  requestAnimationFrame(step);
})"""
RESIZE = """(height) => {
  const slider = document.querySelector("#size");
  const started = performance.now();
  slider.value = String(height);
  slider.dispatchEvent(new Event("input"));
  return performance.now() - started;
}"""
WATCH_ROWS = """() => {
  window.seen = [];
  const place = document.querySelector(".rows");
  const known = new Set();
  new MutationObserver(() => {
    const text = document.querySelector(".row[aria-posinset='1'] .time")?.title ?? "";
    const id = text.split("\\n")[1];
    if (!id || known.has(id)) return;
    known.add(id);
    window.seen.push([id, performance.timeOrigin + performance.now()]);
  }).observe(place, { subtree: true, childList: true, characterData: true, attributes: true });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["list", "wall", "rate", "arrive", "start"])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--fill", type=int, default=0, help="fill the index with so many example jobs first")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    folder = (arguments.folder or scratch / "runs").absolute()
    os.environ["STABLENEW_STATE_DIR"] = f"{folder}.state"
    os.environ["STABLENEW_CONFIG_DIR"] = f"{folder}.config"
    if arguments.fill:
        sys.path.insert(0, str(Path(__file__).parents[1] / "history"))
        from measure import fill  # type: ignore[import-not-found]

        fill(folder, arguments.fill)
    measures: dict[str, Callable[[Path, int], dict[str, Any]]] = {
        "list": measure_list,
        "wall": measure_wall,
        "rate": measure_rate,
        "arrive": measure_arrive,
        "start": measure_start,
    }
    try:
        print(json.dumps(measures[arguments.what](folder, arguments.rounds), indent=2))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """The link into the page of a store, and the server's process id."""
    command = [sys.executable, "-m", "stablenew", "--runs-dir", str(folder), "serve", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if match := re.search(r"http://\S+token=\S+", line):
                yield match[0], process.pid
                break
        process.send_signal(signal.SIGINT)


@contextlib.contextmanager
def browsing(link: str) -> Iterator[tuple[Page, str]]:
    """A page that was let in, and the address of the server."""
    origin = link.partition("/?")[0]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.goto(link)
        yield page, origin
        browser.close()


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {"count": 0}
    return {
        "p50": round(statistics.median(ordered), 1),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
        "count": len(ordered),
    }


def measure_list(folder: Path, rounds: int) -> dict[str, Any]:
    """The index as it is: this process holds the right to write it, so the server does not look for folders."""
    with holding(folder), serving(folder) as (link, pid), browsing(link) as (page, origin):
        page.goto(f"{origin}/jobs")
        page.wait_for_function(ALL_COUNTED, timeout=90_000)
        found = walk_list(page, origin, rounds)
        return found | {"server_memory_mb": memory_of(pid)}


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[None]:
    """The right to write the index; as long as we have it, nobody looks for folders that are not there."""
    from stablenew.index.index_keeper import try_index_lock

    lock = try_index_lock(folder)
    if lock is None:
        raise SystemExit("another process keeps this index in step")
    try:
        yield
    finally:
        lock.release()


def walk_list(page: Page, origin: str, rounds: int) -> dict[str, Any]:
    page.add_init_script(f"({READY})()")
    empty, ready, filtered, ends, jumps = [], [], [], [], []
    counted = ""
    for _ in range(rounds):
        page.goto(f"{origin}/static/icon.svg")
        empty.append(page.evaluate("() => performance.getEntriesByType('navigation')[0].duration"))
        page.goto(f"{origin}/jobs")
        ready.append(page.evaluate("() => window.firstRow"))
        page.wait_for_function(ALL_COUNTED)
        page.wait_for_timeout(300)
        page.keyboard.press("End")
        milliseconds, last = page.evaluate(WAIT_FOR_ROWS)
        ends.append(milliseconds)
        for place in (0.2, 0.5, 0.8):
            page.evaluate(JUMP, place)
            jumps.append(page.evaluate(WAIT_FOR_ROWS)[0])
        before = page.locator(".total").inner_text()
        page.locator("#query").fill("model:dreamshaper_8")
        page.keyboard.press("Enter")
        milliseconds, counted = page.evaluate(WAIT_FOR_TOTAL, before)
        filtered.append(milliseconds)
        page.goto("about:blank")
    page.goto(f"{origin}/jobs")
    page.wait_for_timeout(1500)
    return {
        "last_place": last,
        "empty_page_ms": spread(empty),
        "page_ready_ms": spread(ready),
        "filter_ms": spread(filtered),
        "filter_found": counted,
        "end_key_ms": spread(ends),
        "jump_ms": spread(jumps),
        "heap_mb": round(page.evaluate("() => performance.memory.usedJSHeapSize") / 1e6, 1),
        "dom_nodes": page.evaluate("() => document.querySelectorAll('*').length"),
    }


def measure_wall(folder: Path, rounds: int) -> dict[str, Any]:
    """The wall: its first picture in a new browser, frames while it is scrolled, sizes, and its list of all images.

    Without FOLDER, a store of a few dozen pictures is made, so that there is something to see.
    """
    if not folder.exists():
        make_pictures(folder)
    found: dict[str, list[float]] = {}
    with holding(folder), serving(folder) as (link, pid):
        for turn in range(rounds + 1):
            with browsing(link if turn == 0 else fresh_link(folder)) as (page, origin):
                page.add_init_script(f"({FIRST_PICTURE})()")
                page.goto(origin)
                page.wait_for_function("() => window.firstPicture || window.firstCell", timeout=60_000)
                page.wait_for_timeout(1500)
                if turn:  # the first one makes thumbnails
                    for name, value in page.evaluate(FIRSTS).items():
                        found.setdefault(name, []).append(value)
                for speed in (60, 400, 2500):
                    frames = page.evaluate(SCROLL, speed)
                    found.setdefault(f"frame_ms_at_{speed}_px", []).extend(frames)
                for height in (180, 320, 220):
                    found.setdefault("resize_ms", []).append(page.evaluate(RESIZE, height))
                counts = page.evaluate("() => document.querySelector('.counts').textContent")
                heap = page.evaluate("() => performance.memory.usedJSHeapSize")
        memory = memory_of(pid)
    return {name: spread(values) for name, values in found.items()} | {
        "images": counts,
        "heap_mb": round(heap / 1e6, 1),
        "server_memory_mb": memory,
    }


def fresh_link(folder: Path) -> str:
    """Another link into the page that is served: each is good once."""
    command = [sys.executable, "-m", "stablenew", "--runs-dir", str(folder), "serve", "--no-browser"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.search(r"http://\S+token=\S+", printed)
    assert match is not None, printed
    return match[0]


def memory_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024  # type: ignore[index]


def make_pictures(folder: Path) -> None:
    """Four runs of twelve pictures of 1024 pixels."""
    from stablenew import PipelineConfig, PipelineRunner, Prompt, RunStore, SketchEngine, VariantPlan
    from stablenew.pipeline.randomizer import SWEEP, Axis

    runner = PipelineRunner(SketchEngine(), run_store=RunStore(folder))
    config = PipelineConfig(txt2img={"width": 1024, "height": 1024, "seed": 3})
    for prompt in ("a quiet harbour", "a lake at noon", "a desert at night", "a forest"):
        values = tuple(float(value) for value in range(1, 13))
        runner.run(config, plan=VariantPlan((Prompt(prompt),), sweeps=(Axis(SWEEP, "txt2img.cfg_scale", values),)))


def measure_rate(folder: Path, rounds: int) -> dict[str, Any]:
    """Keys five times a second: first while thumbnails are made, then with all of them there."""
    make_pictures(folder)
    found: dict[str, Any] = {}
    with serving(folder) as (link, _), browsing(link) as (page, origin):
        for name in ["thumbnails_being_made", *["thumbnails_there"] * rounds]:
            page.goto(f"{origin}/?view=loupe")
            page.wait_for_selector(".loupe img.current[data-index]")
            page.wait_for_timeout(300)
            page.evaluate(WATCH_KEYS)
            for number in range(46):
                page.keyboard.press(str(number % 6))
                page.wait_for_timeout(200)
            found.setdefault(name, []).extend(page.evaluate("() => window.times"))
        page.wait_for_function("() => document.getElementById('saving').hidden")
        started = time.monotonic()
        page.goto(f"{origin}/?view=loupe")
        page.wait_for_selector(".loupe img.current[data-index]")
        started = time.monotonic()
        for number in range(300):
            page.keyboard.press(str(number % 6))
            if number % 48 == 47:
                page.keyboard.press("Home")
        page.wait_for_function("() => document.getElementById('saving').hidden")
        seconds = time.monotonic() - started
    return {name: spread(values) for name, values in found.items()} | {
        "flat_out_ratings_a_second": round(300 / seconds, 1)
    }


def measure_arrive(folder: Path, rounds: int) -> dict[str, Any]:
    """From the renaming of a run folder to its row."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from make_example_runs import Options, make_runs  # type: ignore[import-not-found]

    make_runs(Options(folder, 1, 2_000, "links", 0.3))
    aside = folder.parent / "aside"
    make_runs(Options(aside, 2, 20 * rounds, "links", 0.3))
    with serving(folder) as (link, _), browsing(link) as (page, origin):
        page.goto(f"{origin}/jobs")
        page.wait_for_function("() => document.querySelector('.total')?.textContent === '2,000 jobs'", timeout=60_000)
        page.wait_for_timeout(1000)
        page.evaluate(WATCH_ROWS)
        moved = {}
        for run in sorted(path for path in aside.iterdir() if path.name[0] != "."):
            target = f"2027{run.name[4:]}"  # newer than all there are
            for path in (run / "run_metadata.json", run / "records.jsonl"):
                text = path.read_text().replace(run.name, target)
                path.write_text(text.replace('"created_at": "2026', '"created_at": "2027'))
            moved[target] = time.time() * 1000
            run.rename(folder / target)
            page.wait_for_timeout(120)
        page.wait_for_timeout(1000)
        seen = dict(page.evaluate("() => window.seen"))
    delays = [seen[run] - at for run, at in moved.items() if run in seen]
    return {"folder_to_row_ms": spread(delays), "missed": len(moved) - len(delays)}


def measure_start(folder: Path, rounds: int) -> dict[str, Any]:
    """Processor seconds of the server until it has answered with the first page of jobs."""
    import http.client

    seconds = []
    for _ in range(rounds):
        with holding(folder), serving(folder) as (link, pid):
            host, _, path = link.removeprefix("http://").partition("/")
            connection = http.client.HTTPConnection(host)
            connection.request("GET", f"/{path}")
            cookie = (connection.getresponse().getheader("set-cookie") or "").partition(";")[0]
            connection.close()
            connection.request("GET", "/api/jobs?limit=50", headers={"Cookie": cookie})
            connection.getresponse().read()
            connection.close()
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
            seconds.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
    return {"cpu_seconds": round(statistics.median(seconds), 2)}


if __name__ == "__main__":
    main()
