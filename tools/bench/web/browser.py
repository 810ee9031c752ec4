"""A server with a store, a Chromium that looks at it, and figures of what was measured there."""

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-precise-memory-info"]


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
