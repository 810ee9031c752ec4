"""What looking costs: the first picture of the wall, frames while wall and grid are scrolled, zooming a picture."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from browser import browsing, fresh_link, holding, memory_of, spread  # type: ignore[import-not-found]
from playwright.sync_api import Page
from server import serving
from stores import fill_grid, link_thumbnails, make_pictures  # type: ignore[import-not-found]

MICROSECONDS = 1000
FRAME_MS = 1000 / 60

FIRST_PICTURE = """() => {
  const look = () => {
    if (!window.firstCell && document.querySelector(".cell:not([hidden])")) window.firstCell = performance.now();
    const cells = [...document.querySelectorAll(".cell:not([hidden])")].filter((cell) => {
      const { top, bottom } = cell.getBoundingClientRect();
      return bottom > 44 && top < innerHeight - 28;
    });
    const there = cells.filter((cell) => cell.querySelector("img.there")).length;
    if (there) window.firstPicture ??= performance.now();
    if (there && there === cells.length) window.allPictures = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
FIRSTS = """() => {
  const script = performance.getEntriesByType("resource").find((one) => one.name.endsWith("/js/app.js"));
  const found = { first_cell_ms: window.firstCell, script_there_ms: script?.responseEnd ?? 0 };
  return { ...found, first_picture_ms: window.firstPicture, all_pictures_ms: window.allPictures };
}"""
SCROLL = """([place, speed]) => new Promise((resolve) => {
  const viewport = document.querySelector(place);
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


@contextlib.contextmanager
def serving_any(folder: Path) -> Iterator[tuple[str, int]]:
    """A store with folders, whose index the server fills; or an index without them, which it must not look after."""
    has_folders = any(path.name[0] != "." for path in folder.iterdir())
    with contextlib.nullcontext() if has_folders else holding(folder), serving(folder) as served:
        yield served


def measure_wall(folder: Path, rounds: int) -> dict[str, Any]:
    """The wall: its first picture in a new browser, frames while it is scrolled, sizes.

    A store that is not there is made: of a few dozen pictures, which then have no thumbnails in the first round.
    """
    if not folder.exists():
        make_pictures(folder)
    elif not any(path.name[0] != "." for path in folder.iterdir()):
        link_thumbnails(folder, "-flag:reject -is:trashed")
    found: dict[str, Any] = {}
    with serving_any(folder) as (link, pid):
        for turn in range(rounds + 1):
            with browsing(link if turn == 0 else fresh_link(folder)) as (page, origin):
                page.add_init_script(f"({FIRST_PICTURE})()")
                page.goto(origin)
                page.wait_for_function("() => window.allPictures", timeout=60_000)
                page.wait_for_timeout(1500)
                firsts = page.evaluate(FIRSTS)
                if turn == 0:
                    found["without_thumbnails"] = firsts
                    continue
                for name, value in firsts.items():
                    found.setdefault(name, []).append(value)
                for speed in (60, 400, 2500):
                    frames = page.evaluate(SCROLL, [".wall .viewport", speed])
                    found.setdefault(f"frame_ms_at_{speed}_px", []).extend(frames)
                for height in (180, 320, 220):
                    found.setdefault("resize_ms", []).append(page.evaluate(RESIZE, height))
                counts = page.evaluate("() => document.querySelector('.counts').textContent")
                heap = page.evaluate("() => performance.memory.usedJSHeapSize")
        memory = memory_of(pid)
    return {name: spread(values) if isinstance(values, list) else values for name, values in found.items()} | {
        "images": counts,
        "heap_mb": round(heap / 1e6, 1),
        "server_memory_mb": memory,
    }


def measure_grid(folder: Path, rounds: int) -> dict[str, Any]:
    """A grid of 100 by 100 settings, thumbnails there: until its cells stand, and frames while it is scrolled."""
    fill_grid(folder)
    link_thumbnails(folder, count=30_000)
    ready: list[float] = []
    found: dict[str, list[float]] = {}
    with serving_any(folder) as (link, _), browsing(link) as (page, origin):
        for _ in range(rounds):
            page.goto(f"{origin}/grid?x=cfg&y=steps")
            page.wait_for_selector(".grid-cell img.there", timeout=60_000)
            ready.append(page.evaluate("() => performance.now()"))
            page.wait_for_timeout(1000)
            for speed in (60, 400, 2500):
                found.setdefault(f"frame_ms_at_{speed}_px", []).extend(page.evaluate(SCROLL, [".grid-room", speed]))
        cells = page.evaluate("() => document.querySelector('.grid-bar [role=status]').textContent")
    return {"ready_ms": spread(ready), "cells": cells} | {name: spread(values) for name, values in found.items()}


def measure_zoom(folder: Path, rounds: int) -> dict[str, Any]:
    """A picture in the loupe, zoomed by the wheel and dragged: what the main thread of the page does in a frame."""
    make_pictures(folder)
    busy: dict[str, list[float]] = {}
    with serving(folder) as (link, _), browsing(link) as (page, origin):
        page.goto(f"{origin}/?view=loupe")
        page.wait_for_selector(".loupe img.current[data-index]")
        page.wait_for_timeout(2000)
        page.mouse.move(720, 400)
        for _ in range(rounds):
            acts: tuple[tuple[str, Callable[[Page], None]], ...] = (("zoom", zoom), ("pan", pan))
            for name, act in acts:
                tasks = trace(page, act)
                busy.setdefault(f"{name}_main_thread_ms_a_frame", []).extend(by_frame(tasks))
                busy.setdefault(f"{name}_longest_task_ms", []).append(max(length for _, length in tasks))
    return {name: spread(values) for name, values in busy.items()}


def zoom(page: Page) -> None:
    for step in range(60):
        page.mouse.wheel(0, -60 if step % 30 < 15 else 60)
        page.wait_for_timeout(16)


def pan(page: Page) -> None:
    page.mouse.wheel(0, -700)
    page.wait_for_timeout(300)
    page.mouse.down()
    for step in range(60):
        page.mouse.move(720 + 3 * (step % 30), 400 + 2 * (step % 30))
        page.wait_for_timeout(16)
    page.mouse.up()
    page.keyboard.press(".")
    page.wait_for_timeout(300)


def trace(page: Page, act: Callable[[Page], None]) -> list[tuple[float, float]]:
    """When tasks of the page's main thread began while something is done, and how long each took, in milliseconds."""
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline", "__metadata"])
    act(page)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and event["args"].get("name") == "CrRendererMain"
    }
    tasks = [
        event
        for event in events
        if event["name"] == "RunTask" and event["ph"] == "X" and (event["pid"], event["tid"]) in mains
    ]
    return [(event["ts"] / MICROSECONDS, event["dur"] / MICROSECONDS) for event in tasks]


def by_frame(tasks: list[tuple[float, float]]) -> list[float]:
    """How long the main thread worked in each sixtieth of a second in which it did anything."""
    frames: dict[int, float] = {}
    for start, length in tasks:
        frame = int(start / FRAME_MS)
        frames[frame] = frames.get(frame, 0) + length
    return [length for length in frames.values() if length > 0.1]
