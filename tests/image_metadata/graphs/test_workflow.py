"""Workflows as the page saves them, as graphs."""

import pytest
from hypothesis import given

from stablenew.image_metadata.graphs.outputs import read_outputs
from stablenew.image_metadata.graphs.workflow import convert_workflow
from tests.image_metadata.graph_files import workflow_of
from tests.strategies import json_values


def simple(**extra_of_lora):
    nodes = [
        (
            3,
            "KSampler",
            [42, "randomize", 20, 7.0, "euler", "karras", 1.0],
            {"model": 1, "positive": 2, "negative": 3, "latent_image": 4},
            {},
        ),
        (4, "CheckpointLoaderSimple", ["tiny.safetensors"], {}, {}),
        (5, "EmptyLatentImage", [64, 48, 1], {}, {}),
        (6, "CLIPTextEncode", ["a quiet harbour"], {"clip": 5}, {}),
        (7, "CLIPTextEncode", ["blurry"], {"clip": 5}, {}),
        (9, "SaveImage", ["ComfyUI"], {"images": 6}, {}),
        (10, "LoraLoader", ["ink.safetensors", 0.7, 1.0], {"model": 7}, extra_of_lora),
        (11, "VAEDecode", [], {"samples": 8}, {}),
        (12, "Note", ["not a prompt"], {}, {}),
    ]
    links = [(1, 10, 0), (2, 6, 0), (3, 7, 0), (4, 5, 0), (5, 4, 1), (6, 11, 0), (7, 4, 0), (8, 3, 0)]
    return workflow_of(nodes, links)


def only(workflow):
    (output,) = read_outputs(convert_workflow(workflow))
    return output


def test_a_workflow_says_what_its_graph_would():
    output = only(simple())
    assert (output.prompt, output.negative_prompt) == ("a quiet harbour", "blurry")
    expected = {
        "seed": 42,
        "steps": 20,
        "cfg_scale": 7.0,
        "scheduler": "Karras",
        "width": 64,
        "model": "tiny.safetensors",
    }
    assert expected.items() <= dict(output.settings).items()
    assert [lora.name for lora in output.loras] == ["ink.safetensors"]


def test_a_bypassed_node_is_stepped_over_and_a_muted_one_is_not_there():
    output = only(simple(mode=4))
    assert output.loras == ()
    assert output.settings["model"] == "tiny.safetensors"
    assert "model" not in only(simple(mode=2)).settings


def test_widgets_that_the_page_names_are_read_by_name():
    nodes = [
        (1, "MySampler", [5, "fixed", 9], {"positive": 1}, {}),
        (2, "SaveImage", ["x"], {"images": 2}, {}),
        (3, "CLIPTextEncode", ["a harbour"], {}, {}),
    ]
    workflow = workflow_of(nodes, [(1, 3, 0), (2, 1, 0)])
    workflow["nodes"][0]["inputs"] += [
        {"name": name, "link": None, "widget": {"name": name}} for name in ("seed", "steps")
    ]
    output = only(workflow)
    assert (output.settings["seed"], output.settings["steps"], output.prompt) == (5, 9, "a harbour")


def test_subgraphs_are_unfolded():
    inner = workflow_of(
        [
            (1, "KSampler", [1, "fixed", 4, 1.0, "euler", "simple", 1.0], {"positive": 10, "model": 11}, {}),
            (2, "CheckpointLoaderSimple", ["inner.safetensors"], {}, {}),
        ],
        [],
        id="sub",
        outputs=[{"linkIds": [12]}],
    )
    inner["links"] = [
        {"id": 10, "origin_id": -10, "origin_slot": 0, "target_id": 1, "target_slot": 0},
        {"id": 11, "origin_id": 2, "origin_slot": 0, "target_id": 1, "target_slot": 1},
        {"id": 12, "origin_id": 1, "origin_slot": 0, "target_id": -20, "target_slot": 0},
    ]
    outer = workflow_of(
        [
            (5, "CLIPTextEncode", ["a harbour"], {}, {}),
            (6, "sub", [], {"positive": 1}, {}),
            (7, "SaveImage", ["x"], {"images": 2}, {}),
        ],
        [(1, 5, 0), (2, 6, 0)],
        definitions={"subgraphs": [inner]},
    )
    output = only(outer)
    assert (output.prompt, output.settings["model"], output.settings["steps"]) == ("a harbour", "inner.safetensors", 4)
    assert output.passes[0].node == "6:1"


