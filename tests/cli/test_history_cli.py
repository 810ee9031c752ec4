"""`stablenew history` and `stablenew index` as a person or a script meets them."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stablenew import FeedbackManager, JobSummary, RunStore
from stablenew.cli.history_command import format_stars, join_query
from stablenew.index.index_keeper import IndexKeeper, try_index_lock
from tests import forked_commands, samples
from tests.web.serving import make_runs


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = RunStore("runs")
    fields = {
        "packs": [{"id": "harbour", "name": "Harbour at dawn"}],
        "variant_plan": {"mode": "fanout", "size": 3, "axes": []},
    }
    samples.sealed_run(store, "older", created_at="2026-11-20T10:00:00.000Z", **fields)
    samples.sealed_run(store, "newer", created_at="2026-11-21T10:00:00.000Z", duration_seconds=250.0)
    FeedbackManager(store, rater="alice").record_feedback("older", None, 4)
    return store


@pytest.fixture
def cli():
    return forked_commands.call


def start_with_interrupts_ignored(*arguments):
    """As a script starts a command in the background."""
    command = [sys.executable, "-m", "stablenew", *arguments]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)


def listed(done):
    return [row["run_id"] for row in json.loads(done.stdout)]


def test_history_is_a_table_of_jobs_the_newest_first(store, cli):
    lines = cli("history").stdout.splitlines()
    assert [line.split()[-1] for line in lines] == ["run", "newer", "older"]
    assert "4 min 10 s" in lines[1]
    for part in ("Harbour at dawn", "2/3", "123", "completed", "★★★★☆"):
        assert part in lines[2]


def test_history_as_json_fits_the_published_schema(store, cli):
    rows = json.loads(cli("history", "--json").stdout)
    assert [JobSummary.from_dict(row).run_id for row in rows] == ["newer", "older"]


def test_history_takes_a_query_an_order_and_a_limit(store, cli):
    assert listed(cli("--json", "history", "jobrating:>=4")) == ["older"]
    assert listed(cli("--json", "history", "pack:Harbour at dawn", "-status:failed")) == ["older"]
    assert listed(cli("--json", "history", "quiet harbour", "--sort", "oldest")) == ["older", "newer"]
    assert listed(cli("--json", "history", "--limit", "1")) == ["newer"]
    assert listed(cli("--json", "history", "-harbour")) == []
    assert listed(cli("--json", "history", "-run:newer", "-fishing")) == ["older"]
    assert "no such option: --limt" in cli("history", "--limt", "3", code=2).stderr
    assert "No job matches seed:4" in cli("history", "seed:4").stdout


def test_the_list_of_recent_jobs_is_as_long_as_the_config_says(store, cli):
    cli("config", "set", "recent_jobs", "1")
    assert listed(cli("--json", "history")) == ["newer"]
    assert listed(cli("--json", "history", "jobrating:4")) == ["older"]
    assert "whole number" in cli("config", "set", "recent_jobs", "many", code=2).stderr


def test_a_query_that_cannot_be_understood_is_shown_with_its_place(store, cli):
    said = cli("history", "steps:20", "modle:x", code=2).stderr.splitlines()
    assert "did you mean model?" in said[0]
    assert said[1:] == ["  steps:20 modle:x", "           ^"]


def test_no_runs_yet_says_how_to_make_one(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    assert "stablenew demo" in cli("history").stdout
    assert json.loads(cli("history", "--json").stdout) == []
    assert not (tmp_path / "runs").exists()


def test_history_sees_what_another_command_has_just_done(store, cli):
    assert listed(cli("--json", "history", "-jobrating:0..5")) == ["newer"]
    cli("rate", "newer", "5")
    assert listed(cli("--json", "history", "jobrating:5")) == ["newer"]


@pytest.mark.heavy
def test_follow_prints_a_line_for_each_job(store):
    make_runs(store.root, ["a hill\nbefore rain"], size=32)
    process = start_with_interrupts_ignored("history", "--follow")
    try:
        shown = [process.stdout.readline() for _ in range(3)]
        assert "a hill before rain" in shown[-1]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.heavy
def test_follow_prints_jobs_as_they_come_until_ctrl_c(store):
    process = start_with_interrupts_ignored("--json", "history", "--follow")
    try:
        assert [json.loads(process.stdout.readline())["run_id"] for _ in range(2)] == ["older", "newer"]
        time.sleep(1)
        samples.sealed_run(store, "brand-new")
        assert json.loads(process.stdout.readline())["run_id"] == "brand-new"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    finally:
        process.kill()
        process.communicate()


def test_index_status_tells_its_state(store, cli):
    assert json.loads(cli("index", "status", "--json").stdout)["state"] == "not made yet"
    cli("history")
    facts = json.loads(cli("index", "status", "--json").stdout)
    assert facts["run_count"] == 2
    assert facts["size_bytes"] > 0
    lock = try_index_lock(store.root)
    assert "kept in step by another process" in cli("index", "status").stdout
    assert "another stablenew process" in cli("index", "rebuild", code=1).stderr
    lock.release()


def test_index_rebuild_and_update_say_what_they_did(store, cli):
    assert cli("index", "rebuild").stdout == "2 runs indexed.\n"
    assert json.loads(cli("--json", "index", "update", "--deep").stdout) == {"change_count": 0}


@pytest.mark.heavy
def test_index_watch_prints_what_happens(store):
    process = start_with_interrupts_ignored("--json", "index", "watch")
    try:
        assert "keeping the index up to date" in process.stderr.readline()
        assert json.loads(process.stdout.readline())["kind"] == "reset"
        samples.sealed_run(store, "brand-new")
        assert json.loads(process.stdout.readline()) == {"kind": "run_added", "run_id": "brand-new"}
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


def test_a_store_too_large_to_look_through_is_looked_through_in_the_background(store, cli):
    cli("history")
    keeper = IndexKeeper(store.root)
    from stablenew.index.run_index import RunIndex

    index = RunIndex(keeper.path)
    index.set_meta(sweep_seconds=9.0, swept_at=time.time() - 10_000)
    index.close()
    assert "in the background" in cli("history").stderr
    until = time.monotonic() + 60
    while keeper.reader.get_meta("swept_at") < time.time() - 1000 and time.monotonic() < until:
        time.sleep(0.05)
    assert keeper.reader.get_meta("sweep_seconds") < 9
    keeper.reader.close()


def test_path_prints_the_folder_and_open_says_when_it_cannot(store, cli, monkeypatch):
    assert cli("path", "newer").stdout.strip() == str(Path("runs/newer").absolute())
    assert json.loads(cli("path", "latest", "--json").stdout)["run_id"] == "newer"
    cli("path", "nothing", code=2)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert str(Path("runs/newer").absolute()) in cli("open", "newer", code=1).stderr


def test_history_loads_nothing_heavy_once_the_index_is_there(store, cli):
    cli("history")
    IndexKeeper(store.root).sweep()
    script = (
        "import sys, time; from stablenew.index import index_keeper; index_keeper.MIN_AGE_SECONDS = 1e9\n"
        "from stablenew.cli.main import _run; _run(['history'])\n"
        "print([name for name in ('pydantic', 'numpy', 'watchdog', 'PIL', 'jsonschema') if name in sys.modules])"
    )
    time.sleep(2.1)
    IndexKeeper(store.root).sweep()  # now nothing is so young that it must be looked at
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (["jobrating:>=4", "harbour"], "jobrating:>=4 harbour"),
        (["oil painting"], '"oil painting"'),
        (["sampler:Euler a"], 'sampler:"Euler a"'),
        (['sampler:"Euler a" cfg:7'], 'sampler:"Euler a" cfg:7'),
        (["cfg:7 -blurry"], "cfg:7 -blurry"),
    ],
)
def test_quotes_that_the_shell_took_come_back(words, query):
    assert join_query(words) == query


def test_stars_tell_own_from_the_best_image_and_unrated_from_zero():
    def stars(rating, best):
        return format_stars({"rating": rating, "best_rating": best})

    assert [stars(3, 5), stars(None, 2), stars(0, None), stars(None, None)] == ["★★★☆☆", "best ★★☆☆☆", "☆☆☆☆☆", ""]
