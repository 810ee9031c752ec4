"""The InvokeAI engine against a server that answers as the real one does."""

import json
import threading

import httpx
import pytest

from stablenew import CancelToken, RunVerifier, StageRequest, open_engine
from stablenew.engines.engine import StageMonitor
from stablenew.engines.invokeai.engine import InvokeAIEngine
from stablenew.errors import Cancelled, ConfigError, EngineError
from tests.engines.engine_contract import PROMPT, SETTINGS, EngineContract
from tests.engines.invokeai_server import FakeInvokeAI, serving
from tests.pipeline.reproduction.reruns import run_again, run_once

BLANK = {"id": "g", "nodes": {"n": {"id": "n", "type": "blank_image", "width": 32, "height": 32}}, "edges": []}


class TestContract(EngineContract):
    """What every engine promises."""

    @pytest.fixture(autouse=True)
    def _server(self):
        fake = FakeInvokeAI(seconds=0.1)
        with serving(fake) as self.url:
            yield

    def make_engine(self):
        return InvokeAIEngine(self.url, poll_seconds=0.02)


@pytest.fixture
def invokeai():
    fake = FakeInvokeAI()
    with serving(fake) as fake.url:
        yield fake


def ask(fake, *, prompt=PROMPT, negative="", monitor=None, **settings):
    request = StageRequest("txt2img", settings, prompt, negative)
    return InvokeAIEngine(fake.url, poll_seconds=0.02).run_stage(request, monitor or StageMonitor())


def test_only_what_was_asked_for_is_sent(invokeai):
    ask(invokeai, seed=5)
    (graph,) = invokeai.graphs
    assert graph["nodes"]["denoise"] == {"id": "denoise", "type": "denoise_latents"}
    assert graph["nodes"]["noise"] == {"id": "noise", "type": "noise", "seed": 5}
    assert graph["nodes"]["positive"]["prompt"] == PROMPT
    assert "prompt" not in graph["nodes"]["negative"]


def test_settings_stand_in_their_places_and_are_recorded(invokeai):
    wanted = {"steps": 4, "cfg_scale": 6.5, "width": 64, "height": 48, "seed": 9}
    result = ask(invokeai, negative="fog", sampler="DPM++ 2M", scheduler="Karras", model="Juggernaut-XL", **wanted)
    nodes = invokeai.graphs[0]["nodes"]
    assert nodes["denoise"] | {"scheduler": "dpmpp_2m_k", "steps": 4, "cfg_scale": 6.5} == nodes["denoise"]
    assert nodes["model"]["type"] == "sdxl_model_loader"
    assert nodes["negative"] | {"prompt": "fog", "style": "fog"} == nodes["negative"]
    expected = {**wanted, "sampler": "DPM++ 2M", "scheduler": "Karras", "model": "juggernaut-xl"}
    assert result.actual | expected == result.actual
    assert result.actual["model_hash"] == "blake3:" + "2" * 64


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "nosuch"}, "has no model 'nosuch'; it has dreamshaper-8, juggernaut-xl, flux-schnell"),
        ({"model": "flux-schnell"}, "no graph is built in for models of the base 'flux'"),
        ({"sampler": "Nosuch"}, "InvokeAI has no sampler 'Nosuch'"),
        ({"extra": {"graph": json.dumps({"nodes": {"n": {"type": "nosuch"}}})}}, "Input tag 'nosuch'"),
    ],
)
def test_what_cannot_be_is_refused_with_what_there_is(invokeai, settings, words):
    with pytest.raises(EngineError, match="(?s)" + words):
        ask(invokeai, **settings)


@pytest.mark.parametrize(
    ("quirk", "error", "words"),
    [
        ("fails", EngineError, "ImageRecordNotFoundException: gone"),
        ("out_of_memory", EngineError, "ran out of memory; try a smaller size"),
        ("makes_none", EngineError, "made no image"),
        ("cancelled_by_somebody", Cancelled, "somebody cancelled"),
    ],
)
def test_how_an_item_ends_is_how_the_stage_ends(quirk, error, words):
    with serving(fake := FakeInvokeAI(quirks=[quirk])) as fake.url, pytest.raises(error, match=words):
        ask(fake)


def test_a_wish_to_stop_cancels_our_item_and_no_other():
    with serving(fake := FakeInvokeAI(seconds=30)) as fake.url:
        cancel = CancelToken()
        httpx.post(f"{fake.url}/api/v1/queue/default/enqueue_batch", json={"batch": {"graph": BLANK}})
        threading.Timer(1.5, cancel.cancel).start()
        with pytest.raises(Cancelled):
            ask(fake, monitor=StageMonitor(cancel))
        assert [item["status"] for item in fake.items.values()] == ["in_progress", "canceled"]
        fake.items[1]["status"] = "canceled"


def test_a_graph_of_ones_own_keeps_its_numbers(invokeai, tmp_path):
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(BLANK))
    result = ask(invokeai, extra={"graph": str(path)}, width=48)
    assert invokeai.graphs[0]["nodes"]["n"] == {**BLANK["nodes"]["n"], "width": 48}
    assert (result.images[0].width, result.images[0].height) == (48, 32)
    assert result.images[0].seed is None, "the graph has no place for one"


def test_a_graph_without_a_place_for_the_prompt_is_refused(invokeai):
    graph = {"nodes": {"d": {"id": "d", "type": "denoise_latents"}, "i": {"id": "i", "type": "l2i"}}}
    with pytest.raises(ConfigError, match="no place for the prompt"):
        ask(invokeai, extra={"graph": json.dumps(graph)})
    assert invokeai.graphs == []


def test_what_is_no_graph_is_refused(invokeai, tmp_path):
    for given, words in (("nothere.json", "cannot be read"), ("{", "as JSON"), ('{"nodes": []}', "an object with")):
        with pytest.raises(ConfigError, match=words):
            ask(invokeai, extra={"graph": given})


def test_check_says_what_is_there(invokeai):
    found = open_engine("invokeai", url=invokeai.url).check()
    assert (found.version, found.names["models"][0], found.problems) == ("6.14.2", "dreamshaper-8", [])
    with serving(bare := FakeInvokeAI(models=[])) as url:
        assert "no model" in open_engine("invokeai", url=url).check().problems[0]
    assert bare.graphs == []


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (lambda fake: setattr(fake, "version", "6.15.0"), "invokeai"),
        (lambda fake: fake.packages.update(torch="2.14.0"), "torch"),
        (lambda fake: setattr(fake, "device", "cuda:0"), "device"),
    ],
)
def test_a_rerun_names_what_changed(invokeai, tmp_path, plant, name):
    first = run_once(InvokeAIEngine(invokeai.url, poll_seconds=0.02), tmp_path / "runs", **SETTINGS)
    assert RunVerifier(first, deep=True).verify().is_ok
    plant(invokeai)
    found = run_again(first, InvokeAIEngine(invokeai.url, poll_seconds=0.02))
    assert found.count_verdicts() == {"identical": 1}
    assert [change.name for change in found.changes] == [name]
