"""What ComfyUI's history says of a finished prompt, in the words of 0.3.64."""

import pytest

from stablenew.engines.comfyui.client import ComfyUIClient, ImageAddress, describe_node_errors, describe_refusal
from stablenew.engines.comfyui.history import cached_nodes, facts_of, find_files, raise_failure, read_media
from stablenew.engines.comfyui.prompt import ComfyUIPrompt
from stablenew.engines.comfyui.workflows import build_workflow
from stablenew.errors import Cancelled, EngineError
from tests.samples import png

GRAPH = build_workflow("txt2img", {})
PROMPT = ComfyUIPrompt(GRAPH, seed=42, parent=1)
MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0" * 64


def image(name="ComfyUI_00005_.png", **fields):
    return {"filename": name, "subfolder": "", "type": "output"} | fields


def ended(*messages, status="error"):
    return {"status": {"status_str": status, "completed": False, "messages": list(messages)}}


def failed(**fields):
    return [
        "execution_error",
        {
            "prompt_id": "p1", "node_id": "sampler", "node_type": "KSampler", "exception_type": "RuntimeError",
            "exception_message": "mat1 and mat2 shapes cannot be multiplied\n",
        }
        | fields,
    ]  # fmt: skip


def test_what_was_saved_is_kept_and_what_was_only_shown_is_where_nothing_was_saved():
    shown, saved = image("a.png", type="temp", subfolder="x"), image("b.png")
    addresses = {"3": ("3", ImageAddress("a.png", "x", "temp")), "9": ("9", ImageAddress("b.png", "", "output"))}
    assert find_files({"outputs": {"3": {"images": [shown]}, "9": {"images": [saved]}}}) == [addresses["9"]]
    assert find_files({"outputs": {"3": {"images": [shown]}}}) == [addresses["3"]]


def test_videos_and_images_of_every_list_are_found_in_order():
    outputs = {
        "1": {
            "gifs": [image("a.mp4")],
            "videos": [image("b.WEBM")],
            "images": [image("c.jpg")],
        },
        2: {"images": [image("d.webp", type=None, subfolder=None)]},
    }
    found = find_files({"outputs": outputs})
    assert [address.filename for _, address in found] == ["c.jpg", "a.mp4", "b.WEBM", "d.webp"]
    assert found[-1] == ("2", ImageAddress("d.webp", "", "output"))


@pytest.mark.parametrize(
    "outputs",
    [
        None, {}, {"9": None}, {"9": {"images": None}}, {"9": {"text": ["hello"]}}, {"9": {"images": ["a.png"]}},
        {"9": {"images": [image("a.safetensors"), image("a.flac"), {"subfolder": ""}]}},
    ],
)  # fmt: skip
def test_what_is_no_image_is_passed_over(outputs):
    assert find_files({"outputs": outputs}) == []


def test_nodes_that_were_not_run_again_are_known():
    history = ended(["execution_start", {}], ["execution_cached", {"nodes": ["4", 5]}], ["execution_cached", {}])
    assert cached_nodes(history) == {"4", "5"}
    assert cached_nodes({}) == cached_nodes({"status": None}) == set()


def test_an_image_has_the_seed_and_parent_of_its_prompt():
    read = read_media(png(width=8, height=6), PROMPT)
    assert (read.data, read.width, read.height, read.seed, read.parent) == (png(width=8, height=6), 8, 6, 42, 1)


def test_a_video_is_taken_as_it_is():
    read = read_media(MP4, PROMPT)
    assert (read.data, read.media_type, read.seed, read.parent) == (MP4, "video/mp4", 42, 1)


def test_a_file_that_is_cut_off_is_refused():
    with pytest.raises(EngineError, match="cannot be decoded"):
        read_media(png()[:40], PROMPT)


@pytest.mark.parametrize("history", [{}, {"status": None}, {"status": {}}, ended(status="success")])
def test_a_prompt_that_succeeded_raises_nothing(history):
    raise_failure(ComfyUIClient(""), PROMPT, history)


@pytest.mark.parametrize(
    ("history", "kind", "said"),
    [
        (ended(["execution_interrupted", {}]), Cancelled, "somebody interrupted the prompt in ComfyUI"),
        (
            ended(["execution_start", {}], failed()),
            EngineError,
            r"^node sampler \(KSampler\) failed: RuntimeError: mat1 and mat2 shapes cannot be multiplied$",
        ),
        (ended(failed(node_id="999", exception_message=None)), EngineError, r"^node 999 \(unknown\) failed"),
        (ended(failed(exception_message="CUDA out of memory. Tried")), EngineError, "--lowvram"),
        (ended(), EngineError, "could not finish the workflow; its window says why"),
        (ended() | {"status": {"status_str": "error", "messages": None}}, EngineError, "its window says why"),
    ],
)
def test_a_prompt_that_did_not_says_why(history, kind, said):
    with pytest.raises(EngineError, match=said) as raised:
        raise_failure(ComfyUIClient(""), PROMPT, history)
    assert type(raised.value) is kind


def test_what_ran_is_said_once_where_all_images_are_alike_and_by_node_where_they_are_not():
    assert facts_of(PROMPT, ("save", "save")) == PROMPT.actual("save")
    second = build_workflow("txt2img", {})
    second["sampler"]["inputs"]["steps"] = 33
    graph = GRAPH | {f"{key} 2": renamed(node) for key, node in second.items()}
    facts = facts_of(ComfyUIPrompt(graph, seed=1), ("save", "save 2", "save"))
    assert facts["steps"] == 20
    assert [(one["node"], one["steps"], one["images"]) for one in facts["by_node"]] == [
        ("save", 20, [0, 2]), ("save 2", 33, [1]),
    ]  # fmt: skip


def renamed(node):
    """The node with links to nodes of the second workflow."""
    inputs = {
        name: [f"{value[0]} 2", value[1]] if isinstance(value, list) else value
        for name, value in node["inputs"].items()
    }
    return node | {"inputs": inputs}


NODE_ERRORS = {
    "4": {
        "class_type": "CheckpointLoaderSimple",
        "errors": [{"message": "Value not in list", "details": "ckpt_name: 'x' not in ['tinyA.safetensors']"}],
    },
    "5": {"class_type": "EmptyLatentImage", "errors": []},
}
REFUSED = {
    "error": {
        "type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation", "details": "",
        "extra_info": {},
    }
}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            REFUSED | {"node_errors": NODE_ERRORS},
            "node 4 (CheckpointLoaderSimple): Value not in list: ckpt_name: 'x' not in ['tinyA.safetensors']",
        ),
        (REFUSED | {"node_errors": []}, "Prompt outputs failed validation"),
        ({"error": {"message": "No prompt", "details": "no_prompt"}}, "No prompt no_prompt"),
        ({"error": "invalid prompt"}, "invalid prompt"),
        ("plain words", "plain words"),
        ({}, "None"),
    ],
)
def test_a_refusal_is_told_in_the_words_of_its_nodes_or_else_of_the_whole(body, said):
    assert describe_refusal(body) == said


def test_a_refusal_of_very_many_words_is_cut():
    assert len(describe_refusal({"error": "x" * 5000})) == 1000


@pytest.mark.parametrize("body", [None, [], {}, {"node_errors": None}, {"node_errors": {}}])
def test_where_no_node_is_wrong_nothing_is_said(body):
    assert describe_node_errors(body) == ""
