"""The stand-in for ComfyUI answers as the real server was heard to answer (`heard_from_comfyui.json`)."""

import contextlib
import io
import json
import time
import uuid
from pathlib import Path

import httpx
import pytest
from PIL import Image
from websockets.sync.client import connect

from tests.engines.comfyui.test_engine import OWN
from tests.engines.comfyui_server import FakeComfyUI, serving

HEARD = json.loads((Path(__file__).parent / "heard_from_comfyui.json").read_text())


@pytest.fixture
def server():
    with contextlib.ExitStack() as servers:

        def start(*quirks, **options):
            fake = FakeComfyUI(quirks=quirks, **options)
            address = servers.enter_context(serving(fake))
            return fake, servers.enter_context(httpx.Client(base_url=address))

        yield start


def run(http, graph=OWN, **more):
    """Submit a prompt; its entry in the history when it is through."""
    key = http.post("/prompt", json={"prompt": graph, **more}).json()["prompt_id"]
    for _ in range(2000):
        if found := http.get(f"/history/{key}").json():
            return found[key]
        time.sleep(0.005)
    raise AssertionError("it does not end")


def websocket_of(http):
    return f"{str(http.base_url).rstrip('/').replace('http', 'ws')}/ws?clientId=me"


def shape(entry):
    return [[kind, sorted(data)] for kind, data in entry["status"]["messages"]]


def test_a_finished_prompt_says_when_it_began_and_ended(server):
    _, http = server()
    entry = run(http)
    assert sorted(entry) == HEARD["history"]["fields"]
    assert shape(entry) == HEARD["history"]["success"]
    stamps = [data["timestamp"] for _, data in entry["status"]["messages"]]
    assert stamps == sorted(stamps)
    assert stamps[0] > 1.6e12, "milliseconds"
    assert sorted(entry["meta"]["9"]) == HEARD["history"]["meta"]
    assert [sorted(image) for image in entry["outputs"]["9"]["images"]] == [HEARD["history"]["image"]] * 4


def test_a_prompt_that_failed_has_no_outputs_and_says_why(server):
    _, http = server("out_of_memory")
    entry = run(http)
    assert shape(entry) == HEARD["history"]["error"]
    assert entry["outputs"] == HEARD["history"]["outputs_after_an_error"]
    (error,) = (data for kind, data in entry["status"]["messages"] if kind == "execution_error")
    assert error["exception_message"].endswith("\n")
    assert "." in error["exception_type"], "a class that is not built in is named with its module"


def test_a_prompt_that_was_interrupted_names_the_node(server):
    fake, http = server(seconds_per_step=0.05)
    key = http.post("/prompt", json={"prompt": OWN}).json()["prompt_id"]
    while not fake.running:
        time.sleep(0.005)
    time.sleep(0.1)
    http.post("/interrupt", json={})
    while not (found := http.get(f"/history/{key}").json()):
        time.sleep(0.005)
    assert shape(found[key]) == HEARD["history"]["interrupted"]


def test_the_websocket_says_the_same_things_in_the_same_fields(server):
    _, http = server()
    messages = []
    with connect(websocket_of(http)) as socket:
        messages.append(json.loads(socket.recv(timeout=5)))
        http.post("/prompt", json={"prompt": OWN, "client_id": "me"})
        while messages[-1]["type"] != "executing" or messages[-1]["data"]["node"] is not None:
            messages.append(json.loads(socket.recv(timeout=5)))
    assert sorted(messages[0]["data"]) == HEARD["websocket"]["first_status"]
    fields = {}
    for message in messages:
        fields.setdefault(message["type"], sorted(set(message["data"])))
    assert fields == HEARD["websocket"]["fields"]
    state = next(message for message in messages if message["type"] == "progress_state")
    assert sorted(next(iter(state["data"]["nodes"].values()))) == HEARD["websocket"]["node_state"]


def test_feature_flags_come_only_to_who_sends_some(server):
    _, http = server()
    with connect(websocket_of(http)) as socket:
        socket.recv(timeout=5)
        socket.send(json.dumps({"type": "feature_flags", "data": {}}))
        assert json.loads(socket.recv(timeout=5))["type"] == "feature_flags"


@pytest.mark.parametrize(
    ("name", "method", "path", "body"),
    [
        ("refused: no prompt", "POST", "/prompt", {}),
        ("refused: prompt is a UI workflow", "POST", "/prompt", {"prompt": {"nodes": [], "links": []}}),
        ("view of no file", "GET", "/view?filename=none.png&type=output", None),
        ("view with ../", "GET", "/view?filename=../none.png&type=output", None),
    ],
)
def test_refusals_are_those_of_the_real_server(server, name, method, path, body):
    _, http = server()
    answer = http.request(method, path, json=body)
    heard = HEARD["http"][name]
    assert answer.status_code == heard["status"]
    assert (answer.json() if answer.content else "") == heard["body"]
    if heard["content_type"] is None:
        assert "content-type" not in answer.headers


def test_prompts_can_ask_for_their_place_in_the_queue(server):
    _, http = server(seconds_per_step=0.05)
    assert http.post("/prompt", json={"prompt": OWN, "front": True}).json()["number"] < 0
    asked = HEARD["number_that_was_asked_for"]
    assert http.post("/prompt", json={"prompt": OWN, "number": asked}).json()["number"] == asked


