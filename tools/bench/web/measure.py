"""What a person waits for on the page, in a real Chromium. Prints JSON; see the README beside this file.

python tools/bench/web/measure.py list FOLDER [--fill 1000000]
python tools/bench/web/measure.py wall [FOLDER] [--fill 1000000]
python tools/bench/web/measure.py grid
python tools/bench/web/measure.py zoom
python tools/bench/web/measure.py rate
python tools/bench/web/measure.py arrive
python tools/bench/web/measure.py start FOLDER
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from browser import browsing, holding, memory_of, spread  # type: ignore[import-not-found]
from looking import measure_grid, measure_wall, measure_zoom  # type: ignore[import-not-found]
from playwright.sync_api import Page
from server import serving
from stores import fill_index, make_pictures  # type: ignore[import-not-found]

assert sys.platform != "win32", "measures with calls that only POSIX systems have"

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
    parser.add_argument("what", choices=list(MEASURES))
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--fill", type=int, default=0, help="fill the index with so many example jobs first")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    folder = (arguments.folder or scratch / "runs").absolute()
    os.environ["STABLENEW_STATE_DIR"] = f"{folder}.state"
    os.environ["STABLENEW_CONFIG_DIR"] = f"{folder}.config"
    if arguments.fill and arguments.what == "wall":
        fill_index(folder, arguments.fill)
    elif arguments.fill:
        sys.path.insert(0, str(Path(__file__).parents[1] / "history"))
        from measure import fill  # type: ignore[import-not-found]

        fill(folder, arguments.fill)
    try:
        print(json.dumps(MEASURES[arguments.what](folder, arguments.rounds), indent=2))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def measure_list(folder: Path, rounds: int) -> dict[str, Any]:
    """The index as it is: this process holds the right to write it, so the server does not look for folders."""
    with holding(folder), serving(folder) as (link, pid), browsing(link) as (page, origin):
        page.goto(f"{origin}/jobs")
        page.wait_for_function(ALL_COUNTED, timeout=90_000)
        found = walk_list(page, origin, rounds)
        return found | {"server_memory_mb": memory_of(pid)}


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


MEASURES: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "list": measure_list,
    "wall": measure_wall,
    "grid": measure_grid,
    "zoom": measure_zoom,
    "rate": measure_rate,
    "arrive": measure_arrive,
    "start": measure_start,
}

if __name__ == "__main__":
    main()
