"""The InvokeAI engine, and the recorder of its queue, against a real InvokeAI without models.

It is used where `invokeai-web` is on the path, or INVOKEAI_WEB is the command that starts it.
"""

import json
import os
import shlex
import shutil
import socket
import subprocess
import time

import pytest

from stablenew import PipelineConfig, PipelineController, RunStore, StageRequest
from stablenew.controller.recorders.invokeai_queue import InvokeAIQueueRecorder
from stablenew.engines.engine import StageMonitor
from stablenew.engines.invokeai.engine import InvokeAIEngine
from stablenew.engines.invokeai.graph import build_graph
from stablenew.errors import EngineError
from tests.controller.recorders.test_invokeai_queue import enqueue, graph_of, wait_for_end
from tests.engines.engine_contract import PROMPT
from tests.engines.invokeai.test_engine import BLANK
from tests.pipeline.reproduction.reruns import run_again, run_once

INVOKEAI_WEB = os.environ.get("INVOKEAI_WEB") or shutil.which("invokeai-web")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The address of a real InvokeAI without models."""
    if INVOKEAI_WEB is None:
        pytest.skip("needs InvokeAI: INVOKEAI_WEB=COMMAND starts it")
    root = tmp_path_factory.mktemp("invokeai")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (root / "invokeai.yaml").write_text(
        f"schema_version: 4.0.2\nhost: 127.0.0.1\nport: {port}\ndevice: cpu\n", encoding="utf-8"
    )
    command, log, url = shlex.split(INVOKEAI_WEB), root / "server.log", f"http://127.0.0.1:{port}"
    with log.open("wb") as stream:
        process = subprocess.Popen([*command, "--root", str(root)], stdout=stream, stderr=stream)
    try:
        until = time.monotonic() + 240
        while not InvokeAIEngine(url)._client.find_version() and time.monotonic() < until:
            assert process.poll() is None, f"the server ended: {log.read_text(encoding='utf-8')[-2000:]}"
            time.sleep(1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.mark.timeout(600)
def test_the_real_server_runs_a_graph_without_a_model_and_the_bytes_are_its_own(real, tmp_path):
    extra = {"graph": json.dumps(BLANK)}
    config = PipelineConfig(prompt=PROMPT, txt2img={"width": 64, "height": 48, "extra": extra})
    result = PipelineController(engine=InvokeAIEngine(real), runs_dir=tmp_path).run(config)
    assert result.succeeded, result.error
    (image,) = result.variants[0].images
    assert (image.reference.width, image.reference.height) == (64, 48)
    recorded = run_once(InvokeAIEngine(real), tmp_path / "runs", extra=extra)
    found = run_again(recorded, InvokeAIEngine(real))
    assert found.count_verdicts() == {"identical": 1} or found.images[0].verdict == "same pixels"
    assert recorded.metadata.closure.device == "cpu"
    assert recorded.metadata.closure.versions["torch"]


@pytest.mark.timeout(600)
def test_the_real_server_takes_our_graphs_and_says_what_is_wrong(real):
    engine = InvokeAIEngine(real)
    assert "no model" in engine.check().problems[0]
    with pytest.raises(EngineError, match="InvokeAI has no model"):
        engine.run_stage(StageRequest("txt2img", {}, PROMPT), StageMonitor())
    for base in ("sd-1", "sdxl"):
        model = {"key": "gone", "hash": "blake3:0", "name": "gone", "base": base, "type": "main"}
        graph = json.dumps(build_graph(model))
        with pytest.raises(EngineError, match="(?i)InvokeAI failed: .*model"):
            engine.run_stage(StageRequest("txt2img", {"extra": {"graph": graph}}, PROMPT), StageMonitor())


@pytest.mark.timeout(600)
def test_the_real_queue_is_recorded(real, tmp_path):
    recorder = InvokeAIQueueRecorder(RunStore(tmp_path / "runs"), real)
    recorder.look()
    made, failed = enqueue(real, BLANK), enqueue(real, graph_of(prompt="a quiet harbour", seed=3))
    for item_id in (made, failed):
        wait_for_end(real, item_id)
    good, bad = recorder.look()
    assert (good.metadata.status, bad.metadata.status) == ("completed", "failed")
    (record,) = good.iter_records()
    assert (record.outputs[0].width, record.outputs[0].height) == (32, 32)
    (record,) = bad.iter_records()
    assert (record.prompt.positive, record.requested.seed) == ("a quiet harbour", 3)
    assert "model" in record.error.message.casefold()