def chain_of_subgraphs(order):
    """A sampler that goes on from two subgraphs one behind the other, each with a sampler and widgets of its own."""
    inner = workflow_of(
        [(1, "KSampler", [1, "fixed", 4, 1.0, "euler", "simple", 1.0], {"latent_image": 10, "positive": 14}, {})],
        [],
        id="sub",
        inputs=[
            {"name": "latent", "linkIds": [10]}, {"name": "seed", "linkIds": [11]}, {"name": "steps", "linkIds": [12]},
            {"name": "positive", "linkIds": [14]},
        ],
        outputs=[{"linkIds": [13]}],
    )  # fmt: skip
    inner["nodes"][0]["inputs"] += [
        {"name": name, "link": link, "widget": {"name": name}} for name, link in (("seed", 11), ("steps", 12))
    ]
    inner["links"] = [
        {"id": 10, "origin_id": -10, "origin_slot": 0}, {"id": 11, "origin_id": -10, "origin_slot": 1},
        {"id": 12, "origin_id": -10, "origin_slot": 2}, {"id": 13, "origin_id": 1, "origin_slot": 0},
        {"id": 14, "origin_id": -10, "origin_slot": 3},
    ]  # fmt: skip
    nodes = [
        (5, "EmptyLatentImage", [64, 48, 1], {}, {}),
        (6, "sub", [11, 5], {"latent": 1, "positive": 4}, {}),
        (7, "sub", [22, 6], {"latent": 2, "positive": 5}, {}),
        (8, "SaveImage", ["x"], {"images": 3}, {}),
        (9, "CLIPTextEncode", ["a harbour"], {}, {}),
    ]
    links = [(1, 5, 0), (2, 6, 0), (3, 7, 0), (4, 9, 0), (5, 9, 0)]
    return workflow_of([nodes[at] for at in order], links, definitions={"subgraphs": [inner]})


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0)])
def test_subgraphs_in_any_order_get_links_by_name_and_the_values_of_their_own_widgets(order):
    output = only(chain_of_subgraphs(order))
    assert [found.node for found in output.passes] == ["6:1", "7:1"]
    assert [(found.settings["seed"], found.settings["steps"]) for found in output.passes] == [(11, 5), (22, 6)]
    assert output.prompt == "a harbour"


def test_a_subgraph_that_holds_itself_ends():
    inner = workflow_of([(1, "sub", [], {}, {}), (2, "SaveImage", ["x"], {}, {})], [], id="sub", outputs=[])
    outer = workflow_of([(1, "sub", [], {}, {})], [], definitions={"subgraphs": [inner]})
    assert len(convert_workflow(outer)) < 20


def test_what_is_no_workflow_is_none():
    for value in (None, [], {}, {"nodes": 3}, {"nodes": []}):
        assert convert_workflow(value) is None


@given(json_values, json_values, json_values)
def test_any_json_gives_an_answer(nodes, links, widgets):
    workflow = simple()
    workflow["links"] = links
    workflow["nodes"][0]["inputs"] = nodes
    workflow["nodes"][1]["widgets_values"] = widgets
    workflow["definitions"] = {"subgraphs": nodes}
    read_outputs(convert_workflow(workflow))