def test_extra_data_has_a_client_only_where_one_was_named(server):
    _, http = server()
    assert run(http)["prompt"][3] == {}
    assert run(http, client_id="me", extra_data={"x": 1})["prompt"][3] == {"client_id": "me", "x": 1}


@pytest.mark.parametrize(("kind", "form"), HEARD["list_inputs"].items())
def test_lists_are_described_in_the_old_way_and_the_new_side_by_side(server, kind, form):
    _, http = server()
    about = http.get(f"/object_info/{kind}").json()[kind]
    is_new = any(spec[0] == "COMBO" for spec in about["input"]["required"].values())
    assert ("COMBO" if is_new else "list") == form


def test_an_image_carries_the_hash_of_what_was_loaded(server):
    fake, http = server()
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    http.post("/upload/image", files={"image": ("in.png", buffer.getvalue())}, data={"type": "temp", "subfolder": "s"})
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "s/in.png [temp]"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    entry = run(http, graph)
    name = entry["outputs"]["2"]["images"][0]["filename"]
    with Image.open(io.BytesIO(fake.files["output", "", name])) as image:
        carried = json.loads(image.text["prompt"])
    assert len(carried["1"]["is_changed"][0]) == 64
    assert "is_changed" not in entry["prompt"][2]["1"], "the history has the prompt as it was submitted"


def without(graph, key, *names):
    node = graph[key]
    return {**graph, key: {**node, "inputs": {k: v for k, v in node["inputs"].items() if k not in names}}}


def with_input(key, **inputs):
    return {**SINGLE, key: {**SINGLE[key], "inputs": {**SINGLE[key]["inputs"], **inputs}}}


SINGLE = {key: node for key, node in OWN.items() if key != "10"}
LOADED = {"class_type": "LoadImage", "inputs": {"image": "gone.png"}}
REFUSED = {
    "required_input_missing": without(SINGLE, "3", "steps"),
    "bad_linked_input": with_input("3", model=["4", 0, 1]),
    "return_type_mismatch": with_input("3", positive=["4", 0]),
    "invalid_input_type": with_input("3", steps="many"),
    "value_smaller_than_min": with_input("3", steps=0),
    "value_bigger_than_max": with_input("3", cfg=1000.0),
    "value_not_in_list": with_input("3", sampler_name="no"),
    "custom_validation_failed": {**with_input("9", images=["10", 0]), "10": LOADED},
    "exception_during_validation": with_input("9", images=["99", 0]),
    "exception_during_inner_validation": with_input("3", model=["99", 0]),
    "missing_class": {**SINGLE, "3": {**SINGLE["3"], "class_type": "Nosuch"}},
    "no_class": {**SINGLE, "3": {"inputs": {}}},
    "no_outputs": {key: node for key, node in SINGLE.items() if key != "9"},
    "no_prompt": None,
}


@pytest.mark.parametrize("case", [name for name in HEARD["refusals"] if name != "version"])
def test_a_prompt_is_refused_in_the_same_words(server, case):
    _, http = server()
    answer = http.post("/prompt", json={} if REFUSED[case] is None else {"prompt": REFUSED[case]})
    body, heard = answer.json(), HEARD["refusals"][case]
    assert answer.status_code == 400
    assert [body["error"][name] for name in ("type", "message", "details")] == heard["error"]
    assert list(body["node_errors"]) == list(heard["nodes"])
    for key, entry in heard["nodes"].items():
        found = body["node_errors"][key]
        assert (found["dependent_outputs"], found["class_type"]) == (entry["dependent_outputs"], entry["class_type"])
        for error, (kind, message, details, fields) in zip(found["errors"], entry["errors"], strict=True):
            assert (error["type"], error["message"], sorted(error["extra_info"])) == (kind, message, fields)
            assert error["details"].partition(" not in ")[0] == details.partition(" not in ")[0], "lists differ"


def test_an_output_that_cannot_run_is_left_out_and_the_others_run(server):
    _, http = server()
    graph = {
        **OWN,
        "11": LOADED,
        "12": {"class_type": "SaveImage", "inputs": {"images": ["11", 0], "filename_prefix": ""}},
    }
    answer = http.post("/prompt", json={"prompt": graph})
    assert answer.status_code == 200
    assert list(answer.json()["node_errors"]) == ["11"]
    assert sorted(run(http, graph)["outputs"]) == ["10", "9"]


def test_newer_servers_name_missing_nodes_and_want_ids_of_their_own_kind(server):
    fake, http = server()
    fake.system["comfyui_version"] = "0.38.1"
    missing = http.post("/prompt", json={"prompt": REFUSED["missing_class"]}).json()["error"]
    assert missing["type"] == "missing_node_type"
    assert missing["message"] == "Node 'Nosuch' not found. The custom node may not be installed."
    assert sorted(missing["extra_info"]) == ["class_type", "node_id", "node_title"]
    foreign = http.post("/prompt", json={"prompt": OWN, "prompt_id": "mine"})
    assert (foreign.status_code, foreign.json()["node_errors"]) == (400, {})
    error = foreign.json()["error"]
    assert (error["type"], error["message"], error["extra_info"]) == (
        "invalid_prompt_id", "prompt_id must be a valid UUID", {},
    )  # fmt: skip
    given = str(uuid.uuid4())
    assert http.post("/prompt", json={"prompt": OWN, "prompt_id": given}).json()["prompt_id"] == given
