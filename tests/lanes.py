"""Which tests run where: lanes by what a test needs, workers when many are run, the list of second tries."""

import importlib.util
import os
from collections import Counter
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

_BROWSER_FIXTURES = {"browser", "new_context"}
_FIXTURES_WITH_PROCESSES = {"cli", "client", "comfyui", "installed", "invokeai", "server", "stablenew", "webui"}
LANE_OF_FIXTURE = {
    **dict.fromkeys(_BROWSER_FIXTURES, "browser"),
    **dict.fromkeys(_FIXTURES_WITH_PROCESSES, "processes"),
    "needs_diffusers": "heavy",
    "needs_datasets": "heavy",
    "needs_distributed": "heavy",
}
LANE_OF_FOLDER = {"sync": "network_tools", "tool_hooks": "processes"}
_FOLDERS_THAT_WAIT = {"cli", "sync", "tool_hooks", "web"}
_TRIES = "tries"
"""The property of a test that was run more than once."""
_second_tries = []


def pytest_addoption(parser):
    parser.addoption("--one-try", action="store_true", help="let a test that fails once fail, to find what is unsteady")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Run folders of tests on several workers; a named file, and a test that is watched, in this process."""
    options = config.option
    is_watched = options.usepdb or options.trace or options.capture == "no"
    is_decided = getattr(options, "numprocesses", 0) is not None  # by -n, or xdist is not there, or this is a worker
    if is_watched or is_decided or "PYTEST_XDIST_WORKER" in os.environ:
        return
    if all(Path(argument).is_dir() for argument in config.args) and (workers := count_workers()) > 1:
        options.numprocesses, options.dist = workers, "loadscope"  # so that the fixtures of a module are made once
        options.loadscopereorder = False  # it would put modules of few tests last, and these are the long ones


def count_workers():
    """Five for every two cores that this process may use: half of the tests' time is spent waiting."""
    if given := os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return int(given)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores * 5 // 2


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark every test with the lanes of its folder and of its fixtures; begin with the modules that take longest."""
    for item in items:
        lanes = {LANE_OF_FIXTURE.get(name) for name in item.fixturenames}
        lanes |= {LANE_OF_FOLDER.get(part) for part in item.path.parent.parts}
        for lane in lanes - {None}:
            item.add_marker(lane)
        if set(item.fixturenames) & _BROWSER_FIXTURES - set(item._fixtureinfo.name2fixturedefs):  # nobody defines it
            item.add_marker(pytest.mark.skip(reason="needs pip install 'stablenew[test]'"))
    yield  # pytest puts tests together that share a browser
    long = {item.path for item in items if item.get_closest_marker("timeout")}  # others have the limit of all
    pages = Counter(item.path for item in items if item.get_closest_marker("browser"))
    places = spread_modules({item.path: pages[item.path] for item in items if item.path not in long})
    items.sort(key=lambda item: places.get(item.path, 0))


def spread_modules(pages):
    """Where each module stands, from 0 to 1: those that wait for other processes among those that compute.

    `pages` is how many tests with a browser it has. Where they are many it begins early, or it would end alone.
    """
    computing = [path for path in pages if _FOLDERS_THAT_WAIT.isdisjoint(path.parts)]
    waiting = sorted(set(pages) - set(computing), key=lambda path: (-pages[path], path))
    places = {path: (number + 1) / len(computing) for number, path in enumerate(computing)}
    return places | {path: 0.9 * (number + 1) / len(waiting) for number, path in enumerate(waiting)}


def require(*packages, extra):
    """Skip the test unless all `packages` are installed; `extra` brings them. Imports none of them."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        pytest.skip(f"no {missing[0]}; needs pip install 'stablenew[{extra}]'")


@pytest.fixture(scope="session")
def needs_diffusers():
    require("torch", "diffusers", "transformers", extra="diffusers")


@pytest.fixture(scope="session")
def needs_datasets():
    require("datasets", "webdataset", extra="test")


@pytest.fixture(scope="session")
def needs_distributed():
    require("distributed", "s3fs", extra="distributed")


def pytest_runtest_protocol(item, nextitem):
    """A test that fails has a second try: a busy machine is not what it is about. The summary names it."""
    if item.config.getoption("--one-try"):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        item.user_properties.append((_TRIES, 2))
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_runtest_logreport(report):
    """Note who needed a second try; under xdist this is heard where the summary is written."""
    if report.when == "teardown" and dict(report.user_properties).get(_TRIES, 1) > 1:
        _second_tries.append(report.nodeid)


def pytest_terminal_summary(terminalreporter):
    for name in _second_tries:
        terminalreporter.write_line(f"needed a second try: {name}")
