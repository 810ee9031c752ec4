"""Pages in a real Chromium. Anything that goes wrong in the browser fails the test."""

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.web.serving import Client, Server, make_runs

_NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
"""The first one is Chromium without windows: it takes 0.6 of the processor time of the whole one."""
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
SCREENS = Path(__file__).parents[2] / "artifacts" / "screens"
ARE_SCREENS_KEPT = bool(os.environ.get("KEEP_SCREENS"))
PROMPTS = ["a quiet harbour at dawn", "an old lighthouse in fog", "a mountain lake at noon", "a tea garden at dusk"]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    if not CHROMIUM:
        pytest.skip("no Chromium here; install chromium, or name one in CHROMIUM")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": flags}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args):
    return {
        **browser_context_args,
        "viewport": {"width": 1280, "height": 800},
        "locale": "en-US",
        "timezone_id": "UTC",
        "reduced_motion": "reduce",
        "service_workers": "block",
    }


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """Four runs of three images each, made once."""
    root = tmp_path_factory.mktemp("template") / "runs"
    make_runs(root, PROMPTS, values=(4.0, 7.0, 10.0))
    return root


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory, template):
    """For all tests that are marked `only_reads`: one a worker."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copytree(template, folder / "runs")
    started = Server(folder / "runs", folder / "machine").start()
    started.cookie = Client(started).enter().cookie
    yield started
    started.close()


def is_shared(request):
    return request.node.get_closest_marker("only_reads") is not None


def stamps(root):
    """When each file of each run was changed, and how long it is."""
    found = [(path, path.stat()) for path in sorted(root.glob("[!.]*/**/*"))]
    return [(path, state.st_mtime_ns, state.st_size) for path, state in found]


@pytest.fixture
def root(request, tmp_path, template):
    """A store of four runs: of one's own, or one that many read."""
    if is_shared(request):
        return request.getfixturevalue("shared_server").root
    shutil.copytree(template, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def run_ids(root):
    """The runs in it, newest first."""
    return sorted((path.name for path in root.iterdir() if path.name[0] != "."), reverse=True)


@pytest.fixture
def server(request, root, tmp_path, monkeypatch):
    """A real one. What the test itself writes reaches it as what any program of its machine writes: by hints."""
    if is_shared(request):
        before = stamps(root)
        yield request.getfixturevalue("shared_server")
        assert stamps(root) == before, "marked only_reads, and wrote"
        return
    started = Server(root, tmp_path / "machine").start()
    monkeypatch.setenv("STABLENEW_STATE_DIR", started.environment["STABLENEW_STATE_DIR"])
    yield started
    started.close()


@pytest.fixture
def client(server):
    """Let in, and the index is filled."""
    entered = Client(server).enter()
    while not entered.get("/api/status")["is_indexed"]:
        time.sleep(0.02)
    return entered


def watch(page):
    """Note everything in `page` that should not happen."""
    bad = []
    page.on("pageerror", lambda error: bad.append(f"error {error}"))
    page.on("console", lambda message: bad.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("response", lambda answer: bad.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    page.on("request", lambda one: None if re.match(r"http://127\.0\.0\.1:|data:", one.url) else bad.append(one.url))
    return bad


GONE = "net::ERR_"
"""What a browser says while a server is away; for tests that take it away."""


@pytest.fixture
def open_page(browser, browser_context_args, server):
    """A function that opens an address of the page, let in by the link; at the end nothing may have gone wrong."""
    opened, contexts = [], []

    def open_address(address="/", **context_options):
        context = browser.new_context(**{**browser_context_args, "base_url": server.origin, **context_options})
        contexts.append(context)
        page = context.new_page()
        opened.append(watch(page))
        let_in(context, page, server, is_first=not opened[1:])
        page.goto(address)
        return page

    open_address.tolerated = "^$"
    yield open_address
    for context in contexts:
        context.close()
    assert not [one for bad in opened for one in bad if not re.search(open_address.tolerated, one)]


def let_in(context, page, server, *, is_first):
    """By the link as a user; into a server that others use too, by the cookie that the link gave to the first of them.

    A link is good once, and each new one takes a process.
    """
    if server.cookie is None:
        page.goto(server.link if is_first else fresh_link(server))
    else:
        name, _, value = server.cookie.partition("=")
        cookie = {"name": name, "value": value, "url": server.origin, "httpOnly": True, "sameSite": "Strict"}
        context.add_cookies([cookie])


def fresh_link(server):
    """A second `serve` says where the first one is."""
    return re.search(r"http://\S+", server.run("serve", "--no-browser"))[0]


@pytest.fixture
def keep_screen():
    """A function that keeps a picture of a page, for people to look at, where KEEP_SCREENS asks for them."""

    def keep(page, name):
        if ARE_SCREENS_KEPT:
            SCREENS.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=SCREENS / f"{name}.png")

    return keep
