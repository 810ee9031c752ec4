"""What InvokeAI makes is recorded by watching its queue: against a stand-in."""

import json
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest

from stablenew import RunStore, RunVerifier
from stablenew.controller.recorders.invokeai_queue import InvokeAIQueueRecorder
from stablenew.engines.invokeai.client import InvokeAIClient
from stablenew.engines.invokeai.graph import build_graph, find_places, with_values
from tests.engines.invokeai.test_engine import BLANK, ask
from tests.engines.invokeai_server import MODELS, FakeInvokeAI, serving

QUEUE = "/api/v1/queue/default"


def enqueue(url, graph, origin="workflows"):
    """Queue a graph as InvokeAI's page does; its number."""
    body = {"batch": {"graph": graph, "runs": 1, "origin": origin}, "prepend": False}
    return httpx.post(f"{url}{QUEUE}/enqueue_batch", json=body, timeout=60).json()["item_ids"][0]


def graph_of(**values):
    graph = build_graph(MODELS[0])
    return with_values(graph, find_places(graph), values)


def wait_for_end(url, item_id, seconds=60):
    client, end = InvokeAIClient(url), time.monotonic() + seconds
    while client.read_item(item_id)["status"] in ("pending", "in_progress") and time.monotonic() < end:
        time.sleep(0.05)


@pytest.fixture
def invokeai():
    fake = FakeInvokeAI()
    with serving(fake) as fake.url:
        yield fake


@pytest.fixture
def recorder(invokeai, tmp_path):
    return InvokeAIQueueRecorder(RunStore(tmp_path / "runs"), invokeai.url)


def test_what_somebody_queues_is_recorded_with_what_its_graph_says(invokeai, recorder):
    wait_for_end(invokeai.url, enqueue(invokeai.url, graph_of(prompt="before", seed=1)))
    assert recorder.look() == [], "that ended before it watched"
    values = {"prompt": "a quiet harbour", "negative_prompt": "fog", "seed": 7, "steps": 4, "width": 64, "height": 48}
    item_id = enqueue(invokeai.url, graph_of(**values, scheduler="dpmpp_2m_k"))
    wait_for_end(invokeai.url, item_id)
    (run,) = recorder.look()
    assert recorder.look() == [], "once"
    (record,) = run.iter_records()
    assert (record.prompt.positive, record.prompt.negative) == ("a quiet harbour", "fog")
    assert (record.actual.seed, record.actual.steps, record.actual.sampler) == (7, 4, "DPM++ 2M")
    assert record.actual.scheduler == "Karras"
    (output,) = record.outputs
    assert (run.path / output.path).read_bytes() in invokeai.files.values()
    assert output.seed == 7
    assert (run.metadata.closure.versions["torch"], run.metadata.closure.device) == ("2.13.0", "cpu")
    assert record.started_at <= record.finished_at
    assert RunVerifier(run, deep=True).verify().is_ok


def test_what_our_own_engine_queues_is_not_recorded_twice(invokeai, recorder):
    recorder.look()
    ask(invokeai, seed=5)
    assert recorder.look() == []


@pytest.mark.parametrize(
    ("quirk", "status", "words"),
    [("fails", "failed", "ImageRecordNotFoundException: gone"), ("cancelled_by_somebody", "cancelled", "cancelled")],
)
def test_how_an_item_ends_is_how_its_run_ends(tmp_path, quirk, status, words):
    with serving(FakeInvokeAI(quirks=[quirk])) as url:
        recorder = InvokeAIQueueRecorder(RunStore(tmp_path / "runs"), url)
        recorder.look()
        wait_for_end(url, enqueue(url, graph_of(prompt="a quiet harbour")))
        (run,) = recorder.look()
    (record,) = run.iter_records()
    assert (run.metadata.status, record.status) == (status, status)
    assert words in record.error.message


def test_a_server_that_is_started_again_is_waited_for(tmp_path, caplog):
    store, stop, seen = RunStore(tmp_path / "runs"), threading.Event(), []
    with serving(FakeInvokeAI()) as url:
        recorder = InvokeAIQueueRecorder(store, url)
        recorder.look()
    watching = threading.Thread(target=recorder.watch, args=(stop, seen.append, 0.05))
    watching.start()
    port = int(url.rpartition(":")[2])
    while "waiting for it" not in caplog.text:
        time.sleep(0.05)
    with serving(FakeInvokeAI(), port=port) as url:
        enqueue(url, BLANK)
        end = time.monotonic() + 60
        while not seen and time.monotonic() < end:
            time.sleep(0.05)
        stop.set()
        watching.join(60)
    assert [run.metadata.status for run in seen] == ["completed"]
    assert caplog.text.count("waiting for it") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_the_command_watches_until_it_is_stopped(invokeai, tmp_path):
    command = [sys.executable, "-m", "stablenew", "--runs-dir", str(tmp_path / "runs"), "--json"]
    command += ["engines", "watch", "--url", invokeai.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        wait_until_watched(invokeai)
        enqueue(invokeai.url, graph_of(prompt="a quiet harbour", seed=3))
        told = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert (told["status"], told["outputs"]) == ("completed", 1)
    (run,) = RunStore(tmp_path / "runs").iter_runs()
    assert run.run_id == told["run_id"]


def wait_until_watched(fake):
    end = time.monotonic() + 60
    while not fake.looks and time.monotonic() < end:
        time.sleep(0.05)
