"""Calls to ComfyUI, answered as 0.3.64 and 0.8.0 were heard to answer."""

import json

import httpx
import pytest

from stablenew.engines.comfyui.client import OWN_MARK, ComfyUIClient, ImageAddress
from stablenew.errors import EngineError

URL = "http://127.0.0.1:8188"
REFUSED = {
    "error": {
        "type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation", "details": "",
        "extra_info": {},
    },
    "node_errors": {
        "4": {
            "errors": [
                {
                    "type": "value_not_in_list", "message": "Value not in list",
                    "details": "ckpt_name: 'nothere.safetensors' not in ['tinyA.safetensors']",
                }
            ],
            "dependent_outputs": ["9"], "class_type": "CheckpointLoaderSimple",
        }
    },
}  # fmt: skip
IN_PART = {
    "prompt_id": "dcc0cfed", "number": 13,
    "node_errors": {
        "10": {
            "errors": [{"message": "Custom validation failed for node", "details": "image - Invalid file: x.png"}],
            "class_type": "LoadImage",
        }
    },
}  # fmt: skip
NODES = {
    "CheckpointLoaderSimple": {
        "input": {"required": {"ckpt_name": [["sub/tinyB.safetensors", "tinyA.safetensors"], {}]}}
    },
    "LoraLoader": {"input": {"required": {"model": ["MODEL", {}], "lora_name": [[], {}]}}},
    "VAELoader": {"input": {"required": {"vae_name": [["pixel_space"]]}}},
    "UpscaleModelLoader": {
        "input": {"required": {"model_name": ["COMBO", {"multiselect": False, "options": ["4x", 8]}]}}
    },
    "KSampler": {"input": {"required": {"steps": ["INT", {"default": 20}]}, "optional": {"mode": [["a", "b"]]}}},
    "Bare": {"input": {"required": {"x": ["COMBO"]}}},
    "Silent": {},
}


class Server:
    """Answers by path, and remembers what it was asked."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        answer = self.answers.get(request.url.path, (404, {}))
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, content=body) if isinstance(body, bytes) else httpx.Response(status, json=body)

    @property
    def client(self):
        return ComfyUIClient(URL, transport=httpx.MockTransport(self))

    def bodies(self, path):
        return [json.loads(request.content) for request in self.asked if request.url.path == path]


def asking(**answers):
    return Server({f"/{path}": answer for path, answer in answers.items()})


def test_a_workflow_is_submitted_as_ours_and_has_an_id():
    server = asking(prompt={"prompt_id": "05b96a3f", "number": 16, "node_errors": {}})
    assert server.client.submit({"3": {}}, "me") == ("05b96a3f", "")
    assert server.bodies("/prompt") == [{"prompt": {"3": {}}, "client_id": "me", "extra_data": OWN_MARK}]


def test_what_was_left_out_of_a_workflow_is_told_by_node():
    left_out = "node 10 (LoadImage): Custom validation failed for node: image - Invalid file: x.png"
    assert asking(prompt=IN_PART).client.submit({}, "me") == ("dcc0cfed", left_out)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            (400, REFUSED),
            "ComfyUI refuses the workflow: node 4 (CheckpointLoaderSimple): Value not in list: ckpt_name: 'nothere",
        ),
        ((400, b"no JSON"), "ComfyUI refuses the workflow: no JSON"),
        ({}, f"{URL}/prompt gave no id; is this the address of a ComfyUI?"),
        ([], f"{URL}/prompt gave no id; is this the address of a ComfyUI?"),
        ((500, {"error": "out of memory"}), "--lowvram"),
        ((401, {}), f"{URL} wants a name and a password"),
    ],
)
def test_a_workflow_that_is_not_taken_says_why(answer, said):
    with pytest.raises(EngineError) as refused:
        asking(prompt=answer).client.submit({}, "me")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "name", "choices"),
    [
        ("CheckpointLoaderSimple", "ckpt_name", ["sub/tinyB.safetensors", "tinyA.safetensors"]),
        ("LoraLoader", "lora_name", []), ("VAELoader", "vae_name", ["pixel_space"]),
        ("UpscaleModelLoader", "model_name", ["4x", "8"]), ("KSampler", "mode", ["a", "b"]), ("KSampler", "steps", []),
        ("KSampler", "nothing", []), ("Bare", "x", []), ("Silent", "x", []), ("NoSuchNode", "x", []),
    ],
)  # fmt: skip
def test_choices_are_read_from_old_and_new_descriptions_of_nodes(kind, name, choices):
    server = Server(
        {f"/object_info/{known}": {known: said} for known, said in NODES.items()} | {"/object_info/NoSuchNode": {}}
    )
    assert server.client.choices(kind, name) == choices
    assert server.client.has_node(kind) == (kind in NODES and kind != "Silent")


QUEUE = {
    "queue_running": [[18, "75ffa739", {}, {}, []]],
    "queue_pending": [[-7.5, "a57c0223", {}, {}, []], [19, "late", {}, {}, []], [-20, "7c4b2107", {}, {}, []]],
}


@pytest.mark.parametrize(
    ("prompt", "place"), [("75ffa739", 0), ("7c4b2107", 1), ("a57c0223", 2), ("late", 3), ("x", None)]
)
def test_a_place_in_the_queue_follows_the_numbers(prompt, place):
    assert asking(queue=QUEUE).client.queue_position(prompt) == place


@pytest.mark.parametrize(("prompt", "is_interrupted"), [("75ffa739", True), ("late", False), ("x", False)])
def test_only_a_prompt_that_runs_is_interrupted(prompt, is_interrupted):
    server = asking(queue=QUEUE, interrupt=b"")
    server.client.stop(prompt)
    assert {"delete": [prompt]} in [json.loads(one.content) for one in server.asked if one.method == "POST"]
    assert server.bodies("/interrupt") == ([{"prompt_id": prompt}] if is_interrupted else [])


@pytest.mark.parametrize(
    ("answer", "entry"), [({}, None), ({"p1": {"outputs": {}}}, {"outputs": {}}), ({"p1": None}, None), ([], None)]
)
def test_the_history_has_a_prompt_once_it_is_finished(answer, entry):
    assert Server({"/history/p1": answer}).client.find_history("p1") == entry


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ({"name": "a.png", "subfolder": "stablenew", "type": "temp"}, "stablenew/a.png [temp]"),
        ({"name": "a (1).png", "subfolder": "", "type": "input"}, "a (1).png [input]"),
        ({"name": "a.png"}, "a.png [temp]"),
    ],
)
def test_an_uploaded_image_has_the_name_that_loadimage_takes(answer, name):
    server = Server({"/upload/image": answer})
    assert server.client.upload("a.png", b"bytes", "image/png") == name
    assert b'name="subfolder"\r\n\r\nstablenew' in server.asked[0].content


def test_an_image_is_fetched_as_it_is_and_one_that_is_gone_is_named():
    address = ImageAddress("a b.png", "x/y", "temp")
    server = Server({"/view": (200, b"\x89PNG")})
    assert server.client.download(address) == b"\x89PNG"
    assert dict(server.asked[0].url.params) == {"filename": "a b.png", "subfolder": "x/y", "type": "temp"}
    with pytest.raises(EngineError, match=r"/view\?filename=.* answered 404: without a reason"):
        Server({"/view": (404, b"")}).client.download(address)


@pytest.mark.parametrize(("answer", "is_there"), [(QUEUE, True), ((500, b""), False)])
def test_a_server_is_there_where_it_answers(answer, is_there):
    assert asking(queue=answer).client.is_there() is is_there
