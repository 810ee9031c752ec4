"""Widgets that a workflow lists without their names."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.graphs.outputs import read_outputs
from stablenew.image_metadata.graphs.widgets import iter_widgets
from tests.image_metadata.graph_files import workflow_of
from tests.image_metadata.tools.reading import read_texts


def widgets(kind, *values, gives=(), takes=()):
    outputs = [{"type": each} for each in gives]
    inputs = [{"name": name, "link": 1} for name in takes]
    return dict(iter_widgets({"type": kind, "widgets_values": list(values), "outputs": outputs, "inputs": inputs}))


SAMPLERS = {
    "KSampler (Efficient)": [5, "randomize", 20, 7.5, "dpmpp_sde", "karras", 0.6, "auto", "true"],
    "KSampler //Inspire": [5, "fixed", 20, 7.5, "dpmpp_sde", "karras", 0.6, "GPU(=A1111)", "incremental", 1, 0.3],
    "FaceDetailer": [360, True, 768, 5, "fixed", 20, 7.5, "dpmpp_sde", "karras", 0.6, 5, True, False, "center-1"],
    "ttN pipeKSampler": ["None", 1, "disabled", 20, 7.5, "dpmpp_sde", "karras", 0.6, "Preview", 5, "randomize", None],
    "workflow/SAMPLE": [400, 640, 16, 20, 7.5, "dpmpp_sde", "karras", 0.6, 5, "fixed"],
}


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_sampler_of_any_maker_is_told_by_what_stands_beside_its_names(kind):
    expected = {
        "seed": 5, "steps": 20, "cfg": 7.5, "sampler_name": "dpmpp_sde", "scheduler": "karras", "denoise": 0.6,
    }  # fmt: skip
    assert expected.items() <= widgets(kind, *SAMPLERS[kind]).items()


def test_a_seed_that_was_never_fixed_and_a_first_step_are_no_settings():
    found = widgets("KSampler SDXL", -1, None, 40, 9, "dpmpp_2m", "karras", 0, 32, "auto")
    assert (found["steps"], found["cfg"]) == (40, 9)
    assert "denoise" not in found
    assert found.get("seed", -1) == -1


@pytest.mark.parametrize("values", [[9], [9, "randomize"], [9, None]])
def test_a_node_with_nothing_but_a_number_gives_it(values):
    assert 9 in widgets("Seed", *values).values()


LOADERS = {
    "workflow/PIPE": ["sub/tiny.safetensors", "a boat, at dawn", "fog, rain"],
    "AnimatePipe": ["vae-ft.safetensors", "sub/tiny.safetensors", "mm_v14.ckpt", -2, "a boat, at dawn", "fog, rain"],
    "Loader": ["sub/tiny.safetensors", "Default", "Baked VAE", "", "a boat, at dawn", "none", "fog, rain", "none"],
}


@pytest.mark.parametrize("kind", LOADERS)
def test_a_loader_of_any_maker_has_a_model_and_its_prompts_in_their_order(kind):
    found = widgets(kind, *LOADERS[kind], gives=["BASIC_PIPE"])
    expected = {"ckpt_name": "sub/tiny.safetensors", "positive": "a boat, at dawn", "negative": "fog, rain"}
    assert expected.items() <= found.items()


def test_a_file_at_a_node_that_gives_no_model_or_changes_one_is_no_checkpoint():
    values = ["face.safetensors", 0.5]
    assert "ckpt_name" not in widgets("DetectorProvider", *values, gives=["BBOX_DETECTOR"])
    assert "ckpt_name" not in widgets("BlockWeights", *values, gives=["MODEL"], takes=["model"])


def test_a_workflow_of_nodes_of_other_makers_is_read_whole():
    loader = [
        "tiny.safetensors", "Baked VAE", -2, "None", 1, 1, "a boat", "fog", "none", "A1111", 64, 48, 1,
    ]  # fmt: skip
    nodes = [
        (1, "Efficient Loader", loader, {}, {}),
        (2, "KSampler (Efficient)", SAMPLERS["KSampler (Efficient)"], {"model": 1, "positive": 2, "negative": 3}, {}),
        (3, "SaveImage", ["x"], {"images": 4}, {}),
    ]
    workflow = workflow_of(nodes, [(1, 1, 0), (2, 1, 1), (3, 1, 2), (4, 2, 5)])
    found = read_texts({"workflow": json.dumps(workflow)})
    assert (found.tool, found.prompt, found.negative_prompt) == ("ComfyUI", "a boat", "fog")
    assert (found.settings["seed"], found.settings["model"]) == (5, "tiny.safetensors")


def test_a_workflow_without_a_node_that_makes_images_is_one_of_comfyui_all_the_same():
    found = read_texts({"workflow": json.dumps(workflow_of([(1, "Reroute", [], {}, {})], []))})
    assert (found.tool, found.prompt) == ("ComfyUI", None)


_WORDS = st.sampled_from(["euler", "karras", "fixed", "a.ckpt"])
_VALUES = st.lists(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), _WORDS), max_size=9
)


@given(_VALUES)
def test_any_widgets_give_an_answer(values):
    found = widgets("Any", *values, gives=["MODEL"])
    assert all(isinstance(name, str) for name in found)
    node = {"1": {"class_type": "Any", "inputs": found}}
    assert read_outputs(node) is not None


def test_a_node_that_gives_both_conditionings_has_a_prompt_for_each():
    node = {
        "type": "Conditioner",
        "widgets_values": ["high quality, detailed", "bad quality, blurry"],
        "outputs": [{"name": "positive", "type": "COND_POS"}, {"name": "negative", "type": "COND_NEG"}],
    }
    expected = {"positive": "high quality, detailed", "negative": "bad quality, blurry"}
    assert expected.items() <= dict(iter_widgets(node)).items()


def test_a_text_that_a_node_showed_is_what_a_language_model_wrote():
    nodes = [
        (1, "LLMSampler", ["You describe images."], {}, {}),
        (2, "ShowText|pysssss", ["a boat at dawn"], {"text": 1}, {}),
        (3, "CLIPTextEncode", [""], {"text": 2}, {}),
        (4, "KSampler", [42, "fixed", 20, 7.0, "euler", "karras", 1.0], {"positive": 3}, {}),
        (5, "SaveImage", ["x"], {"images": 4}, {}),
    ]
    links = [(1, 1, 0), (2, 1, 0), (3, 3, 0), (4, 4, 0)]
    shown = read_texts({"workflow": json.dumps(workflow_of(nodes, links))})
    assert shown.prompt == "a boat at dawn"
    unseen = read_texts({"workflow": json.dumps(workflow_of([nodes[0], *nodes[2:]], links))})
    assert unseen.prompt is None