def test_a_seed_that_a_node_read_from_another_image_is_the_one_that_it_shows():
    workflow = simple()
    sampler = next(node for node in workflow["nodes"] if node["type"] == "KSampler")
    sampler["inputs"].append({"name": "seed", "link": 20, "type": "INT", "widget": {"name": "seed"}})
    shown = "Steps: 35, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 2302238556, Size: 64x48"
    widgets = ["other.png", "image", 0, "a prompt", "fog", shown]
    workflow["nodes"].append(
        {"id": 30, "type": "SDPromptReader", "widgets_values": widgets, "inputs": [], "outputs": [{"name": "SEED"}]}
    )
    workflow["links"].append([20, 30, 4, 3, 0, "INT"])
    assert only(workflow).settings["seed"] == 2302238556


def typed(workflow, **types):
    """The same workflow whose nodes say what type their output has."""
    for each in workflow["nodes"]:
        each["outputs"] = [{"name": kind, "type": kind} for kind in types.get(each["type"], ["X"])]
    return workflow


def test_links_by_name_are_followed():
    nodes = [
        (1, "CLIPTextEncode", ["a harbour"], {}, {}),
        (2, "SetNode", ["Cond+"], {"CONDITIONING": 1}, {}),
        (3, "GetNode", ["Cond+"], {}, {}),
        (4, "GetNode", ["nothing"], {}, {}),
        (5, "KSampler", [42, "fixed", 20, 7.0, "euler", "karras", 1.0], {"positive": 2, "negative": 3}, {}),
        (6, "SaveImage", ["x"], {"images": 4}, {}),
    ]
    output = only(workflow_of(nodes, [(1, 1, 0), (2, 3, 0), (3, 4, 0), (4, 5, 0)]))
    assert (output.prompt, output.negative_prompt) == ("a harbour", None)


def test_what_a_node_gives_to_all_inputs_of_a_type_is_followed():
    nodes = [
        (1, "CLIPTextEncode", ["a harbour"], {}, {}),
        (2, "CLIPTextEncode", ["fog"], {}, {}),
        (3, "Prompts Everywhere", [], {"CONDITIONING": 1, "CONDITIONING1": 2}, {}),
        (4, "CheckpointLoaderSimple", ["tiny.safetensors"], {}, {}),
        (5, "Anything Everywhere3", [], {"MODEL": 3}, {}),
        (6, "KSampler", [42, "fixed", 20, 7.0, "euler", "karras", 1.0], {}, {}),
        (7, "SaveImage", ["x"], {"images": 4}, {}),
    ]
    workflow = workflow_of(nodes, [(1, 1, 0), (2, 2, 0), (3, 4, 0), (4, 6, 0)])
    slots = {"positive": "CONDITIONING", "negative": "CONDITIONING", "model": "MODEL", "latent_image": "LATENT"}
    workflow["nodes"][5]["inputs"] = [{"name": name, "type": kind, "link": None} for name, kind in slots.items()]
    output = only(typed(workflow, CLIPTextEncode=["CONDITIONING"], CheckpointLoaderSimple=["MODEL", "CLIP"]))
    assert (output.prompt, output.negative_prompt, output.settings["model"]) == ("a harbour", "fog", "tiny.safetensors")


@pytest.mark.parametrize(("widgets", "joined"), [(["false"], "a boatat dawn"), ([", ", ""], "a boat, at dawn")])
def test_the_widget_of_a_node_that_joins_texts_is_no_text(widgets, joined):
    nodes = [
        (1, "Text Multiline", ["a boat"], {}, {}),
        (2, "Text Multiline", ["at dawn"], {}, {}),
        (3, "Text Concatenate", widgets, {"text_a": 1, "text_b": 2}, {}),
        (4, "CLIPTextEncode", [""], {"text": 3}, {}),
        (5, "KSampler", [42, "fixed", 20, 7.0, "euler", "karras", 1.0], {"positive": 4}, {}),
        (6, "SaveImage", ["x"], {"images": 5}, {}),
    ]
    assert only(workflow_of(nodes, [(1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 4, 0), (5, 5, 0)])).prompt == joined
